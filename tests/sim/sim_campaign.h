/*
 * sim_campaign.h - the command line of the simulators: many seeds on several
 * processes, or one seed with a trace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim_options {
    uint64_t seed;
    bool is_verbose;      /* tells what happens to the cluster */
    bool is_talkative;    /* and what clients say and are told */
    unsigned duration_ms; /* of traffic with faults; then everything heals and settles */
};

struct sim_campaign {
    const char *name;    /* of the program */
    const char *summary; /* what the last line begins with */
    unsigned duration_ms;
    unsigned (*run)(const struct sim_options *options); /* returns the number of violations */
};

/* What main() returns. */
int sim_campaign(const struct sim_campaign *campaign, int argc, char **argv);
