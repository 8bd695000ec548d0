/* attach.c - sockets coming and going. See attach.h. */
#include "shard/host/attach.h"

#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/cluster/ring.h"
#include "shard/host/catchup.h"
#include "shard/host/find.h"
#include "shard/host/frame_in.h"
#include "shard/host/old.h"
#include "shard/host/op.h"
#include "shard/host/presence.h"
#include "shard/host/token_stream.h"
#include "shard/metrics.h"

#define OBJECT_MAX (sizeof("room//") + 2 * ID_MAX)

/* ---- to the gateway ---- */

void attach_send(struct attach *attach, uint64_t done_n, uint64_t cursor, struct slice json)
{
    struct msg msg = {.type = MSG_TO_ATTACH,
                      .TO_ATTACH = {.attach = attach->number,
                                    .done_n = done_n,
                                    .cursor = cursor,
                                    .json = json,
                                    .epoch = attach->epoch}};

    if (cursor > 0 &&
        (!attach->generation_is_told || attach->told_between != attach->is_between)) {
        attach->generation_is_told = true;
        attach->told_between = attach->is_between;
        msg.TO_ATTACH.generation = attach->is_between
                                       ? generations_partial(&attach->room->generations)
                                       : room_generation(attach->room);
    }
    gate_send(attach->gate, &msg);
}

/* ---- going ---- */

static void free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

/* What belongs to the connection and not to the presence: ends with a link, a restart, the
 * attach. */
static void stop(struct attach *attach)
{
    list_del(&attach->in_wait);
    list_del(&attach->join.link);
    catchup_cancel(attach);
    find_cancel(TAKE(attach->find));
    token_streams_on_attach_gone(attach);
    attach->is_blocked = false;
    ops_orphan(attach);
    frames_drop_held(attach);
    if (attach->state == ATTACH_LIVE)
        attach->room_gate->n_live--;
    attach->room->n_ghosts -= attach->state == ATTACH_GHOST;
    attach->state = ATTACH_WAITING;
    attach->last_n = 0;
    attach->is_behind_gap = false;
}

static void detach(struct attach *attach)
{
    struct gate *gate = attach->gate;

    list_del(&attach->in_room_gate);
    room_gate_put(attach->room_gate);
    map_remove(&gate->attaches, &attach->node);
    gate->host->metrics->attaches--;
    env_free_later(gate->host->env, &attach->dead);
}

void attach_forget(struct attach *attach)
{
    stop(attach);
    attach->present = NULL; /* the roster goes with the room */
    detach(attach);
}

void attach_remove(struct attach *attach)
{
    old_on_gone(attach, OLD_CLIENT_DOUBT_MS, UINT64_MAX);
    stop(attach);
    if (attach->present) {
        presence_on_gone(attach);
        if (!roster_find(&attach->room->roster, attach->user))
            token_streams_on_user_gone(attach->room, attach->user);
    }
    detach(attach);
}

void attach_close(struct attach *attach, uint32_t code, const char *reason)
{
    gate_send_close(attach->gate, attach->number, attach->epoch, code, reason);
    attach_remove(attach);
}

void attach_unblock(struct attach *attach)
{
    attach->is_blocked = false;
    frames_run_held(attach);
}

void attach_become_ghost(struct attach *attach)
{
    if (!attach->present) {
        attach_remove(attach);
        return;
    }
    old_on_gone(attach, OLD_CLIENT_DOUBT_MS, UINT64_MAX);
    stop(attach);
    attach->state = ATTACH_GHOST;
    attach->room->n_ghosts++;
}

/* ---- coming ---- */

