/* verb_rooms.c - ROOM_CREATE, ROOM_GET, ROOMS_LIST. See docs/protocol-client.md. */
#include <errno.h>

#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/store/store.h"

struct room_fields {
    struct slice id, type, name;
    int64_t created_us;
};

static void write_fields(struct json_writer *w, const struct room_fields *room)
{
    json_field_str(w, "id", room->id);
    json_field_str(w, "type", room->type);
    json_field_str(w, "name", room->name);
    json_field_time(w, "created_at", room->created_us);
}

static void write_pin(struct json_writer *w)
{
    json_field_null(w, "pinned_message_id");
    json_field_null(w, "pinned_at");
    json_field_null(w, "pinned_by_user_id");
}

static void reply_room(struct call *call, const struct room_host *room, bool with_pin)
{
    struct room_fields fields = {.id = room->id,
                                 .type = slice_str(room_type_name(room->type)),
                                 .name = slice_str(room->name),
                                 .created_us = room->created_us};
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_object(&w, "room");
    write_fields(&w, &fields);
    if (with_pin)
        write_pin(&w);
    json_write_object_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* ---- ROOM_GET ---- */

void verb_room_get(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);

    if (rules_may_read(&actor))
        reply_room(call, room, true);
    else
        call_refuse(call, ERROR_forbidden, "", 0);
}

/* ---- ROOM_CREATE ---- */

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

/* The members named, with the creator as owner; one who is named twice keeps his first role. */
static size_t read_members(struct call *call, struct json_fields *f,
                           struct member_op ops[MEMBERS_PER_CALL + 1], int64_t now_us)
{
    const json_t *list = json_get_array_opt(f, "members", MEMBERS_PER_CALL, ERROR_bad_request);
    size_t n = 0;

    ops[n++] = (struct member_op){.user = call->user, .role = ROLE_OWNER, .at_us = now_us};
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
            ops[n++] = (struct member_op){.user = user, .role = r, .at_us = now_us};
    }
    return n;
}

static void create(struct call *call)
{
    struct json_fields f = json_fields(call->params);
    struct store *store = call->host->store;
    int64_t now_us = env_wall_us(call->host->env) + store->ops->clock_offset_us(store);
    struct member_op ops[MEMBERS_PER_CALL + 1];
    struct room_create row = {
        .project = call->project,
        .room = call->room_id,
        .name = json_get_str(&f, "name", 1, NAME_MAX_CHARS, ERROR_invalid_name),
        .type = json_get_str(&f, "type", 1, ID_MAX, ERROR_invalid_type),
        .created_by = call->user,
        .created_us = now_us - now_us % 1000, /* shown in milliseconds */
        .fence = call->host->config.incarnation,
        .members = ops};

    if (!json_fields_failed(&f) && room_type_parse(row.type) == ROOM_TYPE_NONE)
        json_fields_fail(&f, ERROR_invalid_type,
                         "type must be dm, group, public or announcement");
    row.n_members = read_members(call, &f, ops, row.created_us);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    call_hold(call);
    call->is_writing = true;
    if (store->ops->create_room(store, &row, on_created, call) < 0 && call_release(call)) {
        call->is_writing = false;
        call_refuse(call, ERROR_unavailable, "", 0);
    }
}

void verb_room_create(struct call *call, struct room_host *room)
{
    struct actor actor;

    if (!room) {
        create(call);
        return;
    }
    actor = call_actor(call, room);
    switch (rules_enter(&actor)) {
    case ENTER_YES:
        reply_room(call, room, false);
        return;
    case ENTER_JOIN:
        call_join(call, room);
        return;
    case ENTER_NO:
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
}

/* ---- ROOMS_LIST ---- */

static void on_rooms(void *arg, enum store_result result, const struct rooms_page *page)
{
    struct call *call = arg;
    struct json_writer w = json_writer(&call->host->json);

    if (!call_release(call))
        return;
    if (result != STORE_OK) {
        call_refuse(call, ERROR_unavailable, "", 0);
        return;
    }
    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "rooms");
    for (size_t i = 0; i < page->n_rooms; i++) {
        const struct room_list_row *row = &page->rooms[i];
        struct room_fields fields = {row->room, row->type, row->name, row->created_us};

        json_write_object(&w);
        write_fields(&w, &fields);
        write_pin(&w);
        json_field_u64(&w, "unreadCount", row->messages);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_rooms_list(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice type = json_get_str_opt(&f, "type", 1, ID_MAX, ERROR_invalid_type);
    bool all = call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN);
    struct store *store = call->host->store;

    (void)room;
    if (!json_fields_failed(&f) && type.data && room_type_parse(type) == ROOM_TYPE_NONE)
        json_fields_fail(&f, ERROR_invalid_type,
                         "type must be dm, group, public or announcement");
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    call_hold(call);
    if (store->ops->list_rooms(store, call->project, call->user, all, type, on_rooms, call) <
            0 &&
        call_release(call))
        call_refuse(call, ERROR_unavailable, "", 0);
}
