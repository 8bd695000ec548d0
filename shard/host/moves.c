/* moves.c - see moves.h. */
#include "shard/host/moves.h"

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/cluster/ring.h"
#include "common/wire/msg.h"
#include "shard/host/host.h"
#include "shard/host/room_host.h"
#include "shard/limits.h"
#include "shard/metrics.h"

static void run(struct moves *moves);

static uint64_t now_ms(const struct moves *moves)
{
    return env_now_ms(moves->host->env);
}

static void count(struct moves *moves)
{
    moves->host->metrics->rooms_to_move = (int64_t)moves->queue.n_waiting;
    moves->host->metrics->rooms_moving = (int64_t)moves->queue.n_taken;
}

/* ---- when ---- */

static uint64_t next_ms(const struct moves *moves)
{
    const struct move_queue *queue = &moves->queue;
    uint64_t due_ms = UINT64_MAX;

    if (queue->n_taken > 0)
        due_ms = move_queue_oldest_ms(queue) + MOVE_ARRIVE_MS;
    if (queue->n_waiting > 0 && queue->n_taken < queue->n_places)
        due_ms = MIN(due_ms, moves->begin_ms);
    return due_ms;
}

static void plan(struct moves *moves)
{
    struct env *env = moves->host->env;
    uint64_t due_ms = next_ms(moves), now = now_ms(moves);

    count(moves);
    env_timer_cancel(env, &moves->timer);
    if (due_ms == UINT64_MAX)
        return;
    /* Out of memory: the next room that arrives, or the next ring, goes on. */
    if (env_timer(env, &moves->timer, due_ms > now ? due_ms - now : 0) < 0)
        log_warn("rooms wait for the next chance to go: out of memory");
}

static void free_place(struct moves *moves, uint64_t number, bool has_arrived)
{
    struct shard_metrics *metrics = moves->host->metrics;
    uint64_t since_ms = move_queue_done(&moves->queue, number), took_ms;

    if (since_ms == UINT64_MAX)
        return; /* too late, or somebody else has said so */
    took_ms = now_ms(moves) - since_ms;
    if (took_ms <= MOVE_FAST_MS || took_ms > MOVE_SLOW_MS)
        move_queue_pace(&moves->queue, number, took_ms <= MOVE_FAST_MS);
    if (has_arrived)
        histogram_observe(&metrics->move_us, 1000 * took_ms);
    else
        metrics->moves_silent++;
}

static void free_overdue(struct moves *moves)
{
    uint64_t number, now = now_ms(moves);

    while (now >= MOVE_ARRIVE_MS &&
           (number = move_queue_overdue(&moves->queue, now - MOVE_ARRIVE_MS)))
        free_place(moves, number, false);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct moves *moves = arg;

    (void)timer;
    free_overdue(moves);
    run(moves);
}

/* ---- going ---- */

static void run(struct moves *moves)
{
    struct move_node *node;
    uint64_t number;

    if (moves->is_running)
        return;
    moves->is_running = true;
    for (size_t n = 0; n < ROOMS_MOVED_PER_TURN && now_ms(moves) >= moves->begin_ms; n++) {
        node = move_queue_next(&moves->queue, now_ms(moves), &number);
        if (!node)
            break;
        container_of(node, struct room_host, move)->move_number = number;
        room_leave(container_of(node, struct room_host, move));
    }
    moves->is_running = false;
    plan(moves);
}

void moves_on_closed(struct room_host *room, bool are_told)
{
    struct moves *moves = &room->host->moves;

    move_queue_remove(&moves->queue, &room->move);
    if (room->move_number && !are_told) /* nobody will say that it has arrived */
        (void)move_queue_done(&moves->queue, room->move_number);
    count(moves);
    if (room->move_number && !are_told)
        run(moves);
}

void moves_on_arrived(struct moves *moves, const struct msg_ARRIVED *msg)
{
    free_place(moves, msg->move, true);
    run(moves);
}

/* ---- a new ring ---- */

/* Else nobody looks for anything here any more. */
static bool is_listed(const struct host *host)
{
    const struct ring_member *self =
        host->ring ? ring_find(host->ring, host->config.node_id) : NULL;

    return self && self->incarnation == host->config.incarnation;
}

static uint32_t heat_of(const struct room_host *room)
{
    uint32_t heat = heat_now(&room->heat, env_now_ms(room->host->env));

    /* Of those in which nothing happens, those that somebody looks at. */
    return heat == 0 && !list_empty(&room->gates) ? 1 : heat;
}

static void sort(struct moves *moves, struct room_host *room, bool at_once)
{
    if (host_owns(moves->host, room->object))
        move_queue_remove(&moves->queue, &room->move);
    else if (at_once || room->state == ROOM_CLAIMING)
        room_leave(room);
    else if (room->state == ROOM_ACTIVE)
        move_queue_add(&moves->queue, &room->move, heat_of(room));
}

void moves_on_ring(struct moves *moves, const struct ring *before)
{
    struct host *host = moves->host;
    bool at_once = !is_listed(host);
    struct room_host *room, *next;

    ring_unref(moves->before);
    moves->before = before ? ring_ref(before) : NULL;
    moves->settled_ms = now_ms(moves) + HANDOVER_MS;
    if (moves->queue.n_waiting == 0) {
        moves->begin_ms = now_ms(moves) + MOVE_GRACE_MS;
        move_queue_forget_pace(&moves->queue);
    }
    list_for_each_safe(room, next, &host->rooms_by_use, by_use) sort(moves, room, at_once);
    plan(moves);
}

bool moves_may_be_elsewhere(const struct moves *moves, struct slice object)
{
    const struct host *host = moves->host;
    const struct ring_member *had, *has;

    if (!host->ring || now_ms(moves) >= moves->settled_ms)
        return false;
    if (!moves->before || ring_count(moves->before) == 0)
        return ring_count(host->ring) > 1; /* we have just come: others had it */
    had = ring_owner(moves->before, object);
    has = had ? ring_find(host->ring, had->id) : NULL;
    return has && has->incarnation == had->incarnation &&
           !slice_eq(has->id, host->config.node_id);
}

/* ---- life ---- */

void moves_init(struct moves *moves, struct host *host)
{
    moves->host = host;
    move_queue_init(&moves->queue, ROOMS_MOVING_MIN, ROOMS_MOVING_MAX);
    timer_init(&moves->timer, on_timer, moves);
}

void moves_stop(struct moves *moves)
{
    env_timer_cancel(moves->host->env, &moves->timer);
    ring_unref(TAKE(moves->before));
}