static struct slice put(char **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

static struct attach *attach_new(struct gate *gate, const struct msg_ATTACH *msg)
{
    struct attach *a =
        calloc(1, sizeof(*a) + msg->user.len + msg->socket_id.len + msg->user_info.len);
    char *at;

    if (!a)
        return NULL;
    at = a->bytes;
    a->user = put(&at, msg->user);
    a->socket_id = put(&at, msg->socket_id);
    a->user_info = put(&at, msg->user_info);
    a->gate = gate;
    a->number = msg->attach;
    a->state = ATTACH_WAITING;
    list_init(&a->in_room_gate);
    list_init(&a->in_wait);
    list_init(&a->join.link);
    list_init(&a->ops);
    list_init(&a->held);
    later_init(&a->dead, free_now, a);
    return a;
}

/* Puts a new attach into its gate and room. */
static struct attach *attach_add(struct gate *gate, struct room_host *room,
                                 const struct msg_ATTACH *msg)
{
    struct attach *a = attach_new(gate, msg);

    if (!a)
        return NULL;
    a->room = room;
    a->room_gate = room_gate_get(room, gate);
    if (!a->room_gate) {
        free(a);
        return NULL;
    }
    if (map_insert(&gate->attaches, &a->node, hash_u64(a->number)) < 0) {
        room_gate_put(a->room_gate);
        free(a);
        return NULL;
    }
    list_add_tail(&a->room_gate->attaches, &a->in_room_gate);
    gate->host->metrics->attaches++;
    return a;
}

static void take_params(struct attach *attach, const struct msg_ATTACH *msg)
{
    attach->sender = ++attach->gate->host->sender_count;
    attach->epoch = msg->epoch;
    attach->gap_n = msg->gap_n;
    attach->flags = msg->flags;
    attach->replay_limit =
        msg->replay_limit ? MIN(msg->replay_limit, SNAPSHOT_MAX) : SNAPSHOT_DEFAULT;
    attach->project_roles = project_roles_parse(msg->roles);
    attach->last_seq = msg->last_seq;
    attach->generation_is_told = attach->is_between = false;
    attach->suspect_left = 0;
    attach->given_generation_len = (uint8_t)MIN(msg->generation.len, GENERATION_TEXT_MAX);
    memcpy(attach->given_generation, msg->generation.len ? msg->generation.data : "",
           attach->given_generation_len);
}

static void start_over(struct attach *attach, const struct msg_ATTACH *msg)
{
    attach->was_live = attach->state == ATTACH_LIVE && (msg->flags & ATTACH_BEHIND);
    stop(attach);
}

static bool are_ids_valid(const struct msg_ATTACH *msg)
{
    return ident_is_valid(msg->project) && ident_is_valid(msg->room) &&
           ident_is_valid(msg->user);
}

static void wait_for_room(struct attach *attach)
{
    attach->state = ATTACH_WAITING;
    list_add_tail(&attach->room->waiting, &attach->in_wait);
    if (attach->flags & ATTACH_REATTACH)
        claims_hurry(attach->room);
}

/* Of valid ids. */
static struct slice object_name(char bytes[OBJECT_MAX], struct slice project, struct slice room)
{
    return slice_of(bytes,
                    (size_t)snprintf(bytes, OBJECT_MAX, "room/%.*s/%.*s", (int)project.len,
                                     project.data, (int)room.len, room.data));
}

void attach_on_attach(struct gate *gate, const struct msg_ATTACH *msg)
{
    struct host *host = gate->host;
    struct attach *attach = gate_find_attach(gate, msg->attach);
    char bytes[OBJECT_MAX];
    struct slice object;
    struct room_host *room;

    if (!are_ids_valid(msg)) {
        gate_send_close(gate, msg->attach, msg->epoch, 1008, "invalid_id");
        return;
    }
    object = object_name(bytes, msg->project, msg->room);
    if (attach &&
        !(slice_eq(attach->room->object, object) && slice_eq(attach->user, msg->user))) {
        attach_remove(attach);
        attach = NULL;
    }
    room = attach ? attach->room : room_find(host, msg->project, msg->room);
    if (!room && !host_owns(host, object)) {
        gate_send_moved(gate, object);
        return;
    }
    if (!room)
        room = room_open(host, msg->project, msg->room);
    if (room && !attach)
        attach = attach_add(gate, room, msg);
    else if (room)
        start_over(attach, msg);
    if (!attach) {
        gate_send_close(gate, msg->attach, msg->epoch, 1013, "overloaded");
        return;
    }
    host->metrics->attached++;
    log_debug("attach", L_SLICE("room", object), L_U64("attach", msg->attach),
              L_U64("flags", msg->flags), L_SLICE("trace_id", msg->trace));
    take_params(attach, msg);
    room_touch(room);
    if (room->state == ROOM_ACTIVE)
        attach_begin(attach);
    else
        wait_for_room(attach);
}

/* Who is in a sleeping room is to be told something, once all have been attached again: that
 * somebody has left, or what one was too slow for. What cannot be done now, the gateway asks
 * for again. */
static void wake(struct gate *gate, struct slice project, struct slice name)
{
    struct host *host = gate->host;
    struct msg awake = {.type = MSG_WAKE, .WAKE = {.project = project, .room = name}};
    struct room_host *room;

    if (!ident_is_valid(project) || !ident_is_valid(name) || !host_serves(host, project, name))
        return;
    room = room_find(host, project, name);
    if (!room) {
        (void)room_open(host, project, name);
    } else if (room->state == ROOM_ACTIVE) {
        awake.WAKE.seq = room->seq;
        gate_send(gate, &awake);
    }
}

void attach_on_detach(struct gate *gate, const struct msg_DETACH *msg)
{
    struct attach *attach = gate_find_attach(gate, msg->attach);

    if (attach) { /* else its room sleeps, or has moved */
        room_touch(attach->room);
        old_on_gone(attach, msg->doubt_ms, msg->cursor ? msg->cursor : UINT64_MAX);
        if (!msg->hold || !attach->present || gate_hold(attach) < 0)
            attach_remove(attach);
        return;
    }
    old_on_gone_asleep(gate->host, msg);
    if (msg->wake)
        wake(gate, msg->project, msg->room);
}

void attach_on_refresh(struct gate *gate, const struct msg_REFRESH *msg)
{
    struct attach *attach = gate_find_attach(gate, msg->attach);

    if (!attach) /* has crossed a SLEEP, or a MOVED: then it is attached elsewhere, and told */
        wake(gate, msg->project, msg->room);
    else if (attach->state == ATTACH_LIVE)
        presence_tell(attach);
}

void attach_on_more(struct gate *gate, const struct msg_MORE *msg)
{
    struct attach *attach = gate_find_attach(gate, msg->attach);

    if (attach && attach->catchup)
        catchup_more(attach->catchup);
}

/* ---- entering ---- */

/* Who could only enter by roles that he has lost leaves. */
void attach_on_roles(struct gate *gate, const struct msg_ROLES *msg)
{
    struct attach *attach = gate_find_attach(gate, msg->attach);
    struct actor actor;

    if (!attach)
        return; /* its room sleeps, or has moved: the next ATTACH bears them */
    attach->project_roles = project_roles_parse(msg->roles);
    if (attach->room->state != ROOM_ACTIVE || !attach_is_inside(attach))
        return; /* asked when it enters */
    actor = room_actor(attach->room, attach->user, attach->project_roles);
    if (rules_enter(&actor) != ENTER_YES)
        attach_close(attach, 1008, rules_close_reason(&actor));
}

static void on_joined(struct change_wait *wait, enum change_outcome outcome,
                      enum error_code error)
{
    struct attach *attach = container_of(wait, struct attach, join);

    switch (outcome) {
    case CHANGE_DONE:
    case CHANGE_AGAIN:
        if (attach->room->state == ROOM_ACTIVE)
            attach_begin(attach);
        else
            wait_for_room(attach); /* and be told where the room went */
        return;
    case CHANGE_FAILED:
        attach_close(attach, 1013, error_info(error)->code);
        return;
    case CHANGE_MOVED:
        wait_for_room(attach);
        return;
    }
}

/* A public room takes anybody in, as a member. */
static void join(struct attach *attach)
{
    struct change change = {.user = attach->user, .role = ROLE_MEMBER};

    if (members_count(&attach->room->members) >= ROOM_MEMBERS_MAX) {
        attach_close(attach, 1008, "channel_at_capacity");
        return;
    }
    attach->state = ATTACH_JOINING;
    attach->join.fn = on_joined;
    if (change_start(attach->room, &change, &attach->join) < 0)
        attach_close(attach, 1013, "overloaded");
}

static void enter(struct attach *attach)
{
    bool is_observer = attach->flags & ATTACH_OBSERVER;

    old_on_enter(attach);
    if (!attach->present && !is_observer)
        attach->present = roster_add(&attach->room->roster, attach->user, attach->user_info);
    if (attach->present && (attach->flags & ATTACH_REATTACH))
        presence_on_back(attach);
    attach->state = ATTACH_CATCHING;
    if ((!attach->present && !is_observer) || catchup_start(attach) < 0)
        attach_close(attach, 1013, "overloaded");
}

void attach_begin(struct attach *attach)
{
    struct actor actor = room_actor(attach->room, attach->user, attach->project_roles);

    switch (rules_enter(&actor)) {
    case ENTER_YES:
        enter(attach);
        return;
    case ENTER_JOIN:
        /* Who was in before and is no member now has been taken off the list. */
        if (attach->flags & ATTACH_REATTACH)
            attach_close(attach, 1008, "not_member");
        else
            join(attach);
        return;
    case ENTER_NO:
        attach_close(attach, 1008, rules_close_reason(&actor));
        return;
    }
}

void attach_become_live(struct attach *attach, uint64_t at)
{
    struct room_host *room = attach->room;
    struct msg msg = {.type = MSG_ATTACHED,
                      .ATTACHED = {.attach = attach->number,
                                   .seq = MAX(at, room->seq),
                                   .generation = room_generation(room),
                                   .epoch = attach->epoch}};

    gate_send(attach->gate, &msg);
    attach->state = ATTACH_LIVE;
    old_on_live(attach);
    attach->room_gate->n_live++;
    if (attach->was_live)
        presence_tell(attach); /* the others know of it all along */
    else if (attach->present)
        presence_on_live(attach, attach->flags & ATTACH_REATTACH);
    token_streams_on_user_here(room, attach->user);
    frames_run_held(attach);
}
