/* settle.c - see settle.h. */
#include "shard/host/settle.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/wire/msg.h"
#include "shard/host/gate.h"
#include "shard/host/presence.h"
#include "shard/host/room_host.h"
#include "shard/limits.h"

struct absent {
    struct list link; /* settle.absent */
    struct slice user;
    char bytes[];
};

/* ---- who is awaited ---- */

static void drop(struct settle *s, struct absent *absent)
{
    list_del(&absent->link);
    s->n_absent--;
    free(absent);
}

static struct absent *find(const struct settle *s, struct slice user)
{
    struct absent *absent;

    list_for_each(absent, &s->absent, link)
    {
        if (slice_eq(absent->user, user))
            return absent;
    }
    return NULL;
}

bool settle_take_absent(struct room_host *room, struct slice user)
{
    struct absent *absent = find(&room->settle, user);

    if (absent)
        drop(&room->settle, absent);
    return absent != NULL;
}

/* Out of memory: presence shows that he is not here, only the notice is missing. */
static void await(struct room_host *room, struct slice user)
{
    struct settle *s = &room->settle;
    struct absent *absent = NULL;

    if (s->n_absent < PRESENCE_LIST_MAX)
        absent = calloc(1, sizeof(*absent) + user.len);
    if (!absent)
        return;
    memcpy(absent->bytes, user.data, user.len);
    absent->user = slice_of(absent->bytes, user.len);
    list_add_tail(&s->absent, &absent->link);
    s->n_absent++;
}

/* Every gateway brings the same list, unless it was away for a while. */
static void take_users(struct room_host *room, struct slice users)
{
    struct slice user;

    while (roster_next_user(&users, &user)) {
        if (roster_find(&room->roster, user))
            turnout_was_here(&room->turnout, user);
        else if (!find(&room->settle, user))
            await(room, user);
    }
}

/* ---- phases ---- */

static bool has_gate_without_link(const struct host *host)
{
    const struct gate *gate;

    list_for_each(gate, &host->all_gates, in_host)
    {
        if (!gate->link)
            return true;
    }
    return false;
}

/* Whoever has not come back has gone. */
static void finish(struct room_host *room)
{
    struct settle *s = &room->settle;

    s->phase = SETTLE_DONE;
    env_timer_cancel(room->host->env, &s->timer);
    while (!list_empty(&s->absent)) {
        struct absent *absent = list_first(&s->absent, struct absent, link);

        presence_on_absent(room, absent->user);
        drop(s, absent);
    }
}

static void run_waits(struct room_host *room, enum room_wait_result result)
{
    while (!list_empty(&room->settle.waits)) {
        struct room_wait *wait = list_first(&room->settle.waits, struct room_wait, link);

        list_del(&wait->link);
        wait->fn(wait, result, result == ROOM_WAIT_READY ? room : NULL);
    }
}

static void advance(struct room_host *room)
{
    struct settle *s = &room->settle;
    uint64_t now_ms = env_now_ms(room->host->env);

    if (s->phase == SETTLE_ASKING) {
        s->phase = SETTLE_WAITING;
        presence_refresh(room);
    }
    if ((s->n_open == 0 && !s->is_unsure) || now_ms >= s->silent_until_ms ||
        env_timer(room->host->env, &s->timer, s->silent_until_ms - now_ms) < 0)
        finish(room);
    run_waits(room, ROOM_WAIT_READY);
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    advance(arg);
}

void settle_start(struct room_host *room)
{
    struct host *host = room->host;
    struct settle *s = &room->settle;

    s->wake = ++host->wake_count;
    s->silent_until_ms = env_now_ms(host->env) + PRESENCE_HOLD_MS;
    s->is_unsure = has_gate_without_link(host);
    turnout_lose_track(&room->turnout);
    s->n_open = gates_wake(host, room);
    if (s->n_open == 0 || env_timer(host->env, &s->timer, PRESENCE_SETTLE_MS) < 0)
        advance(room);
}

void settle_on_awake(struct host *host, const struct msg_AWAKE *msg)
{
    struct room_host *room = room_find(host, msg->project, msg->room);

    if (!room || room->state == ROOM_CLAIMING || room->settle.wake != msg->wake ||
        room->settle.n_open == 0 || room->settle.phase == SETTLE_DONE)
        return; /* of an earlier activation, or too late */
    take_users(room, msg->users);
    if (--room->settle.n_open == 0)
        advance(room);
}

/* ---- use and life ---- */

bool settle_is_quiet(const struct room_host *room)
{
    return room->settle.phase != SETTLE_ASKING && list_empty(&room->settle.absent);
}

void room_when_settled(struct room_host *room, struct room_wait *wait)
{
    list_init(&wait->link);
    if (room->settle.phase == SETTLE_ASKING)
        list_add_tail(&room->settle.waits, &wait->link);
    else
        wait->fn(wait, ROOM_WAIT_READY, room);
}

void settle_init(struct room_host *room)
{
    list_init(&room->settle.absent);
    list_init(&room->settle.waits);
    timer_init(&room->settle.timer, on_timer, room);
}

void settle_stop(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->settle.timer);
    run_waits(room, ROOM_WAIT_MOVED);
}

void settle_deinit(struct room_host *room)
{
    while (!list_empty(&room->settle.absent))
        drop(&room->settle, list_first(&room->settle.absent, struct absent, link));
}
