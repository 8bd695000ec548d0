/* gather.c - one question to every gateway; see gather.h. */
#include "shard/host/gather.h"

#include <errno.h>
#include <stdlib.h>

#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/metrics.h"

struct gather {
    struct list in_host; /* host.gathers */
    struct host *host;
    uint64_t number;
    gather_fn fn; /* NULL: nobody waits */
    void *arg;
    struct gather_result result;
    struct buf rooms;
    struct timer deadline;
    struct later done; /* everybody has answered, perhaps while we were asking */
    size_t n_waiting;
    struct gate *gates[]; /* those that were asked; NULL: has answered or gone */
};

static void gather_free(struct gather *gather)
{
    struct host *host = gather->host;

    list_del(&gather->in_host);
    host->n_gathers--;
    env_timer_cancel(host->env, &gather->deadline);
    later_cancel(&gather->done);
    buf_deinit(&gather->rooms);
    free(gather);
}

void gather_cancel(struct gather *gather)
{
    if (gather)
        gather_free(gather);
}

void gathers_drop(struct host *host)
{
    while (!list_empty(&host->gathers))
        gather_free(list_first(&host->gathers, struct gather, in_host));
}

/* ---- the end ---- */

static void finish(struct gather *gather)
{
    gather_fn fn = gather->fn;
    struct gather_result *result = &gather->result;

    if (result->answered < result->asked)
        gather->host->metrics->gathers_partial++;
    result->rooms = buf_failed(&gather->rooms) ? slice_of(NULL, 0) : buf_slice(&gather->rooms);
    if (fn)
        fn(gather->arg, result);
    gather_free(gather);
}

static void on_done(struct later *later, void *arg)
{
    (void)later;
    finish(arg);
}

static void on_deadline(struct timer *timer, void *arg)
{
    (void)timer;
    finish(arg);
}

/* ---- answers ---- */

/* The gather with this number that still waits for this gateway; it waits no more. */
static struct gather *answered(struct gate *gate, uint64_t number)
{
    struct host *host = gate->host;
    struct gather *gather;

    list_for_each(gather, &host->gathers, in_host)
    {
        if (gather->number != number)
            continue;
        for (size_t i = 0; i < gather->result.asked; i++) {
            if (gather->gates[i] != gate)
                continue;
            gather->gates[i] = NULL;
            gather->result.answered++;
            if (--gather->n_waiting == 0)
                env_later(host->env, &gather->done);
            return gather;
        }
    }
    return NULL;
}

void gather_on_kicked(struct gate *gate, const struct msg_KICKED *msg)
{
    struct gather *gather = answered(gate, msg->number);

    if (!gather)
        return; /* too late */
    gather->result.user_sockets += msg->user_sockets;
    gather->result.room_sockets += msg->room_sockets;
}

static void add_room(struct gather *gather, struct slice room)
{
    if (room.len == 0 || slice_list_has(buf_slice(&gather->rooms), room))
        return;
    if (gather->rooms.len > 0)
        buf_put_char(&gather->rooms, ',');
    buf_put_slice(&gather->rooms, room);
    gather->result.n_rooms++;
}

void gather_on_user_rooms(struct gate *gate, const struct msg_USER_ROOMS_DONE *msg)
{
    struct gather *gather = answered(gate, msg->number);
    struct slice list = msg->rooms;

    while (gather && list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;

        add_room(gather, slice_of(list.data, len));
        list = comma ? slice_of(comma + 1, list.len - len - 1) : slice_of(NULL, 0);
    }
}

void gathers_on_gate_down(struct gate *gate)
{
    struct gather *gather;

    list_for_each(gather, &gate->host->gathers, in_host)
    {
        for (size_t i = 0; i < gather->result.asked; i++) {
            if (gather->gates[i] != gate)
                continue;
            gather->gates[i] = NULL;
            if (--gather->n_waiting == 0)
                env_later(gate->host->env, &gather->done);
        }
    }
}

/* ---- asking ---- */

static int gather_new(struct host *host, gather_fn fn, void *arg, struct gather **ret_gather)
{
    struct gather *gather;
    struct gate *gate;
    size_t n = 0;

    if (host->n_gathers >= GATHERS_MAX)
        return GATHER_OVERLOADED;
    list_for_each(gate, &host->all_gates, in_host) n++;
    gather = calloc(1, sizeof(*gather) + n * sizeof(struct gate *));
    if (!gather)
        return -ENOMEM;
    timer_init(&gather->deadline, on_deadline, gather);
    if (env_timer(host->env, &gather->deadline, GATHER_MS) < 0) {
        free(gather);
        return -ENOMEM;
    }
    later_init(&gather->done, on_done, gather);
    gather->host = host;
    gather->number = ++host->gather_count;
    gather->fn = fn;
    gather->arg = arg;
    list_add_tail(&host->gathers, &gather->in_host);
    host->n_gathers++;
    *ret_gather = gather;
    return 0;
}

/* Also those whose link is broken are asked: they do not answer, and the caller is told. */
static void ask(struct gather *gather, const struct msg *msg)
{
    struct host *host = gather->host;
    struct gate *gate;

    list_for_each(gate, &host->all_gates, in_host)
    {
        size_t i = gather->result.asked++;

        if (!gate->link)
            continue;
        gather->gates[i] = gate;
        gather->n_waiting++;
        gate_send(gate, msg);
    }
    if (gather->n_waiting == 0)
        env_later(host->env, &gather->done);
}

int gather_kick(struct host *host, const struct kick *kick, gather_fn fn, void *arg,
                struct gather **ret_gather)
{
    struct gather *gather;
    struct msg msg = {.type = MSG_KICK};
    int r = gather_new(host, fn, arg, &gather);

    if (r != 0)
        return r;
    msg.KICK = (struct msg_KICK){.number = gather->number,
                                 .project = kick->project,
                                 .user = kick->user,
                                 .token_id = kick->token_id,
                                 .issued_before_s = kick->issued_before_s,
                                 .room = kick->room,
                                 .socket_id = kick->socket_id,
                                 .code = kick->code,
                                 .reason = kick->reason};
    ask(gather, &msg);
    if (ret_gather)
        *ret_gather = gather;
    return 0;
}

int gather_user_rooms(struct host *host, const struct user_rooms *event, gather_fn fn,
                      void *arg, struct gather **ret_gather)
{
    struct gather *gather;
    struct msg msg = {.type = MSG_USER_ROOMS};
    int r = gather_new(host, fn, arg, &gather);

    if (r != 0)
        return r;
    msg.USER_ROOMS = (struct msg_USER_ROOMS){.number = gather->number,
                                             .project = event->project,
                                             .user = event->user,
                                             .rooms = event->rooms,
                                             .except = event->except_socket_id,
                                             .json = event->json};
    ask(gather, &msg);
    if (ret_gather)
        *ret_gather = gather;
    return 0;
}
