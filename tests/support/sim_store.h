/*
 * sim_store.h - a struct store over sim_db.h: what a PostgreSQL server and the
 * network before it do in time. Latency by timers, deterministic by seed; faults
 * by chance or one by one. Several stores (one per shard) share one server.
 *
 * A batch arrives, locks its rows, commits a little later, and its answer takes
 * its time too, so that reads, claims and other batches fall in between.
 */
#pragma once

#include "common/base/env.h"
#include "tests/support/sim_db.h"

/* What becomes of a batch. */
enum sim_fate {
    SIM_OK,
    SIM_UNAVAILABLE, /* nothing is done, and the store says so */
    SIM_FAILED,
    SIM_LOCKED,        /* all its rows are locked by somebody else: no room takes part */
    SIM_UNKNOWN_NOW,   /* commits, but the answer is lost */
    SIM_UNKNOWN_LATER, /* the connection breaks; it arrives and commits later */
    SIM_UNKNOWN_HELD,  /* the connection breaks; its rows stay locked until it commits later */
    SIM_UNKNOWN_NEVER, /* the connection breaks before it arrives */
};

struct sim_server {
    struct env *env; /* in which the server lives; not that of a shard that may crash */
    struct sim_db *db;
    uint64_t random_state;
    struct list stores; /* struct sim_store */
    struct list ops;    /* those that run in the server */
    bool is_up, is_stalled;
    bool is_read_only;      /* or its disk is full: what writes is refused */
    uint64_t epoch;         /* counts failovers */
    struct sim_db *standby; /* what it has, when it is behind; NULL: all */
    struct list stalled;    /* ops whose turn came meanwhile */

    /* ---- set by the test at any time ---- */
    unsigned latency_min_ms, latency_max_ms; /* of each of: request, execution, answer */
    unsigned later_max_ms;                   /* how late a lost batch commits */
    unsigned lost_per_mille;        /* batches whose connection breaks, fate by chance */
    unsigned unavailable_per_mille; /* calls of any kind */
    unsigned locked_per_mille;      /* batches */
    uint32_t id_block;              /* ids per block */
    /* Fates of the next batches, before chance has its say. */
    enum sim_fate script[64];
    size_t n_script, script_at;

    /* Told of each room that a batch has committed, in the order of commits; NULL: nobody. */
    void (*on_commit)(void *arg, const struct batch_room *room);
    void *on_commit_arg;

    /* ---- counted ---- */
    unsigned n_batches, n_rows; /* arrived */
    size_t largest_batch;
};

void sim_server_init(struct sim_server *server, struct env *env, uint64_t seed);
void sim_server_deinit(struct sim_server *server); /* all stores are freed */
void sim_server_script(struct sim_server *server, enum sim_fate fate);
/* Down: running batches are rolled back, all connections break, calls fail. */
void sim_server_set_up(struct sim_server *server, bool is_up);
/* Stalled (SIGSTOP): nothing runs or answers until it goes on. */
void sim_server_set_stalled(struct sim_server *server, bool is_stalled);

/* The standby gets nothing more from now on. */
void sim_server_lag(struct sim_server *server);
/* What would be there after a failover now. */
const struct sim_db *sim_server_standby(const struct sim_server *server);
/* The standby is promoted: from its state it goes on, in a new generation, once it is up
 * (sim_server_set_up). Stores find out when they reach it, each in its own time, and before
 * they do anything there. */
void sim_server_fail_over(struct sim_server *server);

/* A client of the server, whose callbacks run as timers of env. */
struct store *sim_store_new(struct sim_server *server, struct env *env);
/* The process is gone: no callback comes any more; what has been sent may still be executed.
 * Its env may be dead. */
void sim_store_free(struct store *store);
/* All connections of this store break: calls fail, batches are unknown. */
void sim_store_cut(struct store *store);
/* Cut off from the server until told otherwise: its connections break, calls fail. */
void sim_store_set_cut_off(struct store *store, bool is_cut_off);
/* Called when another server answers than before. */
void sim_store_on_replaced(struct store *store, void (*fn)(void *owner), void *owner);
void sim_store_set_clock_offset(struct store *store, int64_t offset_us);
