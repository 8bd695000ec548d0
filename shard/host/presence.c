/* presence.c - see presence.h. */
#include "shard/host/presence.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/host/settle.h"
#include "shard/host/typing.h"
#include "shard/metrics.h"

/* ---- frames ---- */

/* About who is here: left out where nobody wants to know. */
static void broadcast(struct room_host *room, uint32_t flags, const struct attach *except,
                      struct slice json)
{
    room_fanout(room, 0, EVENT_EPHEMERAL | EVENT_PRESENCE | flags, except, json);
}

static void send_presence(struct room_host *room, uint64_t now_ms)
{
    struct buf *json = &room->host->json;
    bool is_listed = turnout_is_listed(room->roster.n_users);

    buf_clear(json);
    frame_presence(json, room->id, &room->roster);
    broadcast(room, 0, NULL, buf_slice(json));
    if (!is_listed) {
        buf_clear(json);
        frame_presence_delta(json, room->id, &room->roster, &room->turnout);
        broadcast(room, EVENT_NATIVE_ONLY, NULL, buf_slice(json));
    }
    buf_clear(json);
    frame_subscription_count(json, room->id, &room->roster);
    broadcast(room, 0, NULL, buf_slice(json));
    room->host->metrics->presence_published++;
    turnout_published(&room->turnout, is_listed ? 2 : 3, now_ms);
}

static size_t count_listeners(const struct room_host *room)
{
    const struct room_gate *rg;
    size_t n = 0;

    list_for_each(rg, &room->gates, in_room) n += rg->n_live;
    return n;
}

static void send_notice(struct room_host *room, uint64_t now_ms)
{
    struct turnout_notice *notice = turnout_take_notice(&room->turnout);

    if (count_listeners(room) > (notice->socket ? 1 : 0)) {
        broadcast(room, 0, notice->socket, notice->json);
        room->host->metrics->presence_notices++;
        turnout_account(&room->turnout, 1, now_ms);
    }
    free(notice);
}

/* ---- pacing ---- */

static uint64_t take_left_out(struct turnout *turnout)
{
    uint64_t n = turnout->left_out;

    turnout->left_out = 0;
    return n;
}

/* Sends what may go out now, and plans the rest. */
static void tell(struct room_host *room)
{
    struct turnout_size size = {room->roster.n_users, room->roster.n_sockets};
    uint64_t now_ms = env_now_ms(room->host->env), wait_ms;
    enum turnout_step step;

    if (!turnout_is_listed(size.n_users))
        room->host->metrics->presence_left_out += turnout_drop_notices(&room->turnout);
    room->host->metrics->presence_left_out += take_left_out(&room->turnout);
    while ((step = turnout_next(&room->turnout, size, now_ms, &wait_ms)) != TURNOUT_WAIT) {
        if (step == TURNOUT_NOTICE)
            send_notice(room, now_ms);
        else
            send_presence(room, now_ms);
    }
    if (wait_ms > 0 && env_timer(room->host->env, &room->presence_timer, wait_ms) < 0)
        return; /* out of memory: the next change of the room tries again */
}

/* While the room settles, nothing is known well enough to be told. */
static void tell_unless_settling(struct room_host *room)
{
    if (room->state != ROOM_CLOSED && room->settle.phase != SETTLE_ASKING)
        tell(room);
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    tell_unless_settling(arg);
}

static void on_turn_end(struct later *later, void *arg)
{
    (void)later;
    tell_unless_settling(arg);
}

void presence_refresh(struct room_host *room)
{
    turnout_touch(&room->turnout, env_now_ms(room->host->env));
    env_later(room->host->env, &room->presence_later);
}

/* ---- sockets ---- */

/* Empty when notices are not for a room of this size. */
static struct slice joined_json(const struct attach *attach)
{
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;

    buf_clear(json);
    if (turnout_is_listed(room->roster.n_users))
        frame_member_joined(json, room->id, attach->user, attach->present->info,
                            attach->socket_id);
    return buf_failed(json) ? slice_of(NULL, 0) : buf_slice(json);
}

static struct slice left_json(struct room_host *room, struct slice user)
{
    struct buf *json = &room->host->json;

