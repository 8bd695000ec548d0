/* pg_batch.c - see pg_batch.h. */
#include "shard/store/pg_batch.h"

static const enum pg_oid types[BATCH_PARAMS] = {
    [ROOM_PROJECT] = PG_TEXT,
    [ROOM_ROOM] = PG_TEXT,
    [ROOM_FENCE] = PG_INT8,
    [ROOM_EXPECT_SEQ] = PG_INT8,
    [ROOM_NEW_SEQ] = PG_INT8,
    [ROOM_LAST_ID] = PG_INT8,
    [ROOM_LAST_CREATED] = PG_TIMESTAMPTZ,
    [ROOM_MESSAGES] = PG_INT8,
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
    [ROW_MESSAGE_NO] = PG_INT8,
    [ROW_FLAGS] = PG_INT2,
    [ROW_VISIBLE_TO] = PG_TEXT,
    [ROW_REACTIONS] = PG_JSON,
    [CHANGE_ORD] = PG_INT4,
    [CHANGE_PROJECT] = PG_TEXT,
    [CHANGE_ROOM] = PG_TEXT,
    [CHANGE_SEQ] = PG_INT8,
    [CHANGE_UPDATED_SEQ] = PG_INT8,
    [CHANGE_EDITED] = PG_TIMESTAMPTZ,
    [CHANGE_DELETED] = PG_TIMESTAMPTZ,
    [CHANGE_EXPIRES] = PG_TIMESTAMPTZ,
    [CHANGE_VERSION] = PG_INT4,
    [CHANGE_FLAGS] = PG_INT2,
    [CHANGE_CLIENT_ID] = PG_TEXT,
    [CHANGE_CONTENT] = PG_TEXT,
    [CHANGE_EXTRA] = PG_JSON,
    [CHANGE_VISIBLE_TO] = PG_TEXT,
    [CHANGE_REACTIONS] = PG_JSON,
    [KEY_ORD] = PG_INT4,
    [KEY_PROJECT] = PG_TEXT,
    [KEY_ROOM] = PG_TEXT,
    [KEY_KEY] = PG_UUID,
    [KEY_SEQ] = PG_INT8,
    [KEY_TARGET] = PG_INT8,
    [ROOM_REPINS] = PG_BOOL,
    [ROOM_PINNED_ID] = PG_INT8,
    [ROOM_PINNED_AT] = PG_TIMESTAMPTZ,
    [ROOM_PINNED_BY] = PG_TEXT,
    [ROOM_TYPE] = PG_TEXT,
    [ROOM_NAME] = PG_TEXT,
    [ROOM_SETTINGS] = PG_JSON,
    [OP_ORD] = PG_INT4,
    [OP_PROJECT] = PG_TEXT,
    [OP_ROOM] = PG_TEXT,
    [OP_KIND] = PG_INT2,
    [OP_SEQ] = PG_INT8,
    [OP_USER] = PG_TEXT,
    [OP_ACTOR] = PG_TEXT,
    [OP_ROLE] = PG_INT2,
    [OP_AT] = PG_TIMESTAMPTZ,
    [OP_MUTED] = PG_TIMESTAMPTZ,
    [OP_BANNED] = PG_TIMESTAMPTZ,
    [OP_TEXT] = PG_TEXT,
    [OP_JSON] = PG_JSON,
};

void pg_batch_init(struct pg_batch *b)
{
    for (int i = 0; i < BATCH_PARAMS; i++)
        pg_array_init(&b->arrays[i], types[i]);
}

void pg_batch_deinit(struct pg_batch *b)
{
    for (int i = 0; i < BATCH_PARAMS; i++)
        pg_array_deinit(&b->arrays[i]);
}

/* ---- values ---- */

static void put_text(struct pg_array *a, struct slice text)
{
    pg_array_put_bytes(a, text.data, text.len);
}

/* Empty: null. */
static void put_filled(struct pg_array *a, struct slice text)
{
    if (text.len > 0)
        put_text(a, text);
    else
        pg_array_put_null(a);
}

