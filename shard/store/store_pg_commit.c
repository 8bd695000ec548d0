/*
 * store_pg_commit.c - a batch becomes one statement with binary arrays
 * (pg_batch.h, sql.c), and its answer one verdict per room.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "shard/store/pg_rows.h"
#include "shard/store/store_pg_priv.h"

/* ---- the request ---- */

static int lane_send(struct pg_request *req, struct pg_conn *conn)
{
    struct pg_lane *lane = container_of(req, struct pg_lane, req);
    struct pg_batch *b = &lane->batch;
    const char *values[BATCH_PARAMS];
    int lengths[BATCH_PARAMS];

    for (int i = 0; i < b->n_params; i++) {
        struct slice value = pg_array_finish(&b->arrays[i]);

        if (pg_array_failed(&b->arrays[i]))
            return -ENOMEM;
        values[i] = value.data;
        lengths[i] = (int)value.len;
    }
    return pg_conn_send(conn, req, b->id, b->n_params, values, lengths);
}

static bool lane_on_result(struct pg_request *req, unsigned n, PGresult *result)
{
    struct pg_lane *lane = container_of(req, struct pg_lane, req);

    (void)n;
    for (int i = 0; i < PQntuples(result); i++) {
        int32_t ord = pg_int4(result, i, 0);

        assert(ord >= 1 && (size_t)ord <= lane->n_rooms);
        lane->committed[ord - 1] = true;
    }
    return false;
}

static void lane_on_end(struct pg_request *req, enum pg_end how)
{
    struct pg_lane *lane = container_of(req, struct pg_lane, req);
    store_submit_fn fn = TAKE(lane->fn);
    enum store_result result = STORE_OK;
    bool is_duplicate = false;

    switch (how) {
    case PG_END_OK:
        break;
    case PG_END_ERROR:
        result = pg_error_result(req->sqlstate, &is_duplicate);
        log_warn("a batch was refused", L_STR("sqlstate", req->sqlstate),
                 L_U64("rooms", lane->n_rooms),
                 L_STR("advice", pg_error_advice(pg_error_of(req->sqlstate))));
        break;
    case PG_END_NOT_SENT:
        result = STORE_UNAVAILABLE;
        break;
    case PG_END_LOST:
        result = STORE_UNKNOWN;
        break;
    }
    fn(lane->arg, result, lane->committed, is_duplicate);
}

int store_pg_submit(struct store *s, unsigned index, const struct batch *batch,
                    store_submit_fn fn, void *arg)
{
    struct store_pg *store = store_pg_of(s);
    struct pg_lane *lane = &store->lanes[index];
    int r;

    assert(index < store->n_lanes && !lane->fn);
    if (!pg_conn_is_ready(&lane->conn))
        return -ENOTCONN;
    if (batch->n_rooms > lane->cap_rooms) {
        bool *grown = realloc(lane->committed, batch->n_rooms * sizeof(bool));

        if (!grown)
            return -ENOMEM;
        lane->committed = grown;
        lane->cap_rooms = batch->n_rooms;
    }
    memset(lane->committed, 0, batch->n_rooms * sizeof(bool));
    lane->n_rooms = batch->n_rooms;
    lane->arg = arg;
    pg_batch_encode(&lane->batch, batch);
    r = pg_conn_submit(&lane->conn, &lane->req);
    if (r >= 0)
        lane->fn = fn;
    return r;
}

void pg_lane_init(struct pg_lane *lane, struct store_pg *store)
{
    lane->store = store;
    lane->req = (struct pg_request){
        .send = lane_send, .on_result = lane_on_result, .on_end = lane_on_end};
    list_init(&lane->req.link);
    pg_batch_init(&lane->batch);
}

void pg_lane_deinit(struct pg_lane *lane)
{
    pg_batch_deinit(&lane->batch);
    free(lane->committed);
}
