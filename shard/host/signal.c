/* signal.c - see signal.h. */
#include "shard/host/signal.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/host/attach.h"
#include "shard/host/op.h"
#include "shard/host/room_host.h"
#include "shard/host/settle.h"
#include "shard/metrics.h"

enum error_code signal_check(const struct room_host *room, struct slice user,
                             unsigned project_roles)
{
    struct actor actor = room_actor(room, user, project_roles);

    return rules_refuse_write(&actor);
}

static const struct attach *find_socket(const struct room_host *room, struct slice socket_id)
{
    struct room_gate *rg;
    struct attach *attach;

    if (socket_id.len == 0)
        return NULL;
    list_for_each(rg, &room->gates, in_room)
    {
        list_for_each(attach, &rg->attaches, in_room_gate)
        {
            if (slice_eq(attach->socket_id, socket_id))
                return attach;
        }
    }
    return NULL;
}

static void give(struct room_host *room, struct slice except_socket_id, struct slice json)
{
    room_fanout(room, 0, EVENT_EPHEMERAL, find_socket(room, except_socket_id), json);
}

/* ---- while the room settles ---- */

struct signal {
    struct list link; /* signals.list */
    struct slice except, json;
    char bytes[];
};

/* What waits in one room. */
struct signals {
    struct room_host *room;
    struct room_wait wait;
    struct list list; /* struct signal */
    size_t n, bytes;
};

void signals_drop(struct room_host *room)
{
    struct signals *all = TAKE(room->signals);

    if (!all)
        return;
    list_del(&all->wait.link);
    while (!list_empty(&all->list)) {
        struct signal *signal = list_first(&all->list, struct signal, link);

        list_del(&signal->link);
        free(signal);
    }
    free(all);
}

static void on_settled(struct room_wait *wait, enum room_wait_result result,
                       struct room_host *room)
{
    struct signals *all = container_of(wait, struct signals, wait);
    struct signal *signal;

    if (result == ROOM_WAIT_READY) {
        list_for_each(signal, &all->list, link) give(room, signal->except, signal->json);
    }
    signals_drop(all->room);
}

static struct signal *signal_new(struct slice except, struct slice json)
{
    struct signal *signal = malloc(sizeof(*signal) + except.len + json.len);

    if (!signal)
        return NULL;
    signal->except = slice_of(signal->bytes, except.len);
    signal->json = slice_of(signal->bytes + except.len, json.len);
    if (except.len > 0)
        memcpy(signal->bytes, except.data, except.len);
    memcpy(signal->bytes + except.len, json.data, json.len);
    list_init(&signal->link);
    return signal;
}

/* Those that wait; made when there are none. NULL: out of memory. */
static struct signals *signals_of(struct room_host *room)
{
    struct signals *all = room->signals;

    if (all)
        return all;
    all = calloc(1, sizeof(*all));
    if (!all)
        return NULL;
    all->room = room;
    all->wait.fn = on_settled;
    list_init(&all->list);
    room->signals = all;
    room_when_settled(room, &all->wait);
    return all;
}

/* False: it goes out now, because nothing is to be waited for, or too much waits. */
static bool is_held(struct room_host *room, struct slice except, struct slice json)
{
    struct signals *all;
    struct signal *signal;

    if (room->settle.phase != SETTLE_ASKING)
        return false;
    all = signals_of(room);
    if (!all || all->n >= SIGNALS_HELD_MAX || all->bytes + json.len > SIGNALS_HELD_BYTES)
        return false;
    signal = signal_new(except, json);
    if (!signal)
        return false;
    list_add_tail(&all->list, &signal->link);
    all->n++;
    all->bytes += json.len;
    return true;
}

void signal_send(struct room_host *room, struct slice except_socket_id, struct slice json)
{
    if (!is_held(room, except_socket_id, json))
        give(room, except_socket_id, json);
}

/* ---- what sockets send ---- */

static void refuse(struct op *op, enum error_code code, const char *detail,
                   uint64_t retry_after_ms)
{
    struct room_host *room = op->attach->room;
    struct frame_ref ref = {.frame_id = op->frame_id};
    struct buf *json = &room->host->json;

    room->host->metrics->refused++;
    buf_clear(json);
    frame_error(json, room->id, &ref, code, slice_str(detail), retry_after_ms);
    op_settle(op, buf_slice(json), slice_of(NULL, 0));
}

static void refuse_rate(struct op *op, uint64_t wait_ms)
{
    char detail[48];

    op->attach->room->host->metrics->limited++;
    (void)snprintf(detail, sizeof(detail), "retry in %llus",
                   (unsigned long long)((wait_ms + 999) / 1000));
    refuse(op, ERROR_rate_limit_exceeded, detail, wait_ms);
}

/* False: settled with a refusal. */
static bool may_signal(struct op *op, struct limiter *limiter)
{
    struct attach *attach = op->attach;
    struct room_host *room = attach->room;
    enum error_code code = signal_check(room, attach->user, attach->project_roles);
    uint64_t wait_ms;

    if (code != ERROR_NONE) {
        refuse(op, code, "", 0);
        return false;
    }
    wait_ms = limiter_take(limiter, attach->user, LIMITER_SOCKET, env_now_ms(room->host->env));
    if (wait_ms == 0)
        return true;
    refuse_rate(op, wait_ms);
    return false;
}

/* To all but the socket that it comes from. */
static void pass_on(struct op *op, const struct buf *json)
{
    struct attach *attach = op->attach;
    struct room_host *room = attach->room;

    if (buf_failed(json)) {
        refuse(op, ERROR_overloaded, "", 0);
        return;
    }
    if (!is_held(room, attach->socket_id, buf_slice(json)))
        room_fanout(room, 0, EVENT_EPHEMERAL, attach, buf_slice(json));
    op_settle(op, slice_of(NULL, 0), slice_of(NULL, 0));
}

void signal_client_event(struct op *op, const struct event *event)
{
    struct room_host *room = op->attach->room;
    enum error_code code = signal_check(room, op->attach->user, op->attach->project_roles);
    struct buf *json = &room->host->json;

    /* Perhaps it has been given to the others before the link broke. Nobody must get it twice,
     * and its sender must know. */
    if (op->is_resent && code == ERROR_NONE) {
        refuse(op, ERROR_outcome_unknown, "the connection to the room broke", 0);
        return;
    }
    if (!may_signal(op, &room->event_limiter))
        return;
    buf_clear(json);
    frame_client_event(json, room->id, op->attach->user, event);
    pass_on(op, json);
}

/* Twice does no harm: it says how things are. */
void signal_agent_typing(struct op *op, struct slice agent, bool is_typing)
{
    struct room_host *room = op->attach->room;
    struct buf *json = &room->host->json;

    if (!may_signal(op, &room->agent_limiter))
        return;
    buf_clear(json);
    frame_agent_typing(json, room->id, op->attach->user, agent, is_typing);
    pass_on(op, json);
}