static void put_number(struct pg_array *a, int64_t number)
{
    if (number)
        pg_array_put_int8(a, number);
    else
        pg_array_put_null(a);
}

static void put_time(struct pg_array *a, int64_t unix_us)
{
    if (unix_us == RESTRICT_FOREVER_US)
        pg_array_put_int8(a, PG_INFINITY);
    else if (unix_us)
        pg_array_put_time(a, unix_us);
    else
        pg_array_put_null(a);
}

/* ---- rows ---- */

static void put_room(struct pg_array *a, const struct batch_room *room)
{
    put_text(&a[ROOM_PROJECT], room->project);
    put_text(&a[ROOM_ROOM], room->room);
    pg_array_put_int8(&a[ROOM_FENCE], (int64_t)room->fence);
    pg_array_put_int8(&a[ROOM_EXPECT_SEQ], (int64_t)room->expect_seq);
    pg_array_put_int8(&a[ROOM_NEW_SEQ], (int64_t)room->new_seq);
    pg_array_put_int8(&a[ROOM_LAST_ID], room->last_id);
    pg_array_put_time(&a[ROOM_LAST_CREATED], room->last_created_us);
    pg_array_put_int8(&a[ROOM_MESSAGES], (int64_t)room->message_count);
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
    put_number(&a[ROW_PARENT], e->parent_id);
    pg_array_put_bytes(&a[ROW_DEDUPE], e->dedupe, DEDUPE_LEN);
    put_text(&a[ROW_USER], e->user);
    put_filled(&a[ROW_CLIENT_ID], e->client_id);
    put_text(&a[ROW_CONTENT], e->content);
    put_filled(&a[ROW_EXTRA], e->extra);
    put_time(&a[ROW_EXPIRES], e->expires_us);
    pg_array_put_int4(&a[ROW_VERSION], (int32_t)e->version);
    pg_array_put_int8(&a[ROW_MESSAGE_NO], (int64_t)e->message_no);
    pg_array_put_int2(&a[ROW_FLAGS], (int16_t)e->flags);
    put_filled(&a[ROW_VISIBLE_TO], e->visible_to);
    put_filled(&a[ROW_REACTIONS], e->reactions);
}

static void put_change(struct pg_array *a, int32_t ord, const struct batch_room *room,
                       const struct entry *e)
{
    pg_array_put_int4(&a[CHANGE_ORD], ord);
    put_text(&a[CHANGE_PROJECT], room->project);
    put_text(&a[CHANGE_ROOM], room->room);
    pg_array_put_int8(&a[CHANGE_SEQ], (int64_t)e->seq);
    pg_array_put_int8(&a[CHANGE_UPDATED_SEQ], (int64_t)e->updated_seq);
    put_time(&a[CHANGE_EDITED], e->edited_us);
    put_time(&a[CHANGE_DELETED], e->deleted_us);
    put_time(&a[CHANGE_EXPIRES], e->expires_us);
    pg_array_put_int4(&a[CHANGE_VERSION], (int32_t)e->version);
    pg_array_put_int2(&a[CHANGE_FLAGS], (int16_t)e->flags);
    put_filled(&a[CHANGE_CLIENT_ID], e->client_id);
    put_text(&a[CHANGE_CONTENT], e->content);
    put_filled(&a[CHANGE_EXTRA], e->extra);
    put_filled(&a[CHANGE_VISIBLE_TO], e->visible_to);
    put_filled(&a[CHANGE_REACTIONS], e->reactions);
}

static void put_key(struct pg_array *a, int32_t ord, const struct batch_room *room,
                    const struct batch_key *key)
{
    pg_array_put_int4(&a[KEY_ORD], ord);
    put_text(&a[KEY_PROJECT], room->project);
    put_text(&a[KEY_ROOM], room->room);
    pg_array_put_bytes(&a[KEY_KEY], key->key, DEDUPE_LEN);
    pg_array_put_int8(&a[KEY_SEQ], (int64_t)key->seq);
    pg_array_put_int8(&a[KEY_TARGET], (int64_t)key->target);
}