    buf_clear(json);
    if (turnout_is_listed(room->roster.n_users))
        frame_member_left(json, room->id, user);
    return buf_failed(json) ? slice_of(NULL, 0) : buf_slice(json);
}

/* The others know him already, or are not to be told: he was here before the room slept, or
 * before it came to us. */
static bool is_no_news(struct room_host *room, struct slice user, bool is_back)
{
    if (settle_take_absent(room, user))
        return true;
    return is_back && env_now_ms(room->host->env) < room->settle.silent_until_ms;
}

void presence_on_live(struct attach *attach, bool is_back)
{
    struct room_host *room = attach->room;
    struct roster_user *user = attach->present;

    if (!user->is_announced && !is_no_news(room, user->user, is_back))
        turnout_join(&room->turnout, user->user, user->info, joined_json(attach), attach);
    user->is_announced = true;
    if (is_back)
        typing_on_back(attach);
    presence_refresh(room);
}

void presence_on_back(struct attach *attach)
{
    struct roster_user *user = attach->present;

    user->is_announced |= is_no_news(attach->room, user->user, true);
}

/* In a room of counts it does not learn what it has missed: the next deltas begin here. */
static void tell_truncated(struct attach *attach)
{
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;
    struct turnout nothing;

    turnout_init(&nothing);
    nothing.is_incomplete = true;
    buf_clear(json);
    frame_presence_delta(json, room->id, &room->roster, &nothing);
    attach_send(attach, 0, 0, buf_slice(json));
    turnout_deinit(&nothing);
}

static void tell_presence(struct attach *attach)
{
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_presence(json, room->id, &room->roster);
    attach_send(attach, 0, 0, buf_slice(json));
    if (!turnout_is_listed(room->roster.n_users) && (attach->flags & ATTACH_NATIVE))
        tell_truncated(attach);
    buf_clear(json);
    frame_subscription_count(json, room->id, &room->roster);
    attach_send(attach, 0, 0, buf_slice(json));
}

void presence_tell(struct attach *attach)
{
    if (attach->room->settle.phase == SETTLE_ASKING)
        return; /* all are told in a moment */
    if (!(attach->flags & ATTACH_NO_PRESENCE))
        tell_presence(attach);
    typing_on_back(attach);
}

void presence_on_gone(struct attach *attach)
{
    struct room_host *room = attach->room;
    struct roster_user *user = attach->present;
    bool was_announced = user->is_announced;

    typing_on_gone(attach);
    attach->present = NULL;
    turnout_forget_socket(&room->turnout, attach);
    if (roster_remove(&room->roster, user) && was_announced)
        turnout_leave(&room->turnout, attach->user, left_json(room, attach->user));
    presence_refresh(room);
}

void presence_on_absent(struct room_host *room, struct slice user)
{
    turnout_leave(&room->turnout, user, left_json(room, user));
    presence_refresh(room);
}

void presence_put_sockets(struct buf *out, const struct room_host *room)
{
    struct json_writer w = json_writer(out);
    const struct room_gate *rg;
    const struct attach *attach;
    size_t n = 0;

    list_for_each(rg, &room->gates, in_room)
    {
        list_for_each(attach, &rg->attaches, in_room_gate)
        {
            if (!attach->present)
                continue;
            if (n++ == PRESENCE_LIST_MAX)
                return;
            json_write_str(&w, attach->socket_id);
        }
    }
}

/* ---- life ---- */

bool presence_is_quiet(const struct room_host *room)
{
    return settle_is_quiet(room) && turnout_is_quiet(&room->turnout) && room->n_ghosts == 0 &&
           !timer_is_armed(&room->typing_timer);
}

void presence_init(struct room_host *room)
{
    turnout_init(&room->turnout);
    timer_init(&room->presence_timer, on_timer, room);
    later_init(&room->presence_later, on_turn_end, room);
    typing_init(room);
    settle_init(room);
}

void presence_stop(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->presence_timer);
    later_cancel(&room->presence_later);
    typing_stop(room);
    settle_stop(room);
}

void presence_deinit(struct room_host *room)
{
    turnout_deinit(&room->turnout);
    settle_deinit(room);
}
