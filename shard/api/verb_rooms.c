/* verb_rooms.c - ROOM_GET, ROOM_UPDATE, ROOM_DELETE. See docs/protocol-client.md. */
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/api/room_body.h"
#include "shard/host/host.h"
#include "shard/room/extra.h"

/* ---- ROOM_GET ---- */

void verb_room_get(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct json_writer w = json_writer(&call->host->json);

    if (!rules_may_read(&actor)) {
        call_refuse(call, rules_refuse_read(&actor), "", 0);
        return;
    }
    buf_clear(w.out);
    json_write_object(&w);
    room_body_full(&w, room, &actor);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* ---- ROOM_UPDATE ---- */

/* The room as it is to be. */
struct update {
    struct slice name;
    enum room_type type;
    struct room_settings settings;
    bool changes;
};

static void reply_updated(struct call *call, const struct room_host *room, uint64_t seq)
{
    struct actor actor = call_actor(call, room);
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "roomId", call->room_id);
    if (seq)
        json_field_u64(&w, "seq", seq);
    room_body_full(&w, room, &actor);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void on_updated(struct change_wait *wait, enum change_outcome outcome,
                       enum error_code error)
{
    struct call *call = container_of(wait, struct call, change_wait);
    struct room_host *room;

    if (!call_changed(call, outcome, error))
        return;
    room = room_find(call->host, call->project, call->room_id);
    if (room)
        reply_updated(call, room, wait->seq);
    else
        call_moved(call); /* asked again, it changes nothing */
}

/* What old clients may send and nothing here depends on. */
static void check_ignored(struct json_fields *f)
{
    (void)json_get_int_opt(f, "shardCount", 1, 1, 1024, ERROR_bad_request);
    if (json_get_bool_opt(f, "e2eEnabled", false))
        json_fields_fail(f, ERROR_not_implemented, "e2eEnabled");
}

static int merge_settings(const struct room_host *room, struct json_fields *f, struct update *u)
{
    const json_t *settings = json_get_object_opt(f, "settings", ERROR_invalid_settings);
    int r = room_settings_copy(&u->settings, &room->facts.settings);

    if (r == 0 && settings)
        r = room_settings_merge(&u->settings, settings, f);
    return r;
}

static int read_update(const struct room_host *room, struct json_fields *f, struct update *u)
{
    const struct room_facts *facts = &room->facts;
    struct slice type = json_get_str_opt(f, "type", 1, ID_MAX, ERROR_invalid_type);
    int r;

    u->name = json_get_str_opt(f, "name", 1, NAME_MAX_CHARS, ERROR_invalid_name);
    u->type = type.data ? room_type_parse(type) : facts->type;
    if (!u->name.data)
        u->name = slice_str(facts->name);
    if (u->type == ROOM_TYPE_NONE)
        json_fields_fail(f, ERROR_invalid_type,
                         "type must be dm, group, public or announcement");
    check_ignored(f);
    r = merge_settings(room, f, u);
    u->changes = r == 0 && (u->type != facts->type || !slice_eq_str(u->name, facts->name) ||
                            !room_settings_equal(&u->settings, &facts->settings));
    return r;
}

/* Commits the new image. -ENOMEM, -EBUSY. */
static int start_update(struct call *call, struct room_host *room, const struct update *u)
{
    struct slice type = slice_str(room_type_name(u->type));
    AUTO_BUF extra = BUF_INIT;
    AUTO_BUF settings = BUF_INIT;
    struct json_writer w = json_writer(&settings);
    struct side_op ops[] = {
        {.kind = SIDE_ROOM, .type = type, .text = u->name},
        {.kind = SIDE_AUDIT, .actor = call->user, .text = SLICE_LIT("room.update")},
    };
    struct room_event event = {
        .kind = ENTRY_ROOM, .user = call->user, .ops = ops, .n_ops = ARRAY_LEN(ops)};

    extra_write_room(&extra, u->name, type, &u->settings);
    room_settings_write(&w, &u->settings, true);
    if (buf_failed(&extra) || buf_failed(&settings))
        return -1;
    event.extra = ops[1].json = buf_slice(&extra);
    ops[0].json = buf_slice(&settings);
    call->change_wait.fn = on_updated;
    return change_start_event(room, &event, &call->change_wait);
}

static void update(struct call *call, struct room_host *room, struct update *u)
{
    struct json_fields f = json_fields(call->params);

    if (read_update(room, &f, u) < 0)
        call_refuse(call, ERROR_overloaded, "", 0);
    else if (json_fields_failed(&f))
        call_refuse_fields(call, &f);
    else if (!rules_may_become(room->facts.type, u->type))
        call_refuse(call, ERROR_conflict, "a dm stays one, and no other room becomes one", 0);
    else if (!u->changes)
        reply_updated(call, room, 0);
    else if (start_update(call, room, u) < 0)
        call_refuse(call, ERROR_unavailable, "", 0);
    else
        call->is_writing = true;
}

void verb_room_update(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct update u = {0};

    if (!rules_may_change_room(&actor)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    room_settings_init(&u.settings);
    update(call, room, &u);
    room_settings_deinit(&u.settings);
}

/* ---- ROOM_DELETE ---- */

static void reply_deleted(struct call *call)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "roomId", call->room_id);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void on_deleted(void *arg, enum store_result result, bool deleted)
{
    struct call *call = arg;
    struct room_host *room;

    call->is_writing = false;
    if (result == STORE_OK && deleted) {
        room = room_find(call->host, call->project, call->room_id);
        if (room)
            room_close(room, ROOM_END_DELETED);
    }
    if (!call_release(call))
        return;
    if (result == STORE_OK && !deleted)
        call_moved(call); /* another shard has it */
    else if (result == STORE_OK || result == STORE_NOT_FOUND)
        reply_deleted(call);
    else
        call_refuse(call, result == STORE_FAILED ? ERROR_internal_error : ERROR_unavailable, "",
                    0);
}

/* It is on record that the room is to go; now it goes. */
static void on_announced(struct change_wait *wait, enum change_outcome outcome,
                         enum error_code error)
{
    struct call *call = container_of(wait, struct call, change_wait);
    struct store *store = call->host->store;

    if (!call_changed(call, outcome, error))
        return;
    call_hold(call);
    call->is_writing = true;
    if (store->ops->delete_room(store, call->project, call->room_id,
                                call->host->config.incarnation, on_deleted, call) < 0 &&
        call_release(call)) {
        call->is_writing = false;
        call_refuse(call, ERROR_unavailable, "", 0);
    }
}

static void announce_deletion(struct call *call, struct room_host *room)
{
    struct side_op op = {.kind = SIDE_AUDIT,
                         .actor = call->user,
                         .text = SLICE_LIT("room.delete"),
                         .json = SLICE_LIT("{}")};
    struct room_event event = {.kind = ENTRY_ROOM,
                               .user = call->user,
                               .extra = SLICE_LIT("{\"deleted\":true}"),
                               .ops = &op,
                               .n_ops = 1};

    call->change_wait.fn = on_announced;
    if (change_start_event(room, &event, &call->change_wait) < 0)
        call_refuse(call, ERROR_unavailable, "", 0);
    else
        call->is_writing = true;
}

void verb_room_delete(struct call *call, struct room_host *room)
{
    struct actor actor = {.project_roles = call->project_roles};

    if (room)
        actor = call_actor(call, room);
    if (!rules_may_delete_room(&actor))
        call_refuse(call, ERROR_forbidden, "", 0);
    else if (!room)
        reply_deleted(call); /* perhaps by this very call, sent before */
    else
        announce_deletion(call, room);
}
