/*
 * store_pg_commit.c - a batch becomes one statement with binary arrays
 * (sql.c), and its answer one verdict per room.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "shard/store/pg_rows.h"
#include "shard/store/store_pg_priv.h"

/* Parameters of the statement, $1 first. */
enum {
    ROOM_PROJECT,
    ROOM_ROOM,
    ROOM_FENCE,
    ROOM_EXPECT_SEQ,
    ROOM_NEW_SEQ,
    ROOM_LAST_ID,
    ROOM_LAST_CREATED,
    ROW_ORD,
    ROW_PROJECT,
    ROW_ROOM,
    ROW_SEQ,
    ROW_ID,
    ROW_CREATED,
    ROW_KIND,
    ROW_PARENT,
    ROW_DEDUPE,
    ROW_USER,
    ROW_CLIENT_ID,
    ROW_CONTENT,
    ROW_EXTRA,
    ROW_EXPIRES,
    ROW_VERSION,
    OP_ORD,
    OP_PROJECT,
    OP_ROOM,
    OP_USER,
    OP_ROLE,
    OP_AT,
};

static const enum pg_oid types[COMMIT_OPS_PARAMS] = {
    [ROOM_PROJECT] = PG_TEXT,
    [ROOM_ROOM] = PG_TEXT,
    [ROOM_FENCE] = PG_INT8,
    [ROOM_EXPECT_SEQ] = PG_INT8,
    [ROOM_NEW_SEQ] = PG_INT8,
    [ROOM_LAST_ID] = PG_INT8,
    [ROOM_LAST_CREATED] = PG_TIMESTAMPTZ,
    [ROW_ORD] = PG_INT4,
    [ROW_PROJECT] = PG_TEXT,
    [ROW_ROOM] = PG_TEXT,
    [ROW_SEQ] = PG_INT8,
    [ROW_ID] = PG_INT8,
    [ROW_CREATED] = PG_TIMESTAMPTZ,
    [ROW_KIND] = PG_INT2,
    [ROW_PARENT] = PG_INT8,
    [ROW_DEDUPE] = PG_UUID,
    [ROW_USER] = PG_TEXT,
    [ROW_CLIENT_ID] = PG_TEXT,
    [ROW_CONTENT] = PG_TEXT,
    [ROW_EXTRA] = PG_JSON,
    [ROW_EXPIRES] = PG_TIMESTAMPTZ,
    [ROW_VERSION] = PG_INT4,
    [OP_ORD] = PG_INT4,
    [OP_PROJECT] = PG_TEXT,
    [OP_ROOM] = PG_TEXT,
    [OP_USER] = PG_TEXT,
    [OP_ROLE] = PG_INT2,
    [OP_AT] = PG_TIMESTAMPTZ,
};

/* ---- encoding ---- */

static void put_text(struct pg_array *a, struct slice text)
{
    pg_array_put_bytes(a, text.data, text.len);
}

static void put_text_or_null(struct pg_array *a, struct slice text)
{
    if (text.len > 0)
        put_text(a, text);
    else
        pg_array_put_null(a);
}

static void put_room(struct pg_array *a, const struct batch_room *room)
{
    put_text(&a[ROOM_PROJECT], room->project);
    put_text(&a[ROOM_ROOM], room->room);
    pg_array_put_int8(&a[ROOM_FENCE], (int64_t)room->fence);
    pg_array_put_int8(&a[ROOM_EXPECT_SEQ], (int64_t)room->expect_seq);
    pg_array_put_int8(&a[ROOM_NEW_SEQ], (int64_t)room->new_seq);
    pg_array_put_int8(&a[ROOM_LAST_ID], room->last_id);
    pg_array_put_time(&a[ROOM_LAST_CREATED], room->last_created_us);
}

static void put_entry(struct pg_array *a, int32_t ord, const struct batch_room *room,
                      const struct entry *e)
{
    pg_array_put_int4(&a[ROW_ORD], ord);
    put_text(&a[ROW_PROJECT], room->project);
    put_text(&a[ROW_ROOM], room->room);
    pg_array_put_int8(&a[ROW_SEQ], (int64_t)e->seq);
    pg_array_put_int8(&a[ROW_ID], e->id);
    pg_array_put_time(&a[ROW_CREATED], e->created_us);
    pg_array_put_int2(&a[ROW_KIND], (int16_t)e->kind);
    if (e->parent_id)
        pg_array_put_int8(&a[ROW_PARENT], e->parent_id);
    else
        pg_array_put_null(&a[ROW_PARENT]);
    pg_array_put_bytes(&a[ROW_DEDUPE], e->dedupe, DEDUPE_LEN);
    put_text(&a[ROW_USER], e->user);
    put_text_or_null(&a[ROW_CLIENT_ID], e->client_id);
    put_text(&a[ROW_CONTENT], e->content);
    put_text_or_null(&a[ROW_EXTRA], e->extra);
    if (e->expires_us)
        pg_array_put_time(&a[ROW_EXPIRES], e->expires_us);
    else
        pg_array_put_null(&a[ROW_EXPIRES]);
    pg_array_put_int4(&a[ROW_VERSION], (int32_t)e->version);
}

