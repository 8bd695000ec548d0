/*
 * sessions.c - all sessions of a gateway: what comes from the links, the queue
 * of rooms to be looked at, and the one sweep for deadlines. See session.h.
 *
 * Rooms to be looked at are worked off in slices of ATTACHES_PER_TURN, so that
 * a shard that goes away with thousands of sockets does not stop the loop.
 */
#include "gateway/session/sessions.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/fan_out.h"
#include "gateway/session/handover.h"
#include "gateway/session/kick.h"
#include "gateway/session/last_seen.h"
#include "gateway/session/local_room.h"
#include "gateway/session/user_events.h"

/* ---- rooms to be looked at ---- */

static void arm_work(struct sessions *all)
{
    int r;

    if (timer_is_armed(&all->work_timer))
        return;
    r = env_timer(all->env, &all->work_timer, 0);
    (void)r; /* without memory for it the next sweep does the work */
}

void sessions_queue_room(struct sessions *all, struct local_room *room)
{
    list_del(&room->work); /* perhaps from the stalled ones */
    list_add_tail(&all->work, &room->work);
    arm_work(all);
}

static void work_slice(struct sessions *all)
{
    size_t budget = ATTACHES_PER_TURN;

    while (budget > 0 && !list_empty(&all->work)) {
        struct local_room *room = list_first(&all->work, struct local_room, work);
        int r;

        budget--; /* looking costs something, too */
        list_del(&room->work);
        r = local_room_advance(room, &budget);
        if (r == ROOM_STALLED)
            list_add_tail(&all->stalled, &room->work);
        else if (room->state == ROOM_BOUND && room->progress < room->n)
            list_add_head(&all->work, &room->work); /* budget spent in the middle of it */
    }
    if (!list_empty(&all->work))
        arm_work(all);
}

static void sessions_on_work(struct timer *timer, void *arg)
{
    (void)timer;
    work_slice(arg);
}

static bool queue_visit(struct map_node *node, void *arg)
{
    sessions_queue_room(arg, container_of(node, struct local_room, node));
    return true;
}

void sessions_reap_attach(struct sessions *all, struct attach *attach)
{
    list_del(&attach->of_session);
    list_add_tail(&all->gone, &attach->of_session);
    env_free_later(all->env, &all->reap);
}

void sessions_reap(struct sessions *all, struct session *session)
{
    list_del(&session->link);
    list_add_tail(&all->gone_sessions, &session->link);
    env_free_later(all->env, &all->reap);
}

static void sessions_on_reap(struct later *later, void *arg)
{
    struct sessions *all = arg;

    (void)later;
    while (!list_empty(&all->gone))
        attach_free(list_first(&all->gone, struct attach, of_session));
    while (!list_empty(&all->gone_sessions)) {
        struct session *s = list_first(&all->gone_sessions, struct session, link);

        list_del(&s->link);
        session_free(s);
    }
}

/* ---- events of the pool ---- */

/* Also rooms that have a link: their owner by a new ring may have been out of reach until now.
 */
static void sessions_on_up(void *owner, struct link *link)
{
    struct sessions *all = owner;

    (void)link;
    map_each(&all->rooms, queue_visit, all);
}

static void sessions_on_down(void *owner, struct link *link)
{
    struct sessions *all = owner;
    struct list *rooms = link_rooms(link);

    kicks_on_down(all, link);
    while (!list_empty(rooms)) {
        struct local_room *room = list_first(rooms, struct local_room, place);

        local_room_unbind(room); /* moves it to the unbound ones */
        sessions_queue_room(all, room);
    }
}

static void sessions_on_ring(void *owner)
{
    struct sessions *all = owner;

    map_each(&all->rooms, queue_visit, all);
}

static void flush_pending(struct sessions *all, const struct link *link)
{
    struct attach *a, *next;

    list_for_each_safe(a, next, &all->pending, pending)
    {
        if (a->room->link == link)
            attach_flush(a); /* may take itself off the list, nothing else */
    }
}

