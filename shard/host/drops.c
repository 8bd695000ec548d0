/* drops.c - see drops.h. */
#include "shard/host/drops.h"

#include "common/base/log.h"
#include "shard/host/change.h"
#include "shard/host/host.h"
#include "shard/host/room_host.h"
#include "shard/host/stream_handover.h"
#include "shard/host/token_stream.h"
#include "shard/limits.h"
#include "shard/metrics.h"

/* Nothing of it is written from now on, and nothing that was pushed is acknowledged: it is
 * LEAVING, until it ends. False: it has ended, its claim was under way. */
static bool stop(struct room_host *room)
{
    if (room->state == ROOM_CLAIMING)
        room_close(room, ROOM_END_MOVED);
    if (room->state == ROOM_CLOSED)
        return false;
    room->state = ROOM_LEAVING;
    move_queue_remove(&room->host->moves.queue, &room->move);
    streams_hand_over(room);
    token_streams_stop(room);
    changes_cancel(room);
    committer_close_queue(&room->queue);
    return room->state != ROOM_CLOSED;
}

static void end_first(struct drops *drops)
{
    struct room_host *room = list_first(&drops->rooms, struct room_host, in_drops);

    room_close(room, ROOM_END_MOVED);
}

static void arm(struct drops *drops)
{
    if (list_empty(&drops->rooms) || timer_is_armed(&drops->timer))
        return;
    if (env_timer(drops->host->env, &drops->timer, 0) == 0)
        return;
    log_warn("out of memory: all rooms end in one turn");
    while (!list_empty(&drops->rooms))
        end_first(drops);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct drops *drops = arg;
    size_t sockets = 0;

    (void)timer;
    for (size_t n = 0;
         n < DROPS_PER_TURN && sockets < DROPS_SOCKETS_PER_TURN && !list_empty(&drops->rooms);
         n++) {
        sockets += list_first(&drops->rooms, struct room_host, in_drops)->roster.n_sockets;
        end_first(drops);
    }
    arm(drops);
}

void drops_begin(struct drops *drops)
{
    struct host *host = drops->host;
    struct room_host *room, *next;

    claims_stop(&host->claims); /* the next ones are not under way yet */
    list_for_each_safe(room, next, &host->rooms_by_use, by_use)
    {
        if (list_linked(&room->in_drops) || (room->state == ROOM_CLAIMING && !room->claim))
            continue;
        host->metrics->moves_store++;
        if (!stop(room))
            continue; /* it has ended */
        list_add_head(&drops->rooms, &room->in_drops);
        host->metrics->rooms_dropping++;
    }
    claims_go_on(&host->claims);
    arm(drops);
}

void drops_on_closed(struct room_host *room)
{
    if (!list_linked(&room->in_drops))
        return;
    list_del(&room->in_drops);
    room->host->metrics->rooms_dropping--;
}

void drops_init(struct drops *drops, struct host *host)
{
    drops->host = host;
    list_init(&drops->rooms);
    timer_init(&drops->timer, on_timer, drops);
}

void drops_stop(struct drops *drops)
{
    env_timer_cancel(drops->host->env, &drops->timer);
}
