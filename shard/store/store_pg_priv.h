/* store_pg_priv.h - what the files of the PostgreSQL store share. */
#pragma once

#include "shard/limits.h"
#include "shard/store/pg_batch.h"
#include "shard/store/pg_clock.h"
#include "shard/store/pg_conn.h"
#include "shard/store/store_pg.h"

struct pg_lane {
    struct store_pg *store;
    struct pg_conn conn;
    struct pg_request req;
    struct pg_batch batch;
    store_submit_fn fn; /* NULL: nothing in flight */
    void *arg;
    bool *committed; /* grows */
    size_t n_rooms, cap_rooms;
};

struct store_pg {
    struct store store;
    struct loop *loop;
    struct env *env;
    struct pg_url url;
    const struct keyring *keys;
    const struct store_pg_events *events;
    void *owner;
    struct store_pg_stats stats;
    struct pg_clock clock;
    char system[PG_SYSTEM_MAX], timeline[PG_TIMELINE_MAX]; /* of the server that we know */
    uint64_t epoch;                                        /* 0: none yet */
    size_t good_host;      /* of the URL: the last that would do */
    struct later outdated; /* ends what is connected to another server */
    bool was_available;
    struct pg_conn reads[PG_READ_CONNECTIONS];
    struct pg_conn queries[PG_QUERY_CONNECTIONS]; /* queries.def */
    struct pg_conn locks[PG_LOCK_CONNECTIONS];    /* claims and new rooms: may wait for a row */
    struct later dead;
    unsigned n_lanes;
    struct pg_lane lanes[];
};

static inline struct store_pg *store_pg_of(struct store *s)
{
    return container_of(s, struct store_pg, store);
}

/* store_pg_commit.c */
void pg_lane_init(struct pg_lane *lane, struct store_pg *store);
void pg_lane_deinit(struct pg_lane *lane);
int store_pg_submit(struct store *s, unsigned lane, const struct batch *batch,
                    store_submit_fn fn, void *arg);

/* pg_servers.c */
extern const struct pg_conn_events pg_servers_events;
void pg_servers_init(struct store_pg *s);
void pg_servers_deinit(struct store_pg *s);
