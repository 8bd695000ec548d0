/* verb_moderate.c - MODERATE: mute, unmute, ban, unban. See docs/protocol-client.md. */
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/host/attach.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/room/dedupe.h"

enum action { ACTION_MUTE, ACTION_UNMUTE, ACTION_BAN, ACTION_UNBAN };

static const struct {
    const char *name, *audit;
} actions[] = {
    [ACTION_MUTE] = {"mute", "room.mute"},
    [ACTION_UNMUTE] = {"unmute", "room.unmute"},
    [ACTION_BAN] = {"ban", "room.ban"},
    [ACTION_UNBAN] = {"unban", "room.unban"},
};

struct moderation {
    enum action action;
    struct slice user, reason;
    int64_t duration_s; /* 0: for good */
};

static bool read_action(struct json_fields *f, enum action *ret_action)
{
    struct slice name = json_get_str(f, "action", 1, ID_MAX, ERROR_bad_request);

    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (slice_eq_str(name, actions[i].name)) {
            *ret_action = (enum action)i;
            return true;
        }
    }
    json_fields_fail(f, ERROR_bad_request, "action must be mute, unmute, ban or unban");
    return false;
}

/* False: answered. */
static bool read(struct call *call, struct moderation *ret)
{
    struct json_fields f = json_fields(call->params);

    *ret = (struct moderation){0};
    (void)read_action(&f, &ret->action);
    ret->user = json_get_id(&f, "userId", ERROR_invalid_id);
    ret->reason = json_get_str_opt(&f, "reason", 0, REASON_MAX, ERROR_bad_request);
    ret->duration_s =
        json_get_int_opt(&f, "durationSeconds", 0, 1, RESTRICT_MAX_S, ERROR_bad_request);
    if (!json_fields_failed(&f))
        return true;
    call_refuse_fields(call, &f);
    return false;
}

/* ---- the answer ---- */

static void reply_done(struct call *call)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    if (call->verb.expires_us)
        json_field_time(&w, "expiresAt", call->verb.expires_us);
    else
        json_field_null(&w, "expiresAt");
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
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

/* ---- may he ---- */

/* Who the target is in this room: by the member list, and by the roles that his sockets here
 * have shown. */
static struct actor find_target(const struct room_host *room, struct slice user)
{
    unsigned roles = 0;
    struct room_gate *rg;
    struct attach *attach;

    list_for_each(rg, &room->gates, in_room)
    {
        list_for_each(attach, &rg->attaches, in_room_gate)
        {
            if (slice_eq(attach->user, user))
                roles |= attach->project_roles;
        }
    }
    return room_actor(room, user, roles);
}

/* False: answered. */
static bool is_allowed(struct call *call, const struct room_host *room,
                       const struct moderation *m)
{
    struct actor actor = call_actor(call, room);
    struct actor target = find_target(room, m->user);

    if (!rules_is_moderator(&actor)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return false;
    }
    if (slice_eq(m->user, call->user) || !rules_may_moderate(&actor, &target)) {
        call_refuse(call, ERROR_forbidden, "nobody moderates himself, an equal or a superior",
                    0);
        return false;
    }
    return true;
}

/* ---- doing it ---- */

static void write_detail(struct buf *out, const struct moderation *m, int64_t expires_us)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str_opt(&w, "reason", m->reason);
    if (m->duration_s)
        json_field_i64(&w, "durationSeconds", m->duration_s);
    if (expires_us)
        json_field_time(&w, "expiresAt", expires_us);
    json_write_object_end(&w);
}

/* What is in force afterwards. */
static void decide(const struct room_host *room, const struct moderation *m, int64_t now_us,
                   struct change_moderation *ret)
{
    int64_t until = m->duration_s ? now_us + m->duration_s * 1000000 : RESTRICT_FOREVER_US;

    until -= m->duration_s ? until % 1000 : 0; /* shown in milliseconds */
    ret->muted_us = restrictions_muted(&room->restrictions, m->user, now_us);
    ret->banned_us = restrictions_banned(&room->restrictions, m->user, now_us);
    ret->expires_us = 0;
    if (m->action == ACTION_MUTE || m->action == ACTION_BAN)
        ret->expires_us = m->duration_s ? until : 0;
    if (m->action == ACTION_MUTE || m->action == ACTION_UNMUTE)
        ret->muted_us = m->action == ACTION_MUTE ? until : 0;
    else
        ret->banned_us = m->action == ACTION_BAN ? until : 0;
}

static bool is_so_already(const struct room_host *room, const struct moderation *m,
                          int64_t now_us, const struct change_moderation *wanted)
{
    return restrictions_muted(&room->restrictions, m->user, now_us) == wanted->muted_us &&
           restrictions_banned(&room->restrictions, m->user, now_us) == wanted->banned_us;
}

/* A room keeps an owner, and has memory for so many. False: answered. */
static bool is_possible(struct call *call, struct room_host *room, const struct moderation *m,
                        enum member_role old_role)
{
    if (m->action == ACTION_BAN && old_role == ROLE_OWNER &&
        room->members.owners <= room->owners_leaving + 1) {
        call_refuse(call, ERROR_last_owner, "", 0);
        return false;
    }
    if (restrictions_count(&room->restrictions) < ROOM_RESTRICTIONS_MAX)
        return true;
    restrictions_prune(&room->restrictions, room_now_us(room));
    if (restrictions_count(&room->restrictions) < ROOM_RESTRICTIONS_MAX ||
        m->action == ACTION_UNMUTE || m->action == ACTION_UNBAN)
        return true;
    call_refuse(call, ERROR_too_many_restrictions, "", 0);
    return false;
}

static void change(struct call *call, struct room_host *room, const struct moderation *m)
{
    enum member_role role = members_role(&room->members, m->user);
    int64_t now_us = room_now_us(room);
    AUTO_BUF detail = BUF_INIT;
    uint8_t key[DEDUPE_LEN];
    struct change_moderation moderation = {.action = actions[m->action].name,
                                           .audit = actions[m->action].audit,
                                           .by = call->user,
                                           .key = key};
    struct change c = {.user = m->user,
                       .role = m->action == ACTION_BAN ? ROLE_NONE : role,
                       .moderation = &moderation};

    decide(room, m, now_us, &moderation);
    call->verb.expires_us = moderation.expires_us;
    if (c.role == role && is_so_already(room, m, now_us, &moderation)) {
        reply_done(call);
        return;
    }
    if (!is_possible(call, room, m, role))
        return;
    write_detail(&detail, m, moderation.expires_us);
    moderation.detail = buf_slice(&detail);
    dedupe_key(DEDUPE_GATEWAY, call->user, call->key, key);
    call->change_wait.fn = on_changed;
    if (buf_failed(&detail) || change_start(room, &c, &call->change_wait) < 0)
        call_refuse(call, ERROR_unavailable, "", 0);
    else
        call->is_writing = true;
}

void verb_moderate(struct call *call, struct room_host *room)
{
    struct moderation m;

    if (read(call, &m) && is_allowed(call, room, &m))
        change(call, room, &m);
}
