/*
 * sim.h - a deterministic world for whole clusters in one process: one
 * simulated clock, nodes that are a struct env each, and a network between
 * them that delays, splits, stalls and cuts. Everything that happens follows
 * from the seed; a seed that fails, fails again.
 *
 * Turn rule, as in the real loop: one event or timer runs at a node, then that
 * node's end-of-turn work, then the next event of the world.
 */
#pragma once

#include "common/base/env.h"

struct sim;
struct sim_node;

struct sim_rng {
    uint64_t state;
};

uint64_t sim_rand(struct sim_rng *rng);
uint64_t sim_range(struct sim_rng *rng, uint64_t low,
                   uint64_t high); /* low..high, both included */
bool sim_chance(struct sim_rng *rng, unsigned per_mille);

struct sim {
    uint64_t now_ms;
    uint64_t order; /* breaks ties between events of one millisecond */
    struct sim_rng rng;
    struct list nodes; /* struct sim_node */
    struct sim_event **heap;
    size_t n_events, cap_events;
    uint64_t turns;
    unsigned latency_min_ms, latency_max_ms;
};

/* Something that happens at a time; freed after it ran. node NULL: an event of the world
 * (nemesis, checker). */
typedef void (*sim_event_fn)(struct sim *sim, void *arg);

int64_t sim_wall_us(uint64_t at_ms); /* what a right clock says then */
void sim_init(struct sim *sim, uint64_t seed);
void sim_deinit(struct sim *sim);
void sim_after(struct sim *sim, uint64_t delay_ms, sim_event_fn fn, void *arg);
/* Runs what is still under way, with nobody left to hear it; nodes must be down. */
void sim_drain(struct sim *sim);
/* Runs until the clock reaches end_ms (events of that millisecond included). */
void sim_run_until(struct sim *sim, uint64_t end_ms);

/* A process on its own machine. Crashing it cuts its streams and drops its timers; its memory
 * is the owner's to drop. */
struct sim_node {
    struct env env;
    struct sim *sim;
    struct list link;
    struct list streams; /* struct sim_stream */
    const char *name;
    const char *address; /* where others connect to, NULL: nowhere */
    bool up;
    bool paused;               /* SIGSTOP: nothing runs, bytes wait */
    bool refuses;              /* nobody accepts connections */
    bool is_dying;             /* its last turn is over */
    uint64_t turns, last_turn; /* how many there were; the one in which it dies, 0: none */
    bool is_cut_in_turn;       /* what it puts off to the end of that turn is not done */
    sim_event_fn on_death;
    void *death;            /* owned until on_death */
    int64_t wall_offset_us; /* its clock is wrong by this */
    /* An incoming connection; sets the stream's events. Runs as a turn of this node. */
    void (*on_accept)(struct sim_node *node, struct stream *stream);
    void *owner;
};

void sim_node_init(struct sim *sim, struct sim_node *node, const char *name,
                   const char *address);
/* The process is gone: peers see a reset (or nothing, when silent), timers and pending work
 * vanish. */
void sim_node_crash(struct sim_node *node);
void sim_node_pause(struct sim_node *node, bool paused); /* SIGSTOP, SIGCONT */
void sim_node_deinit(struct sim_node *node);
/* After so many more turns nothing of it runs any more, and on_death(sim, arg) comes, to crash
 * it. is_cut: that turn has no end, so that its output stays where it is. arg: from malloc(),
 * taken; on_death frees it. */
void sim_node_die_in(struct sim_node *node, uint64_t turns, bool is_cut, sim_event_fn on_death,
                     void *arg);
void sim_node_spare(struct sim_node *node); /* it does not die after all, if it still can */
/* Between two nodes: no byte passes and no connection opens, both ways, until healed; TCP keeps
 * what was sent. */
void sim_partition(struct sim *sim, struct sim_node *a, struct sim_node *b, bool is_cut);
/* Only what the one sends to the other waits; between them no connection opens. */
void sim_partition_one_way(struct sim *sim, struct sim_node *from, struct sim_node *to,
                           bool is_cut);
void sim_heal_partitions(struct sim *sim);
/* Resets every connection between the two; with what is on its way to the one or the other, or
 * behind it. */
void sim_reset_connections(struct sim_node *a, struct sim_node *b, bool lost_to_a,
                           bool lost_to_b);
/* What the one sends to the other takes longer by this; 0: as usual. */
void sim_slow_down(struct sim_node *from, struct sim_node *to, unsigned ms);
/* Runs fn as a turn of the node (for drivers from outside), then its end-of-turn work. */
void sim_turn_end(struct sim_node *node);
