/*
 * store_pg.c - the connections of the PostgreSQL store as one: start and end.
 */
#include "shard/store/store_pg.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/loop.h"
#include "shard/limits.h"
#include "shard/store/pg_read.h"
#include "shard/store/store_pg_priv.h"

static int64_t clock_offset_us(struct store *s)
{
    return store_pg_of(s)->clock.offset_us;
}

static bool is_available(struct store *store)
{
    struct store_pg *s = store_pg_of(store);

    for (unsigned i = 0; i < s->n_lanes; i++) {
        if (!pg_conn_is_ready(&s->lanes[i].conn))
            return false;
    }
    return pg_conn_is_ready(pg_lock_conn(store));
}

const struct store_pg_stats *store_pg_stats(struct store *store)
{
    struct store_pg *s = store_pg_of(store);

    s->stats.queued = 0;
    for (size_t i = 0; i < ARRAY_LEN(s->locks); i++)
        s->stats.queued += s->locks[i].queue.n;
    for (size_t i = 0; i < ARRAY_LEN(s->reads); i++)
        s->stats.queued += s->reads[i].queue.n;
    for (size_t i = 0; i < ARRAY_LEN(s->queries); i++)
        s->stats.queued += s->queries[i].queue.n;
    return &s->stats;
}

static const struct store_ops store_pg_ops = {
    .submit = store_pg_submit,
    .claim = store_pg_claim,
    .create_room = store_pg_create_room,
    .delete_room = store_pg_delete_room,
    .sweep = store_pg_sweep,
    .page = store_pg_page,
    .find = store_pg_find,
    .due = store_pg_due,
    .find_dedupe = store_pg_find_dedupe,
    .probe_fences = store_pg_probe_fences,
    .members = store_pg_members,
    .project = store_pg_project,
    .api_key = store_pg_api_key,
    .id_block = store_pg_id_block,
    .query = store_pg_query,
    .clock_offset_us = clock_offset_us,
    .is_available = is_available,
};

/* ---- life ---- */

static int start_conns(struct store_pg *s)
{
    struct pg_conn_config lane = {
        .loop = s->loop,
        .url = &s->url,
        .role = "lane",
        .first = SQL_LANE_FIRST,
        .last = SQL_LANE_LAST,
        .depth = 1,
        .timeout_ms = PG_COMMIT_TIMEOUT_MS,
        .writes = true,
    };
    struct pg_conn_config read = {
        .loop = s->loop,
        .url = &s->url,
        .role = "read",
        .first = SQL_READ_FIRST,
        .last = SQL_READ_LAST,
        .depth = PG_READ_DEPTH,
        .share = PG_READ_SHARE,
        .queue_max = PG_READ_QUEUE_MAX,
        .timeout_ms = PG_READ_TIMEOUT_MS,
    };
    struct pg_conn_config query = read, locks = read;
    int r = 0;

    locks.role = "lock";
    locks.writes = true;
    locks.share = 0; /* claims wait for commits of other shards, not for one another */
    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(s->locks); i++)
        r = pg_conn_init(&s->locks[i], &locks, &pg_servers_events, s);
    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(s->reads); i++)
        r = pg_conn_init(&s->reads[i], &read, &pg_servers_events, s);
    query.role = "query";
    query.first = SQL_QUERY_FIRST;
    query.last = SQL_QUERY_LAST;
    query.depth = PG_QUERY_DEPTH;
    query.share = PG_QUERY_SHARE;
    query.timeout_ms = PG_QUERY_TIMEOUT_MS;
    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(s->queries); i++)
        r = pg_conn_init(&s->queries[i], &query, &pg_servers_events, s);
    for (unsigned i = 0; r >= 0 && i < s->n_lanes; i++)
        r = pg_conn_init(&s->lanes[i].conn, &lane, &pg_servers_events, s);
    return r;
}

static void store_pg_free(struct later *later, void *arg)
{
    struct store_pg *s = arg;

    (void)later;
    for (unsigned i = 0; i < s->n_lanes; i++)
        pg_lane_deinit(&s->lanes[i]);
    pg_url_deinit(&s->url);
    free(s);
}

static void close_conn(struct pg_conn *conn)
{
    if (conn->env) /* was begun */
        pg_conn_close(conn);
}

int store_pg_new(struct loop *loop, const struct store_pg_config *config,
                 const struct store_pg_events *events, void *owner, struct store **ret_store)
{
    struct store_pg *s = calloc(1, sizeof(*s) + config->lanes * sizeof(s->lanes[0]));
    int r;

    if (!s)
        return -ENOMEM;
    s->store.ops = &store_pg_ops;
    s->loop = loop;
    s->env = loop_env(loop);
    s->keys = config->keys;
    s->events = events;
    s->owner = owner;
    s->n_lanes = config->lanes;
    later_init(&s->dead, store_pg_free, s);
    pg_servers_init(s);
    for (unsigned i = 0; i < s->n_lanes; i++)
        pg_lane_init(&s->lanes[i], s);
    r = pg_url_parse(config->url, &s->url);
    if (r >= 0)
        r = start_conns(s);
    if (r < 0) {
        store_pg_close(&s->store);
        return r;
    }
    *ret_store = &s->store;
    return 0;
}

void store_pg_close(struct store *store)
{
    struct store_pg *s;

    if (!store)
        return;
    s = store_pg_of(store);
    pg_servers_deinit(s);
    for (unsigned i = 0; i < s->n_lanes; i++)
        close_conn(&s->lanes[i].conn);
    for (size_t i = 0; i < ARRAY_LEN(s->locks); i++)
        close_conn(&s->locks[i]);
    for (size_t i = 0; i < ARRAY_LEN(s->reads); i++)
        close_conn(&s->reads[i]);
    for (size_t i = 0; i < ARRAY_LEN(s->queries); i++)
        close_conn(&s->queries[i]);
    env_free_later(s->env, &s->dead);
}
