/*
 * sim_jobs.h - seeds in processes of their own, so that one that kills its
 * process, or does not come to an end, is a seed that failed like others.
 */
#pragma once

#include "tests/sim/sim_campaign.h"

#define SIM_FAILED_MAX 10 /* failed seeds that are remembered */

struct sim_outcome {
    uint64_t n_passed, n_failed;
    uint64_t failed[SIM_FAILED_MAX]; /* the lowest, in order */
    size_t n_known;
    struct sim_tally tally;
};

/* options: of each; seed is the first one. Tells on stderr of seeds that fail. */
void sim_jobs_run(const struct sim_campaign *campaign, const struct sim_options *options,
                  uint64_t seeds, unsigned jobs, struct sim_outcome *ret_outcome);

/* One run in a process of its own. True: it has failed. is_heard: what it says goes to our
 * stderr. */
bool sim_job_fails(const struct sim_campaign *campaign, const struct sim_options *options,
                   bool is_heard, struct sim_tally *ret_tally);