static void sessions_on_drained(void *owner, struct link *link)
{
    struct sessions *all = owner;

    flush_pending(all, link);
    while (!list_empty(&all->stalled)) {
        struct local_room *room = list_first(&all->stalled, struct local_room, work);

        list_del(&room->work);
        sessions_queue_room(all, room);
    }
}

/* ---- messages of a shard ---- */

/* The attach, if the answer is to its newest ATTACH and comes over the link of its room. */
static struct attach *answered(struct sessions *all, const struct link *link, uint64_t number,
                               uint32_t epoch)
{
    struct attach *a = attach_table_find(&all->attaches, number);

    if (!a || a->epoch != epoch || !a->is_sent || a->room->link != link ||
        a->state == ATTACH_STATE_ASLEEP)
        return NULL;
    return a;
}

/* The room, if this link is its. */
static struct local_room *bound_room(struct sessions *all, const struct link *link,
                                     struct slice project, struct slice name)
{
    struct local_room *room = local_room_find(all, project, name);

    return room && room->link == link ? room : NULL;
}

static void on_close(struct sessions *all, const struct link *link, const struct msg_CLOSE *in)
{
    struct attach *a = answered(all, link, in->attach, in->epoch);

    if (a)
        attach_end(a, in->code, in->reason);
}

static void on_moved(struct sessions *all, struct link *link, const struct msg_MOVED *in)
{
    struct local_room *room = local_room_find_object(all, in->object);
    struct msg arrived = {.type = MSG_ARRIVED, .ARRIVED = {.move = in->move}};

    if (room && room->link == link)
        local_room_on_moved(room, in);
    else if (in->move > 0 && link_send(link, &arrived) < 0)
        return; /* nobody is waited for on a link that ends */
}

static bool is_live(const struct local_room *room)
{
    for (uint32_t i = 0; i < room->n; i++) {
        if (room->members[i]->state == ATTACH_STATE_LIVE)
            return true;
    }
    return false;
}

/* In front of MOVED. A room that is elsewhere by now is followed; until it is live there, that
 * shard may yet send us on, and keeps nothing of it. */
static void on_handover(struct sessions *all, const struct link *link,
                        const struct msg_HANDOVER *in)
{
    struct local_room *room = local_room_find(all, in->project, in->room);
    struct msg msg = {.type = MSG_HANDOVER, .HANDOVER = *in};
    bool is_ahead = room && room->link != link;
    bool is_settled = is_ahead && is_live(room);

    if (!room)
        return;
    if (!is_settled)
        handovers_take(room, in);
    if (is_ahead && room->state == ROOM_BOUND && (is_settled || room->progress > 0) &&
        link_send(room->link, &msg) < 0)
        return; /* the link ends; what was kept is brought to the next owner */
}

/* We have nobody in the room whom we would attach there. */
static void answer_awake_empty(struct link *link, const struct msg_WAKE *in)
{
    struct msg msg = {.type = MSG_AWAKE,
                      .AWAKE = {.wake = in->wake, .project = in->project, .room = in->room}};

    if (in->wake > 0 && link_send(link, &msg) < 0)
        return; /* the link ends; the shard waits for nobody on it */
}

static void on_wake(struct sessions *all, struct link *link, const struct msg_WAKE *in)
{
    struct local_room *room = local_room_find(all, in->project, in->room);

    missed_on_wake(all, in->project, in->room);
    if (!room || room->n == 0)
        answer_awake_empty(link, in);
    else if (room->link == link)
        local_room_on_wake(room, in->wake);
    else
        local_room_on_woken(room, link, in->wake);
}

/* Whoever was in a sleeping room through that gateway is there no more, and nobody has told the
 * others: the room is woken to find out. Or another store than before answers, and may have
 * forgotten what was shown in any of them (0). Paced by the sweep; every gateway sweeps at
 * another time. */
