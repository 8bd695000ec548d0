/*
 * sim_world.h - a whole cluster in the simulated world: gateways and shards of
 * production code, one registry, one database server, a nemesis, and the sockets
 * of whoever uses it. What happens is chosen from the seed.
 */
#pragma once

#include "common/cluster/membership.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"
#include "shard/commit/committer.h"
#include "shard/host/host.h"
#include "shard/metrics.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_campaign.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_nemesis.h"
#include "tests/sim/sim_socket.h"
#include "tests/support/fake_registry.h"
#include "tests/support/sim_store.h"

#define SIM_GATEWAYS_MAX 3
#define SIM_SHARDS_MAX 4
#define SIM_USERS_MAX 24
#define SIM_ROOMS_MAX 4
#define SIM_LATER_MS 4000 /* how late a batch that was lost on the way may commit */

struct sim_world;

struct sim_gateway {
    struct sim_world *world;
    struct sim_node node;
    char name[32];
    struct fake_registry registry;
    struct membership *membership;
    struct gateway_metrics metrics;
    struct link_pool *pool;
    struct sessions *sessions;
    struct sim_edge *edge;
};

struct sim_shard {
    struct sim_world *world;
    struct sim_node node;
    char name[32], address[48];
    struct fake_registry registry;
    struct membership *membership;
    struct shard_metrics metrics;
    struct store *store;
    struct committer *committer;
    struct host *host;
    struct peers *links;
    uint64_t incarnation;
    struct timer tick;
    uint64_t drain_ms; /* when it began to leave */
    uint64_t left_ms;  /* when it was off the ring; 0: it is on it */
    bool is_alive;     /* the process runs (perhaps stopped) */
    bool is_corpse;    /* it has ended, its memory is kept */
    bool is_leaving;
    bool is_off; /* it has asked to be taken off the ring */
};

struct sim_world {
    struct sim sim;
    struct sim_options options;
    struct sim_faults faults;
    struct socket_marks marks; /* of the gateways' sockets */
    struct sim_check check;

    struct sim_node database; /* where the server's env lives */
    struct sim_db *db;        /* the server's */
    struct sim_server server;
    struct fake_registry_server registry;
    uint64_t incarnations;

    struct sim_gateway gateways[SIM_GATEWAYS_MAX];
    struct sim_shard shards[SIM_SHARDS_MAX];
    struct sim_edge edges[SIM_GATEWAYS_MAX];
    struct list sockets; /* struct sim_socket */
    size_t n_gateways, n_shards, n_rooms, n_users;
    char rooms[SIM_ROOMS_MAX][32];
    char users[SIM_USERS_MAX][32]; /* members of all rooms; the first is their owner */
    enum member_role roles[SIM_USERS_MAX];

    /* The database is about to fail over to its standby, which may be behind. NULL: whoever
     * checks this world knows of no loss, and then there is none. */
    void (*on_fail_over)(struct sim_world *world);
    unsigned n_failovers;

    bool is_healing; /* no new faults and no new traffic */
    unsigned n_faults;
    uint64_t settle_ms;      /* the longest time from healing until all is well */
    unsigned usual_store_ms; /* the most that a step of the database takes on a quiet day */
};

/* One run of the simulated clients of sim_client.h. Returns the number of violations. */
unsigned sim_world_run(const struct sim_options *options);

/* ---- the cluster ---- */
/* Seed, clock, and what the seed chooses: nodes, latency, faults. Users and rooms are the
 * caller's to choose. */
void sim_cluster_init(struct sim_world *world, const struct sim_options *options);
void sim_cluster_build(struct sim_world *world);
/* Everything heals, at once and until faults begin again. */
void sim_cluster_heal(struct sim_world *world);
void sim_cluster_start_nodes(struct sim_world *world); /* those that are down */
void sim_cluster_begin_faults(struct sim_world *world);
void sim_cluster_tally(struct sim_world *world);     /* at the end, into options.tally */
void sim_cluster_tear_down(struct sim_world *world); /* sockets are gone before */
/* n, or what the command line allows at most (0: anything). */
static inline size_t sim_at_most(size_t n, size_t most)
{
    return most > 0 ? MIN(n, most) : n;
}
uint64_t sim_cluster_head(const struct sim_world *world, const char *room);

/* ---- what is bounded (sim_bounds.c) ---- */
/* From now on: no queue is longer than its limit. */
void sim_bounds_start(struct sim_world *world);
/* All is well and nothing happens: nothing waits anywhere, nothing of the past is left. */
void sim_bounds_at_rest(struct sim_world *world);

/* ---- parts ---- */
void sim_gateway_start(struct sim_world *world, size_t i);
void sim_gateway_crash(struct sim_gateway *gateway);
void sim_shard_start(struct sim_world *world, size_t i);
void sim_shard_crash(struct sim_shard *shard);
void sim_shard_reap(struct sim_shard *shard);
/* SIGTERM: leaves the ring, hands over, stops by itself. */
void sim_shard_leave(struct sim_shard *shard);
void sim_trace(struct sim_world *world, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define SIM_PROJECT "demo"
#define SIM_SECRET "a secret that only the cluster knows"
