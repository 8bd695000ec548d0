/* verb_members.c - MEMBERS_LIST, MEMBER_ADD, MEMBER_REMOVE, MEMBER_PREFERENCES. See
 * docs/protocol-client.md. */
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/limits.h"

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

/* cursor: of the next page; data NULL: this was the last. */
static void end_list(struct call *call, struct json_writer *w, struct slice cursor)
{
    json_write_array_end(w);
    json_field_bool(w, "hasMore", cursor.data != NULL);
    if (cursor.data)
        json_field_str(w, "nextCursor", cursor);
    else
        json_field_null(w, "nextCursor");
    json_write_object_end(w);
    call_reply_buf(call, w->out);
}

/* All of them, by the time of their joining. */
static void list_from_memory(struct call *call, struct room_host *room)
{
    struct json_writer w = json_writer(&call->host->json);
    const struct member **list;
    size_t n;

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
    free(list);
    end_list(call, &w, slice_of(NULL, 0));
}

static void on_members(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);
    size_t n = MIN(rows->n_rows, (size_t)call->verb.limit);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "members");
    for (size_t i = 0; i < n; i++)
        json_write_raw(&w, query_cell(rows, i, 0));
    end_list(call, &w, rows->n_rows > n ? query_cell(rows, n - 1, 1) : slice_of(NULL, 0));
}

/* A page, by user id: the order in which the store finds the next one. */
static void list_from_store(struct call *call, struct slice cursor)
{
    struct store_query q = query_of(call, SQL_QUERY_members_page);

    query_text(&q, call->room_id);
    query_text(&q, cursor.data ? cursor : SLICE_LIT(""));
    query_int(&q, call->verb.limit + 1);
    call_query(call, &q, on_members);
}

void verb_members_list(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    struct slice cursor = json_get_id_opt(&f, "cursor", ERROR_invalid_cursor);
    int64_t limit =
        json_get_int_opt(&f, "limit", 0, 1, (int64_t)MEMBERS_PAGE, ERROR_invalid_limit);

    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (!rules_may_read(&actor)) {
        call_refuse(call, rules_refuse_read(&actor), "", 0);
        return;
    }
    call->verb.limit = limit ? limit : MEMBERS_PAGE;
    if (!cursor.data && members_count(&room->members) <= (size_t)call->verb.limit)
        list_from_memory(call, room);
    else
        list_from_store(call, cursor);
}

/* ---- changes ---- */

static void reply_added(struct call *call, uint64_t seq)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "roomId", call->room_id);
    json_field_str(&w, "userId", call->verb.target);
    json_field_str(&w, "role", slice_str(role_name(call->verb.role)));
    json_field_bool(&w, "e2eRewrapped", false);
    if (seq)
        json_field_u64(&w, "seq", seq);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void reply_removed(struct call *call, uint64_t seq)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    if (seq)
        json_field_u64(&w, "seq", seq);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* seq: of the change; 0: there was nothing to change. */
static void reply_done(struct call *call, uint64_t seq)
{
    if (call->verb.role == ROLE_NONE)
        reply_removed(call, seq);
    else
        reply_added(call, seq);
}

static void on_changed(struct change_wait *wait, enum change_outcome outcome,
                       enum error_code error)
{
    struct call *call = container_of(wait, struct call, change_wait);

    if (call_changed(call, outcome, error))
        reply_done(call, wait->seq);
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
    struct change c = {.user = call->verb.target, .role = new_role, .actor = call->user};

    if (old_role == new_role) {
        reply_done(call, 0);
        return;
    }
    if (room->facts.type == ROOM_DM) {
        call_refuse(call, ERROR_dm_members, "", 0);
        return;
    }
    if (takes_last_owner(room, old_role, new_role)) {
        call_refuse(call, ERROR_last_owner, "", 0);
        return;
    }
    if (old_role == ROLE_NONE && room_actor(room, call->verb.target, 0).is_banned) {
        call_refuse(call, ERROR_banned, "the user is banned from the room", 0);
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

/* ---- MEMBER_PREFERENCES ---- */

/* A text of the object, or NULL: none is given. */
static char *read_preferences(struct json_fields *f)
{
    const json_t *object = json_get_object_opt(f, "preferences", ERROR_bad_request);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    if (object && !text)
        json_fields_fail(f, ERROR_overloaded, "%s", "");
    else if (text && strlen(text) > PREFERENCES_MAX)
        json_fields_fail(f, ERROR_bad_request, "preferences must take at most %u bytes",
                         PREFERENCES_MAX);
    return text;
}

static void reply_member(struct call *call, const struct member *m)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_write_key(&w, "member");
    w.need_comma = false; /* the value after the key */
    write_member(&w, m);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void on_preferences(struct call *call, const struct query_rows *rows)
{
    struct room_host *room = room_find(call->host, call->project, call->room_id);
    const struct member *m = NULL;

    if (rows->n_rows == 0) {
        call_refuse(call, ERROR_not_member, "", 0);
        return;
    }
    if (room && room->state == ROOM_ACTIVE)
        m = members_find(&room->members, call->user);
    if (!m) {
        call_moved(call); /* asked again, it writes the same */
        return;
    }
    if (members_set_preferences(&room->members, call->user, query_cell_bool(rows, 0, 0),
                                query_cell(rows, 0, 1), query_cell_int(rows, 0, 2)) < 0)
        call_refuse(call, ERROR_overloaded, "", 0);
    else
        reply_member(call, members_find(&room->members, call->user));
}

void verb_member_preferences(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct store_query q = query_of(call, SQL_QUERY_member_preferences);
    struct actor actor = call_actor(call, room);
    bool has_notify = !json_is_null(json_object_get(call->params, "notifyEnabled")) &&
                      json_object_get(call->params, "notifyEnabled");
    bool notify = json_get_bool_opt(&f, "notifyEnabled", true);
    char *preferences = read_preferences(&f);

    query_text(&q, call->room_id);
    query_text(&q, call->user);
    if (has_notify)
        query_bool(&q, notify);
    else
        query_null(&q);
    query_text(&q, preferences ? slice_str(preferences) : slice_of(NULL, 0));
    if (json_fields_failed(&f))
        call_refuse_fields(call, &f);
    else if (!rules_may_read(&actor)) /* is not told whether there is such a room */
        call_refuse(call, rules_refuse_read(&actor), "", 0);
    else if (actor.role == ROLE_NONE)
        call_refuse(call, ERROR_not_member, "", 0);
    else
        call_query(call, &q, on_preferences);
    free(preferences);
}
