/* presence.c - see presence.h. */
#include "shard/host/presence.h"

#include "common/base/limits.h"

/* Out of memory: nothing is armed, and the next change or signal of the room tries again. */
static void arm(struct room_host *room, struct timer *timer, uint64_t delay_ms)
{
    if (!timer_is_armed(timer) && env_timer(room->host->env, timer, delay_ms) < 0)
        return;
}

/* ---- the coalesced frames ---- */

/* About who is here: left out where nobody wants to know. */
static void broadcast(struct room_host *room, const struct attach *except, struct slice json)
{
    room_fanout(room, 0, EVENT_EPHEMERAL | EVENT_PRESENCE, except, json);
}

static void send_presence(struct room_host *room, uint64_t now_ms)
{
    struct buf *json = &room->host->json;

    room->presence_is_dirty = false;
    room->presence_sent_ms = now_ms;
    buf_clear(json);
    frame_presence(json, room->id, &room->roster);
    broadcast(room, NULL, buf_slice(json));
    buf_clear(json);
    frame_subscription_count(json, room->id, &room->roster);
    broadcast(room, NULL, buf_slice(json));
}

/* Now, or when the pause since the last one (or the settling after a wake) is over. */
static void presence_changed(struct room_host *room)
{
    uint64_t now_ms = env_now_ms(room->host->env), due_ms = room->settle_until_ms;

    if (room->presence_sent_ms > 0)
        due_ms = MAX(due_ms, room->presence_sent_ms + PRESENCE_INTERVAL_MS);
    if (due_ms <= now_ms) {
        send_presence(room, now_ms);
        return;
    }
    room->presence_is_dirty = true;
    arm(room, &room->presence_timer, due_ms - now_ms);
}

void presence_on_timer(struct timer *timer, void *arg)
{
    struct room_host *room = arg;

    (void)timer;
    if (room->presence_is_dirty)
        presence_changed(room);
}

/* ---- sockets ---- */

static bool is_small(const struct room_host *room)
{
    return room->roster.n_users <= PRESENCE_LIST_MAX;
}

static void settle(struct room_host *room)
{
    uint64_t now_ms = env_now_ms(room->host->env);

    if (room->settle_until_ms == 0)
        room->settle_until_ms = now_ms + PRESENCE_SETTLE_MS;
}

void presence_on_live(struct attach *attach, bool is_back)
{
    struct room_host *room = attach->room;
    struct roster_user *user = attach->present;
    struct buf *json = &room->host->json;

    if (is_back)
        settle(room);
    else if (!user->is_announced && is_small(room)) {
        buf_clear(json);
        frame_member_joined(json, room->id, user->user, user->info, attach->socket_id);
        broadcast(room, attach, buf_slice(json));
    }
    user->is_announced = true;
    presence_changed(room);
}

static void send_typing(struct room_host *room, const struct attach *except,
                        const struct roster_user *user)
{
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_typing(json, room->id, user->user, user->is_typing, (enum typing_intent)user->intent);
    room_fanout(room, 0, EVENT_EPHEMERAL, except, buf_slice(json));
}

void presence_on_gone(struct attach *attach)
{
    struct room_host *room = attach->room;
    struct roster_user *user = attach->present;
    bool is_last = user->sockets == 1;
    struct buf *json = &room->host->json;

    attach->present = NULL;
    if (is_last && user->is_typing) {
        user->is_typing = false;
        user->intent = TYPING_IDLE;
        send_typing(room, attach, user);
    }
    if (is_last && user->is_announced && is_small(room)) {
        buf_clear(json);
        frame_member_left(json, room->id, attach->user);
        broadcast(room, attach, buf_slice(json));
    }
    (void)roster_remove(&room->roster, user); /* is_last has said it */
    if (room->state != ROOM_CLOSED)
        presence_changed(room);
}

void presence_stop(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->presence_timer);
    env_timer_cancel(room->host->env, &room->typing_timer);
}

/* ---- typing ---- */

static bool may_type(const struct attach *attach)
{
    struct actor actor = room_actor(attach->room, attach->user, attach->project_roles);

    return rules_may_write(&actor);
}

void typing_on_signal(struct attach *attach, bool is_typing, enum typing_intent intent)
{
    struct room_host *room = attach->room;
    struct roster_user *user = attach->present;
    uint64_t now_ms = env_now_ms(room->host->env);
    bool is_same = user->is_typing == is_typing && user->intent == intent &&
                   user->typing_sent_ms > 0 && now_ms - user->typing_sent_ms < TYPING_REPEAT_MS;

    if (!may_type(attach))
        return;
    user->is_typing = is_typing;
    user->intent = (uint8_t)intent;
    user->typing_until_ms = now_ms + TYPING_EXPIRE_MS;
    if (is_typing)
        arm(room, &room->typing_timer, TYPING_EXPIRE_MS);
    if (is_same)
        return;
    user->typing_sent_ms = now_ms;
    send_typing(room, attach, user);
}

void typing_on_timer(struct timer *timer, void *arg)
{
    struct room_host *room = arg;
    uint64_t now_ms = env_now_ms(room->host->env), next_ms = UINT64_MAX;
    struct roster_user *user;

    (void)timer;
    list_for_each(user, &room->roster.users, link)
    {
        if (!user->is_typing)
            continue;
        if (user->typing_until_ms > now_ms) {
            next_ms = MIN(next_ms, user->typing_until_ms);
            continue;
        }
        user->is_typing = false;
        user->intent = TYPING_IDLE;
        user->typing_sent_ms = now_ms;
        send_typing(room, NULL, user);
    }
    if (next_ms != UINT64_MAX)
        arm(room, &room->typing_timer, next_ms - now_ms);
}