/* ---- side writes ---- */

/* What is kept in the row of the room itself. */
static void put_room_ops(struct pg_array *a, const struct batch_room *room)
{
    const struct side_op none = {0};
    const struct side_op *pin = &none, *change = &none;

    for (size_t i = 0; i < room->n_ops; i++) {
        if (room->ops[i].kind == SIDE_PIN)
            pin = &room->ops[i];
        else if (room->ops[i].kind == SIDE_ROOM)
            change = &room->ops[i];
    }
    pg_array_put_bool(&a[ROOM_REPINS], pin != &none);
    put_number(&a[ROOM_PINNED_ID], pin->id);
    put_time(&a[ROOM_PINNED_AT], pin->id ? pin->at_us : 0);
    put_filled(&a[ROOM_PINNED_BY], pin->id ? pin->actor : none.actor);
    put_filled(&a[ROOM_TYPE], change->type);
    put_filled(&a[ROOM_NAME], change->text);
    put_filled(&a[ROOM_SETTINGS], change->json);
}

static void put_op(struct pg_array *a, int32_t ord, const struct batch_room *room,
                   const struct side_op *op)
{
    if (op->kind == SIDE_PIN || op->kind == SIDE_ROOM)
        return;
    pg_array_put_int4(&a[OP_ORD], ord);
    put_text(&a[OP_PROJECT], room->project);
    put_text(&a[OP_ROOM], room->room);
    pg_array_put_int2(&a[OP_KIND], (int16_t)op->kind);
    pg_array_put_int8(&a[OP_SEQ], (int64_t)op->seq);
    put_text(&a[OP_USER], op->user);
    put_text(&a[OP_ACTOR], op->actor);
    pg_array_put_int2(&a[OP_ROLE], (int16_t)op->role);
    put_time(&a[OP_AT], op->at_us);
    put_time(&a[OP_MUTED], op->muted_us);
    put_time(&a[OP_BANNED], op->banned_us);
    put_text(&a[OP_TEXT], op->text);
    put_filled(&a[OP_JSON], op->json);
}

/* ---- batches ---- */

static void choose_variant(struct pg_batch *b, const struct batch *batch)
{
    bool has_changes = false, has_ops = false;

    for (size_t i = 0; i < batch->n_rooms; i++) {
        has_changes |= batch->rooms[i].n_changed > 0 || batch->rooms[i].n_keys > 0;
        has_ops |= batch->rooms[i].n_ops > 0;
    }
    b->id = has_ops ? SQL_COMMIT_OPS : has_changes ? SQL_COMMIT_CHANGES : SQL_COMMIT;
    b->n_params = has_ops       ? BATCH_PARAMS
                  : has_changes ? BATCH_CHANGES_PARAMS
                                : BATCH_PLAIN_PARAMS;
}

void pg_batch_encode(struct pg_batch *b, const struct batch *batch)
{
    struct pg_array *a = b->arrays;

    choose_variant(b, batch);
    for (int i = 0; i < b->n_params; i++)
        pg_array_clear(&a[i]);
    for (size_t i = 0; i < batch->n_rooms; i++) {
        const struct batch_room *room = &batch->rooms[i];
        int32_t ord = (int32_t)i + 1;

        put_room(a, room);
        for (size_t k = 0; k < room->n_entries; k++)
            put_entry(a, ord, room, room->entries[k]);
        for (size_t k = 0; k < room->n_changed; k++)
            put_change(a, ord, room, room->changed[k]);
        for (size_t k = 0; k < room->n_keys; k++)
            put_key(a, ord, room, &room->keys[k]);
        if (b->id == SQL_COMMIT_OPS)
            put_room_ops(a, room);
        for (size_t k = 0; k < room->n_ops; k++)
            put_op(a, ord, room, &room->ops[k]);
    }
}
