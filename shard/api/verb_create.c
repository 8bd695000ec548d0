/* verb_create.c - ROOM_CREATE and DM_OPEN. See docs/protocol-client.md. */
#include <errno.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "common/wire/dm_room.h"
#include "shard/api/call.h"
#include "shard/api/room_body.h"
#include "shard/host/host.h"
#include "shard/limits.h"

static void reply_room(struct call *call, const struct room_host *room)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    room_body_short(&w, room);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* ---- making ---- */

static void on_created(void *arg, enum store_result result, bool created)
{
    struct call *call = arg;

    call->is_writing = false;
    if (!call_release(call))
        return;
    if (result != STORE_OK) {
        call_refuse(call, result == STORE_FAILED ? ERROR_internal_error : ERROR_unavailable, "",
                    0);
        return;
    }
    call->verb.is_created = created;
    call_find_room(call);
}

/* The caller has filled in type, name and members. */
static void create(struct call *call, struct room_create *row)
{
    struct store *store = call->host->store;

    row->project = call->project;
    row->room = call->room_id;
    row->created_by = call->user;
    row->fence = call->host->config.incarnation;
    call_hold(call);
    call->is_writing = true;
    if (store->ops->create_room(store, row, on_created, call) < 0 && call_release(call)) {
        call->is_writing = false;
        call_refuse(call, ERROR_unavailable, "", 0);
    }
}

/* Rooms are shown in milliseconds. */
static int64_t now_us(const struct call *call)
{
    struct store *store = call->host->store;
    int64_t now = env_steady_us(call->env) + store->ops->clock_offset_us(store);

    return now - now % 1000;
}

/* ---- ROOM_CREATE ---- */

/* The members named, with the creator as owner; one who is named twice keeps his first role. */
static size_t read_members(struct call *call, struct json_fields *f,
                           struct member_op ops[MEMBERS_PER_CALL + 1], int64_t at_us)
{
    const json_t *list = json_get_array_opt(f, "members", MEMBERS_PER_CALL, ERROR_bad_request);
    size_t n = 0;

    ops[n++] = (struct member_op){.user = call->user, .role = ROLE_OWNER, .at_us = at_us};
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct json_fields m = json_fields(json_array_get(list, i));
        struct slice user = json_get_id(&m, "userId", ERROR_invalid_id);
        struct slice role = json_get_str_opt(&m, "role", 1, ID_MAX, ERROR_invalid_role);
        enum member_role r = role.data ? role_parse(role) : ROLE_MEMBER;
        bool is_new = true;

        if (!json_fields_failed(&m) && r == ROLE_NONE)
            json_fields_fail(&m, ERROR_invalid_role, "role");
        if (json_fields_failed(&m)) {
            json_fields_fail(f, m.error, "members[%zu]: %s", i, m.detail);
            break;
        }
        for (size_t k = 0; k < n && is_new; k++)
            is_new = !slice_eq(ops[k].user, user);
        if (is_new)
            ops[n++] = (struct member_op){.user = user, .role = r, .at_us = at_us};
    }
    return n;
}

/* A dm is of two; an id by which two users find one another is theirs alone. */
static void check_dm(const struct call *call, struct json_fields *f,
                     const struct room_create *row)
{
    bool is_dm = room_type_parse(row->type) == ROOM_DM, is_theirs = false;
    char id[DM_ROOM_ID_LEN + 1];

    if (json_fields_failed(f))
        return;
    if (is_dm && row->n_members != 2) {
        json_fields_fail(f, ERROR_bad_request, "a dm needs exactly one other user in members");
        return;
    }
    if (!dm_room_id_is_reserved(call->room_id))
        return;
    if (is_dm)
        is_theirs =
            slice_eq(dm_room_id(row->members[0].user, row->members[1].user, id), call->room_id);
    if (!is_theirs)
        json_fields_fail(f, ERROR_invalid_id, "ids of this form are those of direct messages");
}

static void create_room(struct call *call)
{
    struct json_fields f = json_fields(call->params);
    struct member_op ops[MEMBERS_PER_CALL + 1];
    struct room_create row = {
        .name = json_get_str(&f, "name", 1, NAME_MAX_CHARS, ERROR_invalid_name),
        .type = json_get_str(&f, "type", 1, ID_MAX, ERROR_invalid_type),
        .created_us = now_us(call),
        .members = ops};

    if (!json_fields_failed(&f) && room_type_parse(row.type) == ROOM_TYPE_NONE)
        json_fields_fail(&f, ERROR_invalid_type,
                         "type must be dm, group, public or announcement");
    row.n_members = read_members(call, &f, ops, row.created_us);
    check_dm(call, &f, &row);
    if (json_fields_failed(&f))
        call_refuse_fields(call, &f);
    else
        create(call, &row);
}

void verb_room_create(struct call *call, struct room_host *room)
{
    struct actor actor;

    if (!room) {
        create_room(call);
        return;
    }
    actor = call_actor(call, room);
    switch (rules_enter(&actor)) {
    case ENTER_YES:
        reply_room(call, room);
        return;
    case ENTER_JOIN:
        call_join(call, room);
        return;
    case ENTER_NO:
        call_refuse(call, rules_refuse_read(&actor), "", 0);
        return;
    }
}

/* ---- DM_OPEN ---- */

static void reply_dm(struct call *call, const struct room_host *room)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_object(&w, "room");
    json_field_str(&w, "id", room->id);
    json_field_str(&w, "type", slice_str(room_type_name(room->facts.type)));
    json_field_str(&w, "name", slice_str(room->facts.name));
    json_field_time(&w, "created_at", room->facts.created_us);
    json_field_time(&w, "createdAt", room->facts.created_us);
    json_write_object_end(&w);
    json_field_bool(&w, "created", call->verb.is_created);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* Both are there from the beginning, and neither is above the other. */
static void create_dm(struct call *call, struct slice a, struct slice b)
{
    struct buf *name = &call->host->json2;
    struct member_op ops[2];
    struct room_create row = {
        .type = SLICE_LIT("dm"), .created_us = now_us(call), .members = ops, .n_members = 2};

    buf_clear(name);
    buf_put_slice(name, a);
    buf_put_slice(name, SLICE_LIT(", "));
    buf_put_slice(name, b);
    if (buf_failed(name)) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    row.name = buf_slice(name);
    ops[0] = (struct member_op){.user = a, .role = ROLE_MEMBER, .at_us = row.created_us};
    ops[1] = (struct member_op){.user = b, .role = ROLE_MEMBER, .at_us = row.created_us};
    create(call, &row);
}

void verb_dm_open(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice a = json_get_id(&f, "a", ERROR_invalid_id);
    struct slice b = json_get_id(&f, "b", ERROR_invalid_id);
    char id[DM_ROOM_ID_LEN + 1];
    struct actor actor;

    if (!json_fields_failed(&f) && slice_eq(a, b))
        json_fields_fail(&f, ERROR_bad_request, "a dm is of two different users");
    if (!json_fields_failed(&f) && !slice_eq(dm_room_id(a, b, id), call->room_id))
        json_fields_fail(&f, ERROR_bad_request, "object");
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (!slice_eq(call->user, a) && !slice_eq(call->user, b)) {
        call_refuse(call, ERROR_forbidden, "the caller must be one of the two", 0);
        return;
    }
    if (!room) {
        create_dm(call, a, b);
        return;
    }
    actor = call_actor(call, room);
    if (rules_enter(&actor) == ENTER_YES)
        reply_dm(call, room);
    else
        call_refuse(call, rules_refuse_read(&actor), "", 0);
}
