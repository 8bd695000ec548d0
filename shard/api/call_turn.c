/* call_turn.c - see call_turn.h. */
#include "shard/api/call_turn.h"

#include "shard/api/call.h"
#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/host/pace.h"
#include "shard/limits.h"
#include "shard/metrics.h"

static bool is_dear(const struct call *call)
{
    return call->op == CALL_HISTORY;
}

static struct call_turns *turns_of(struct call *call)
{
    return call_turns_of(call->api);
}

/* What was said to its gateway before has been read by and large. */
static bool is_awaited(const struct call *call)
{
    return !call->gate || pace_may_reply(call->gate);
}

/* Out of memory: the next call that comes goes on. */
static void go_on_later(struct call_turns *turns)
{
    int r;

    if (timer_is_armed(&turns->go_on))
        return;
    r = env_timer(turns->env, &turns->go_on, 0);
    (void)r;
}

static void on_go_on(struct timer *timer, void *arg)
{
    struct call_turns *turns = arg;
    struct fair_item *item;

    (void)timer;
    for (size_t n = turns->waiting.n; n > 0 && turns->bytes < CALL_TURN_BYTES; n--) {
        item = fair_pop(&turns->waiting);
        if (!item)
            break;
        if (is_awaited(container_of(item, struct call, turn)))
            call_run(container_of(item, struct call, turn));
        else
            fair_push(&turns->waiting, item); /* until on_may_reply() */
    }
    if (!fair_is_empty(&turns->waiting) && turns->bytes >= CALL_TURN_BYTES)
        go_on_later(turns);
}

static void on_may_reply(void *arg)
{
    struct call_turns *turns = arg;

    if (!fair_is_empty(&turns->waiting))
        go_on_later(turns);
}

static void on_end_of_turn(struct later *later, void *arg)
{
    struct call_turns *turns = arg;

    (void)later;
    turns->bytes = 0;
}

void call_turn_enter(struct call *call)
{
    struct call_turns *turns = turns_of(call);

    if (!is_dear(call) || (turns->bytes < CALL_TURN_BYTES && fair_is_empty(&turns->waiting) &&
                           is_awaited(call))) {
        call_run(call);
        return;
    }
    call->host->metrics->calls_put_off++;
    call->turn.tenant = hash_slice(call->project);
    fair_push(&turns->waiting, &call->turn);
    go_on_later(turns);
}

void call_turn_leave(struct call *call)
{
    if (list_linked(&call->turn.link))
        fair_remove(&turns_of(call)->waiting, &call->turn);
}

void call_turn_given(struct call *call, size_t bytes)
{
    struct call_turns *turns = turns_of(call);

    turns->bytes += bytes;
    env_later(turns->env, &turns->end_of_turn);
    if (is_dear(call) && call->gate)
        pace_replied(call->gate, bytes);
}

void call_turns_init(struct call_turns *turns, struct host *host)
{
    turns->env = host->env;
    turns->pace = host->pace;
    fair_init(&turns->waiting, 0);
    timer_init(&turns->go_on, on_go_on, turns);
    later_init(&turns->end_of_turn, on_end_of_turn, turns);
    pace_on_may_reply(turns->pace, on_may_reply, turns);
}

void call_turns_stop(struct call_turns *turns)
{
    pace_on_may_reply(turns->pace, NULL, NULL);
    env_timer_cancel(turns->env, &turns->go_on);
    later_cancel(&turns->end_of_turn);
}
