/*
 * sim_nemesis.h - what goes wrong in the simulated world, when, and for how long.
 *
 * The faults of a run are a list: number, time, kind, and dice of its own from
 * which everything else about it is drawn. The list follows from the seed alone,
 * not from what happens, so that a run can be replayed with some of its faults
 * left out (sim_options.only) while the others stay what they were.
 */
#pragma once

#include "tests/sim/sim.h"
#include "tests/sim/sim_campaign.h"

struct sim_world;

enum sim_fault {
#define SIM_FAULT(name, share) SIM_FAULT_##name,
#include "tests/sim/sim_faults.def"
#undef SIM_FAULT
    SIM_FAULT_COUNT
};

struct sim_strike {
    unsigned number; /* from 1 on; in what is told, and for sim_options.only */
    enum sim_fault kind;
    struct sim_rng rng; /* all that is chosen about it is drawn from here */
};

/* What the nemesis may do and how often. */
struct sim_faults {
    bool is_orderly;  /* nothing breaks: shards come and go, at most */
    unsigned step_ms; /* mean pause between two faults; 0: none */
    unsigned weights[SIM_FAULT_COUNT];
    unsigned lost_commits, locked_rows; /* per mille of batches, all the time */
    struct sim_rng rng;                 /* of the list of faults */
    unsigned n_drawn;
    unsigned round; /* of faults, each with an end; what is left of an older one does nothing */
};

/* Which kinds this seed knows, and how often. */
void sim_nemesis_init(struct sim_world *world);
/* Faults from now on, until world->is_healing. */
void sim_nemesis_start(struct sim_world *world);
const char *sim_fault_name(unsigned kind); /* NULL: there is none */

/* ---- for the faults ---- */
typedef void (*sim_fault_fn)(struct sim_world *world, struct sim_strike *strike);
#define SIM_FAULT(name, share)                                                                 \
    void fault_##name(struct sim_world *world, struct sim_strike *strike);
#include "tests/sim/sim_faults.def"
#undef SIM_FAULT

typedef void (*sim_heal_fn)(struct sim_world *world, size_t a, size_t b);
/* heal(world, a, b) after this time, unless everything has been healed by then. */
void sim_last_for(struct sim_world *world, uint64_t ms, sim_heal_fn heal, size_t a, size_t b);
/* How long faults last: mostly some seconds, sometimes hardly at all, sometimes for longer than
 * leases, heartbeats and deadlines. */
uint64_t sim_some_time(struct sim_strike *strike);
size_t sim_some_gateway(struct sim_world *world, struct sim_strike *strike);
size_t sim_some_shard(struct sim_world *world, struct sim_strike *strike);
/* Tells of a fault, with its number. */
void sim_tell(struct sim_world *world, const struct sim_strike *strike, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* What sim_options.die_in_turn asks for. */
void sim_die_as_told(struct sim_world *world);

/* Nodes by number: gateways first, then shards. */
size_t sim_n_nodes(const struct sim_world *world);
struct sim_node *sim_node_at(struct sim_world *world, size_t i);
bool sim_is_running(const struct sim_world *world, size_t i);
struct fake_registry *sim_registry_at(struct sim_world *world, size_t i);
size_t sim_some_node(struct sim_world *world, struct sim_strike *strike);

/* What the faults of each file have left behind, all of it. */
void sim_heal_nodes(struct sim_world *world);
void sim_heal_net(struct sim_world *world);
void sim_heal_store(struct sim_world *world);
