/* verb_members.c - MEMBERS_LIST, MEMBER_ADD, MEMBER_REMOVE. See docs/protocol-client.md. */
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/host/host.h"

/* ---- MEMBERS_LIST ---- */

static void write_member(struct json_writer *w, const struct member *m)
{
    json_write_object(w);
    json_field_str(w, "userId", m->user);
    json_field_str(w, "role", slice_str(role_name(m->role)));
    json_field_time(w, "joinedAt", m->joined_us);
    json_field_bool(w, "notifyEnabled", m->notify_enabled);
    json_field_raw(w, "preferences", m->preferences.len ? m->preferences : SLICE_LIT("{}"));
    json_write_object_end(w);
}

void verb_members_list(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct json_writer w = json_writer(&call->host->json);
    const struct member **list;
    size_t n;

    if (!rules_may_read(&actor)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    list = members_sorted(&room->members, MEMBERS_PAGE, &n);
    if (!list) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "members");
    for (size_t i = 0; i < n; i++)
        write_member(&w, list[i]);
    json_write_array_end(&w);
    json_write_object_end(&w);
    free(list);
    call_reply_buf(call, w.out);
}

/* ---- changes ---- */

static void reply_added(struct call *call)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "roomId", call->room_id);
    json_field_str(&w, "userId", call->verb.target);
    json_field_str(&w, "role", slice_str(role_name(call->verb.role)));
    json_field_bool(&w, "e2eRewrapped", false);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void reply_done(struct call *call)
{
    if (call->verb.role == ROLE_NONE)
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
    else
        reply_added(call);
}

static void on_changed(struct change_wait *wait, enum change_outcome outcome,
                       enum error_code error)
{
    struct call *call = container_of(wait, struct call, change_wait);

    call->is_writing = false;
    switch (outcome) {
    case CHANGE_DONE:
        reply_done(call);
        return;
    case CHANGE_AGAIN:
        call_find_room(call);
        return;
    case CHANGE_FAILED:
        call_refuse(call, error, "", 0);
        return;
    case CHANGE_MOVED:
        call_moved(call);
        return;
    }
}

static bool takes_last_owner(const struct room_host *room, enum member_role old_role,
                             enum member_role new_role)
{
    return old_role == ROLE_OWNER && new_role != ROLE_OWNER &&
           room->members.owners <= room->owners_leaving + 1;
}

/* Gives call->verb.target the role call->verb.role. */
static void change(struct call *call, struct room_host *room)
{
    enum member_role old_role = members_role(&room->members, call->verb.target);
    enum member_role new_role = call->verb.role;
    struct change c = {.user = call->verb.target, .role = new_role};

    if (old_role == new_role) {
        reply_done(call);
        return;
    }
    if (takes_last_owner(room, old_role, new_role)) {
        call_refuse(call, ERROR_last_owner, "", 0);
        return;
    }
    if (old_role == ROLE_NONE && members_count(&room->members) >= ROOM_MEMBERS_MAX) {
        call_refuse(call, ERROR_too_many_members, "", 0);
        return;
    }
    call->change_wait.fn = on_changed;
    if (change_start(room, &c, &call->change_wait) < 0)
        call_refuse(call, ERROR_unavailable, "", 0);
    else
        call->is_writing = true;
}

void verb_member_add(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    struct slice role;

    call->verb.target = json_get_id(&f, "userId", ERROR_invalid_id);
    role = json_get_str_opt(&f, "role", 1, ID_MAX, ERROR_invalid_role);
    call->verb.role = role.data ? role_parse(role) : ROLE_MEMBER;
    if (!json_fields_failed(&f) && call->verb.role == ROLE_NONE)
        json_fields_fail(&f, ERROR_invalid_role,
                         "role must be owner, admin, moderator, member or guest");
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    /* Adding somebody again without naming a role leaves the one that he has. */
    if (!role.data && members_role(&room->members, call->verb.target) != ROLE_NONE)
        call->verb.role = members_role(&room->members, call->verb.target);
    if (rules_may_change_member(&actor, members_role(&room->members, call->verb.target),
                                call->verb.role))
        change(call, room);
    else
        call_refuse(call, ERROR_forbidden, "", 0);
}

void verb_member_remove(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    bool is_oneself;

    call->verb.target = json_get_id(&f, "userId", ERROR_invalid_id);
    call->verb.role = ROLE_NONE;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    is_oneself = slice_eq(call->verb.target, call->user) && actor.role != ROLE_NONE;
    if (is_oneself || rules_may_change_member(
                          &actor, members_role(&room->members, call->verb.target), ROLE_NONE))
        change(call, room);
    else
        call_refuse(call, ERROR_forbidden, "", 0);
}