static void on_gateway_gone(struct sessions *all, struct link *link,
                            const struct msg_GATEWAY_GONE *in)
{
    struct local_room *room;

    list_for_each(room, link_rooms(link), place)
    {
        if (room->state == ROOM_ASLEEP && !list_linked(&room->to_wake) &&
            (in->incarnation == 0 || last_seen_has_gateway(room->last_seen, in->incarnation)))
            list_add_tail(&all->to_wake, &room->to_wake);
    }
}

static void wake_gone(struct sessions *all)
{
    for (size_t n = 0; n < GONE_WAKES_PER_SWEEP && !list_empty(&all->to_wake); n++) {
        struct local_room *room = list_first(&all->to_wake, struct local_room, to_wake);

        list_del(&room->to_wake);
        all->metrics->gone_wakes++;
        local_room_wake(room);
    }
}

static void sessions_on_message(void *owner, struct link *link, const struct msg *msg)
{
    struct sessions *all = owner;
    struct local_room *room;
    struct attach *a;

    if (msg->type == MSG_ROOM_EVENT) {
        all->metrics->room_events++;
        room = bound_room(all, link, msg->ROOM_EVENT.project, msg->ROOM_EVENT.room);
        if (room)
            fan_out(room, &msg->ROOM_EVENT);
    } else if (msg->type == MSG_TO_ATTACH) {
        a = answered(all, link, msg->TO_ATTACH.attach, msg->TO_ATTACH.epoch);
        if (a)
            attach_on_bytes(a, &msg->TO_ATTACH);
    } else if (msg->type == MSG_ATTACHED) {
        a = answered(all, link, msg->ATTACHED.attach, msg->ATTACHED.epoch);
        if (a)
            attach_on_attached(a, &msg->ATTACHED);
    } else if (msg->type == MSG_PAGED) {
        a = answered(all, link, msg->PAGED.attach, msg->PAGED.epoch);
        if (a)
            attach_on_paged(a);
    } else if (msg->type == MSG_CLOSE) {
        on_close(all, link, &msg->CLOSE);
    } else if (msg->type == MSG_SLEEP) {
        room = bound_room(all, link, msg->SLEEP.project, msg->SLEEP.room);
        if (room)
            local_room_on_sleep(room, &msg->SLEEP);
    } else if (msg->type == MSG_WAKE) {
        on_wake(all, link, &msg->WAKE);
    } else if (msg->type == MSG_HANDOVER) {
        on_handover(all, link, &msg->HANDOVER);
    } else if (msg->type == MSG_MOVED) {
        on_moved(all, link, &msg->MOVED);
    } else if (msg->type == MSG_KICK) {
        kick_on_message(all, link, &msg->KICK);
    } else if (msg->type == MSG_USER_ROOMS) {
        user_rooms_on_message(all, link, &msg->USER_ROOMS);
    } else if (msg->type == MSG_USER_PUSH) {
        user_push_on_message(all, &msg->USER_PUSH);
    } else if (msg->type == MSG_GATEWAY_GONE) {
        on_gateway_gone(all, link, &msg->GATEWAY_GONE);
    }
}

static const struct link_user_events pool_events = {
    .on_up = sessions_on_up,
    .on_down = sessions_on_down,
    .on_ring = sessions_on_ring,
    .on_message = sessions_on_message,
    .on_drained = sessions_on_drained,
};

/* ---- deadlines ---- */

static void sweep_pending(struct sessions *all)
{
    uint64_t now = env_now_ms(all->env);
    struct list due;

    /* Each is put back before it is looked at: it, and others of its session, may then go as
     * they like. */
    list_init(&due);
    list_splice_tail(&due, &all->pending);
    while (!list_empty(&due)) {
        struct attach *a = list_first(&due, struct attach, pending);

        list_del(&a->pending);
        list_add_tail(&all->pending, &a->pending);
        attach_sweep(a, now);
    }
}

