/*
 * sim_campaign.h - the command line of the simulators: many seeds on several
 * processes, or one seed with a trace, as it is or with less in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_KINDS_MAX 48 /* of faults */

/* What happened in one run or in many. In memory that the parent of the process that runs it
 * sees, too: the run may end with that process. */
struct sim_tally {
    unsigned violations;
    bool has_died;        /* as sim_options.die wants it */
    unsigned n_drawn;     /* faults in the list of the seed as far as it came */
    uint64_t fingerprint; /* the same for the same run */
    /* Sums, and the longest of all. */
    uint64_t n_runs, n_faults[SIM_KINDS_MAX], n_shown, n_acked, n_turns, world_ms;
    uint64_t settle_ms;
};

struct sim_options {
    uint64_t seed;
    bool is_verbose;      /* tells what happens to the cluster */
    bool is_talkative;    /* and what clients say and are told */
    unsigned duration_ms; /* of traffic with faults; then everything heals and settles */

    /* A run with less in it than its seed says: still the same each time. */
    const uint32_t *only; /* the faults that happen, by number; NULL: all */
    size_t n_only;
    bool is_calm; /* no lost commits and locked rows by chance, no latency but by faults */
    unsigned max_clients, max_rooms, max_gateways, max_shards; /* 0: as the seed says */

    /* One more fault: gateway-1 or shard-1 dies in this turn after the beginning, and is soon
     * back. */
    uint64_t die_in_turn; /* 0: no */
    bool die_is_gateway;
    bool die_is_cut; /* before that turn's end */

    struct sim_tally *tally; /* added to */
};

struct sim_campaign {
    const char *name;    /* of the program */
    const char *summary; /* what the last line begins with */
    unsigned duration_ms;
    unsigned (*run)(const struct sim_options *options); /* returns the number of violations */
    const char *(*fault_name)(unsigned kind);           /* NULL: there are no more */
};

/* What main() returns. */
int sim_campaign(const struct sim_campaign *campaign, int argc, char **argv);
