/*
 * store_pg.h - struct store over PostgreSQL (shard/store/store.h): lanes with
 * one connection each for batches, a few connections for reads, one for what
 * waits for row locks. Connects, reconnects and resolves names by itself and
 * never blocks. The schema must be up to date (store_admin.h).
 */
#pragma once

#include "shard/store/pg_errors.h"
#include "shard/store/secrets.h"
#include "shard/store/store.h"

struct loop;

struct store_pg_config {
    const char *url; /* postgresql://..., also with several hosts */
    unsigned lanes;
    const struct keyring *keys; /* borrowed until store_pg_close() */
};

struct store_pg_events {
    /* Another server, or another timeline of it, than before: what was fetched and claimed may
     * not hold there. The committer forgets its ids, the host its rooms. May be NULL. */
    void (*on_replaced)(void *owner);
    /* All connections that writing needs are up again: who waits may try at once. May be NULL.
     */
    void (*on_available)(void *owner);
};

struct store_pg_stats {
    uint64_t connects, connect_failures, disconnects;
    uint64_t replaced; /* another server than before has answered */
    uint64_t errors[PG_ERRORS];
    uint64_t requests, timeouts; /* reads, claims, look-ups; timeouts of any kind */
    uint64_t read_us;            /* sum of their times, from the call to the answer */
    size_t queued;               /* now, not sent yet */
    unsigned connections;        /* up, now */
};

int store_pg_new(struct loop *loop, const struct store_pg_config *config,
                 const struct store_pg_events *events, void *owner,
                 struct store **ret_store) MUST_CHECK;
/* Calls back all that is out (unavailable, batches unknown), from inside this call, and closes
 * the connections. The memory goes at the end of the turn. NULL does nothing. */
void store_pg_close(struct store *store);
const struct store_pg_stats *store_pg_stats(struct store *store);