static void put_op(struct pg_array *a, int32_t ord, const struct batch_room *room,
                   const struct side_op *op)
{
    pg_array_put_int4(&a[OP_ORD], ord);
    put_text(&a[OP_PROJECT], room->project);
    put_text(&a[OP_ROOM], room->room);
    put_text(&a[OP_USER], op->user);
    pg_array_put_int2(&a[OP_ROLE], (int16_t)op->role);
    pg_array_put_time(&a[OP_AT], op->at_us);
}

static void encode(struct pg_lane *lane, const struct batch *batch)
{
    struct pg_array *a = lane->arrays;

    for (int i = 0; i < COMMIT_OPS_PARAMS; i++)
        pg_array_clear(&a[i]);
    lane->n_params = COMMIT_PARAMS;
    for (size_t i = 0; i < batch->n_rooms; i++) {
        const struct batch_room *room = &batch->rooms[i];
        int32_t ord = (int32_t)i + 1;

        put_room(a, room);
        for (size_t k = 0; k < room->n_entries; k++)
            put_entry(a, ord, room, room->entries[k]);
        for (size_t k = 0; k < room->n_ops; k++) {
            if (room->ops[k].kind == SIDE_MEMBER)
                put_op(a, ord, room, &room->ops[k]);
        }
        if (room->n_ops > 0)
            lane->n_params = COMMIT_OPS_PARAMS;
    }
}

/* ---- the request ---- */

static int lane_send(struct pg_request *req, struct pg_conn *conn)
{
    struct pg_lane *lane = container_of(req, struct pg_lane, req);
    const char *values[COMMIT_OPS_PARAMS];
    int lengths[COMMIT_OPS_PARAMS];

    for (int i = 0; i < lane->n_params; i++) {
        struct slice value = pg_array_finish(&lane->arrays[i]);

        if (pg_array_failed(&lane->arrays[i]))
            return -ENOMEM;
        values[i] = value.data;
        lengths[i] = (int)value.len;
    }
    return pg_conn_send(conn, req,
                        lane->n_params == COMMIT_PARAMS ? SQL_COMMIT : SQL_COMMIT_OPS,
                        lane->n_params, values, lengths);
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

enum store_result store_pg_result(const char *sqlstate, bool *ret_is_duplicate)
{
    static const struct {
        const char *prefix;
        enum store_result result;
    } rules[] = {
        {"22", STORE_BAD_DATA},    /* data exception */
        {"23", STORE_BAD_DATA},    /* integrity constraint */
        {"54", STORE_BAD_DATA},    /* program limit: an index row too large */
        {"XX", STORE_BAD_DATA},    /* internal, corrupted: of one room, perhaps */
        {"40", STORE_UNAVAILABLE}, /* rolled back: deadlock, serialization */
        {"53", STORE_UNAVAILABLE}, /* resources: disk, memory, connections */
        {"55", STORE_UNAVAILABLE}, /* lock not available */
        {"57", STORE_UNAVAILABLE}, /* operator intervention */
        {"58", STORE_UNAVAILABLE}, /* system error */
        {"08", STORE_UNAVAILABLE}, /* connection */
        {"25", STORE_UNAVAILABLE}, /* read only: a standby, soon another */
    };

    if (ret_is_duplicate)
        *ret_is_duplicate = strcmp(sqlstate, "23505") == 0;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strncmp(sqlstate, rules[i].prefix, 2) == 0)
            return rules[i].result;
    }
    return STORE_FAILED;
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
        result = store_pg_result(req->sqlstate, &is_duplicate);
        log_warn("a batch was refused", L_STR("sqlstate", req->sqlstate),
                 L_U64("rooms", lane->n_rooms));
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
    encode(lane, batch);
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
    for (int i = 0; i < COMMIT_OPS_PARAMS; i++)
        pg_array_init(&lane->arrays[i], types[i]);
}

void pg_lane_deinit(struct pg_lane *lane)
{
    for (int i = 0; i < COMMIT_OPS_PARAMS; i++)
        pg_array_deinit(&lane->arrays[i]);
    free(lane->committed);
}
