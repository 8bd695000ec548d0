/* typing.c - see typing.h. */
#include "shard/host/typing.h"

#include "common/base/limits.h"
#include "shard/limits.h"
#include "shard/metrics.h"

/* Out of memory: nothing is armed, and the next signal of the room tries again. */
static void look_in(struct room_host *room, uint64_t delay_ms)
{
    struct timer *timer = &room->typing_timer;

    if (timer_is_armed(timer) && timer->due_ms <= env_now_ms(room->host->env) + delay_ms)
        return;
    if (env_timer(room->host->env, timer, delay_ms) < 0)
        return;
}

static bool may_type(const struct attach *attach)
{
    struct actor actor = room_actor(attach->room, attach->user, attach->project_roles);

    return rules_may_write(&actor);
}

/* 0: there is room for one more relay, and it has been taken; else milliseconds until then. */
static uint64_t take_turn(struct room_host *room, struct roster_user *user, uint64_t now_ms)
{
    uint64_t scale = room->host->config.rate_scale, retry_ms = 1;
    struct ratelim_rule by_user = ratelim_rule(TYPING_RELAYS * scale, TYPING_RELAYS_WINDOW_MS);
    struct ratelim_rule by_room = ratelim_rule(TYPING_FANOUT_PER_S * scale, 1000);
    uint64_t cost = MIN((uint64_t)room->roster.n_sockets, by_room.burst);

    if (!ratelim_take(&user->typing_limit, &by_user, now_ms, 1, &retry_ms))
        return MAX(retry_ms, UINT64_C(1));
    if (!ratelim_take(&room->typing_limit, &by_room, now_ms, cost, &retry_ms))
        return MAX(retry_ms, UINT64_C(1));
    return 0;
}

static void send(struct room_host *room, struct roster_user *user, const struct attach *except)
{
    struct buf *json = &room->host->json;

    user->told_typing = user->is_typing;
    user->told_intent = user->intent;
    user->told_ms = room->typing_told_ms = env_now_ms(room->host->env);
    room->host->metrics->typing_relayed++;
    buf_clear(json);
    frame_typing(json, room->id, user->user, user->is_typing, (enum typing_intent)user->intent);
    room_fanout(room, 0, EVENT_EPHEMERAL, except, buf_slice(json));
}

static bool is_untold(const struct roster_user *user)
{
    return user->told_typing != user->is_typing || user->told_intent != user->intent;
}

/* Over the limit it is told later, as it is then. */
static void tell(struct room_host *room, struct roster_user *user, const struct attach *except)
{
    uint64_t now_ms = env_now_ms(room->host->env), retry_ms;

    if (!is_untold(user) && user->told_ms > 0 && now_ms - user->told_ms < TYPING_REPEAT_MS)
        return;
    retry_ms = take_turn(room, user, now_ms);
    if (retry_ms == 0) {
        send(room, user, except);
        return;
    }
    room->host->metrics->typing_limited++;
    if (is_untold(user))
        look_in(room, retry_ms);
}

void typing_on_signal(struct attach *attach, bool is_typing, enum typing_intent intent)
{
    struct room_host *room = attach->room;
    struct roster_user *user = attach->present;

    if (!user || !may_type(attach)) /* an observer is not here */
        return;
    user->typist = attach;
    user->is_typing = is_typing;
    user->intent = (uint8_t)intent;
    user->typing_until_ms = env_now_ms(room->host->env) + TYPING_EXPIRE_MS;
    if (is_typing)
        look_in(room, TYPING_EXPIRE_MS);
    tell(room, user, attach);
}

void typing_on_back(struct attach *attach)
{
    struct room_host *room = attach->room;
    uint64_t now_ms = env_now_ms(room->host->env);
    struct buf *json = &room->host->json;
    const struct roster_user *user;

    if (room->typing_told_ms == 0 || now_ms - room->typing_told_ms > TYPING_TOLD_MS ||
        !turnout_is_listed(room->roster.n_users))
        return;
    list_for_each(user, &room->roster.users, link)
    {
        if (user == attach->present || user->told_ms == 0 ||
            now_ms - user->told_ms > TYPING_TOLD_MS)
            continue;
        buf_clear(json);
        frame_typing(json, room->id, user->user, user->told_typing,
                     (enum typing_intent)user->told_intent);
        if (!buf_failed(json))
            attach_send(attach, 0, 0, buf_slice(json));
    }
}

void typing_on_gone(struct attach *attach)
{
    struct roster_user *user = attach->present;
    bool is_typist = user->typist == attach;

    if (is_typist)
        user->typist = NULL;
    if (!is_typist && user->sockets > 1)
        return;
    user->is_typing = false;
    user->intent = TYPING_IDLE;
    if (user->told_typing)
        send(attach->room, user, attach);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct room_host *room = arg;
    uint64_t now_ms = env_now_ms(room->host->env);
    struct roster_user *user;

    (void)timer;
    list_for_each(user, &room->roster.users, link)
    {
        if (user->is_typing && user->typing_until_ms <= now_ms) {
            user->is_typing = false;
            user->intent = TYPING_IDLE;
        }
        if (is_untold(user))
            tell(room, user, user->typist);
        if (user->is_typing)
            look_in(room, user->typing_until_ms - now_ms);
    }
}

void typing_init(struct room_host *room)
{
    timer_init(&room->typing_timer, on_timer, room);
}

void typing_stop(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->typing_timer);
}