static void sessions_on_sweep(struct timer *timer, void *arg)
{
    struct sessions *all = arg;
    int r = env_timer(all->env, timer, SESSION_SWEEP_MS);

    assert(r == 0); /* in its own callback a timer is armed without memory */
    sweep_pending(all);
    wake_gone(all);
    missed_sweep(all);
    if (!list_empty(&all->work))
        work_slice(all);
    if (!list_empty(&all->kicks))
        kicks_on_timer(&all->kick_timer, all);
}

/* ---- life ---- */

/* After the sessions that were closed in the same turn: they still point here. */
static void sessions_on_dead(struct later *later, void *arg)
{
    struct sessions *all = arg;

    (void)later;
    attach_table_deinit(&all->attaches);
    missed_deinit(&all->missed);
    map_deinit(&all->subscriptions);
    map_deinit(&all->rooms);
    map_deinit(&all->users);
    map_deinit(&all->texts);
    free(all);
}

int sessions_new(struct env *env, struct link_pool *pool, struct gateway_metrics *metrics,
                 const struct sessions_config *config, struct sessions **ret_sessions)
{
    AUTO(sessions_free) struct sessions *all = calloc(1, sizeof(*all));
    uint32_t scale = config->rate_limit_scale ? config->rate_limit_scale : 1;
    int r;

    if (!all)
        return -ENOMEM;
    all->env = env;
    all->pool = pool;
    all->metrics = metrics;
    all->max_sessions = config->max_sessions ? config->max_sessions : CONNECTIONS_MAX;
    all->frame_rule =
        ratelim_rule((uint64_t)SESSION_FRAMES_PER_WINDOW * SESSION_FRAME_COST * scale,
                     SESSION_FRAMES_WINDOW_MS);
    all->token_warning_ms =
        config->token_warning_ms ? config->token_warning_ms : TOKEN_WARNING_MS;
    all->token_grace_ms = config->token_grace_ms ? config->token_grace_ms : TOKEN_GRACE_MS;
    all->marks = config->marks.hard ? config->marks
                                    : (struct socket_marks){.low = SOCKET_QUEUE_LOW,
                                                            .soft = SOCKET_QUEUE_SOFT,
                                                            .behind = SOCKET_QUEUE_BEHIND,
                                                            .hard = SOCKET_QUEUE_HARD};
    attach_table_init(&all->attaches);
    map_init(&all->subscriptions);
    map_init(&all->rooms);
    map_init(&all->users);
    map_init(&all->texts);
    list_init(&all->open);
    departure_init(&all->departure);
    list_init(&all->pending);
    list_init(&all->unbound);
    list_init(&all->work);
    list_init(&all->stalled);
    list_init(&all->kicks);
    list_init(&all->to_wake);
    missed_init(&all->missed);
    list_init(&all->gone);
    list_init(&all->gone_sessions);
    later_init(&all->dead, sessions_on_dead, all);
    later_init(&all->reap, sessions_on_reap, all);
    timer_init(&all->work_timer, sessions_on_work, all);
    timer_init(&all->kick_timer, kicks_on_timer, all);
    timer_init(&all->sweep, sessions_on_sweep, all);
    r = wheel_init(&all->wheel, env);
    if (r == 0)
        r = env_timer(env, &all->sweep, SESSION_SWEEP_MS);
    if (r < 0)
        return r;
    link_pool_set_user(pool, LINK_USER_SESSIONS, &pool_events, all);
    *ret_sessions = TAKE(all);
    return 0;
}

void sessions_free(struct sessions *all)
{
    if (!all)
        return;
    assert(all->n_open == 0);
    link_pool_set_user(all->pool, LINK_USER_SESSIONS, NULL, NULL);
    kicks_drop(all);
    env_timer_cancel(all->env, &all->work_timer);
    env_timer_cancel(all->env, &all->kick_timer);
    env_timer_cancel(all->env, &all->sweep);
    wheel_deinit(&all->wheel);
    env_free_later(all->env, &all->dead);
}

size_t sessions_count(const struct sessions *all)
{
    return all->n_open;
}
