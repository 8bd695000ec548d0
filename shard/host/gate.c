/* gate.c - gateways and their ghosts. See gate.h. */
#include "shard/host/gate.h"

#include <stdlib.h>

#include "common/base/env.h"
#include "common/cluster/ring.h"
#include "shard/host/attach.h"
#include "shard/host/gather.h"
#include "shard/host/host.h"
#include "shard/host/room_host.h"
#include "shard/host/user_channel.h"
#include "shard/limits.h"
#include "shard/metrics.h"

/* A gateway without a link needs no word: it attaches all of its rooms again when it is back.
 */
size_t gates_wake(struct host *host, const struct room_host *room)
{
    struct msg msg = {.type = MSG_WAKE,
                      .WAKE = {.project = room->project,
                               .room = room->id,
                               .seq = room->seq,
                               .wake = room->settle.wake}};
    struct gate *gate;
    size_t n = 0;

    list_for_each(gate, &host->all_gates, in_host)
    {
        n += gate->link != NULL;
        gate_send(gate, &msg);
    }
    return n;
}

/* It had sockets also in rooms that sleep, which we know nothing of: the gateways do. */
static void gates_tell_gone(const struct gate *gone)
{
    struct msg msg = {.type = MSG_GATEWAY_GONE,
                      .GATEWAY_GONE = {.incarnation = gone->incarnation}};
    struct gate *gate;

    list_for_each(gate, &gone->host->all_gates, in_host) gate_send(gate, &msg);
}

void gates_tell_replaced(struct host *host)
{
    struct msg msg = {.type = MSG_GATEWAY_GONE};
    struct gate *gate;

    list_for_each(gate, &host->all_gates, in_host) gate_send(gate, &msg);
}

/* ---- life ---- */

static void free_now(struct later *later, void *arg)
{
    struct gate *gate = arg;

    (void)later;
    map_deinit(&gate->attaches);
    map_deinit(&gate->user_sockets);
    free(gate);
}

/* Who was sent to another gateway has a time of his own. */
static bool is_of_lost_link(const struct attach *attach)
{
    return attach->state == ATTACH_GHOST && !list_linked(&attach->in_wait);
}

static struct attach *any_attach(struct gate *gate, bool only_ghosts)
{
    struct room_gate *rg;
    struct attach *attach;

    list_for_each(rg, &gate->rooms, in_gate)
    {
        list_for_each(attach, &rg->attaches, in_room_gate)
        {
            if (!only_ghosts || is_of_lost_link(attach))
                return attach;
        }
    }
    return NULL;
}

static void forget(struct gate *gate)
{
    struct attach *attach;

    while ((attach = any_attach(gate, false)))
        attach_remove(attach);
    user_sockets_drop(gate);
    gathers_on_gate_down(gate);
    while (!list_empty(&gate->clients)) {
        struct gate_client *client = list_first(&gate->clients, struct gate_client, link);

        list_del(&client->link);
        client->on_forgotten(client);
    }
    gate_pace_reset(&gate->pace);
    env_timer_cancel(gate->host->env, &gate->hold);
    env_timer_cancel(gate->host->env, &gate->held_timer);
    map_remove(&gate->host->gates, &gate->node);
    list_del(&gate->in_host);
    env_free_later(gate->host->env, &gate->dead);
}

static void on_hold_over(struct timer *timer, void *arg)
{
    struct gate *gate = arg;
    struct attach *attach;

    /* Each is news in its room: many of them are told over several turns. */
    for (size_t n = 0; (attach = any_attach(gate, true)); n++) {
        if (n == GHOSTS_PER_TURN && env_timer(gate->host->env, timer, 1) == 0)
            return;
        gate->host->metrics->ghosts_expired++;
        attach_remove(attach);
    }
    if (!gate->link) {
        gate->host->metrics->gateways_gone++;
        gates_tell_gone(gate);
        forget(gate);
    }
}

/* ---- sockets that were sent to other gateways ---- */

static void on_held_over(struct timer *timer, void *arg)
{
    struct gate *gate = arg;
    struct env *env = gate->host->env;
    uint64_t now_ms = env_now_ms(env);

    while (!list_empty(&gate->held)) {
        struct attach *attach = list_first(&gate->held, struct attach, in_wait);
        uint64_t due_ms = attach->held_ms + PRESENCE_HOLD_MS;

        if (due_ms > now_ms && env_timer(env, timer, due_ms - now_ms) == 0)
            return;
        gate->host->metrics->ghosts_expired++;
        attach_remove(attach);
    }
}

int gate_hold(struct attach *attach)
{
    struct gate *gate = attach->gate;
    struct env *env = gate->host->env;
    int r = timer_is_armed(&gate->held_timer)
                ? 0
                : env_timer(env, &gate->held_timer, PRESENCE_HOLD_MS);

    if (r < 0)
        return r;
    attach_become_ghost(attach);
    attach->held_ms = env_now_ms(env);
    list_add_tail(&gate->held, &attach->in_wait);
    return 0;
}

/* ---- life ---- */

static bool incarnation_eq(const struct map_node *node, const void *key)
{
    const uint64_t *incarnation = key;

    return container_of(node, const struct gate, node)->incarnation == *incarnation;
}

static struct gate *gate_new(struct host *host, uint64_t incarnation)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    if (!gate)
        return NULL;
    gate->host = host;
    gate->incarnation = incarnation;
    map_init(&gate->attaches);
    map_init(&gate->user_sockets);
    list_init(&gate->in_host);
    list_init(&gate->rooms);
    list_init(&gate->clients);
    gate_pace_init(&gate->pace);
    timer_init(&gate->hold, on_hold_over, gate);
    list_init(&gate->held);
    timer_init(&gate->held_timer, on_held_over, gate);
    later_init(&gate->dead, free_now, gate);
    if (map_insert(&host->gates, &gate->node, hash_u64(incarnation)) < 0) {
        free(gate);
        return NULL;
    }
    list_add_tail(&host->all_gates, &gate->in_host);
    return gate;
}

/* The sockets stay only as those who were here, until they come back or the time is over. */
static void make_ghosts(struct gate *gate)
{
    struct room_gate *rg, *next_rg;
    struct attach *attach, *next;

    gate->link = NULL;
    gate->ops = NULL;
    gate_pace_reset(&gate->pace);
    user_sockets_drop(gate); /* nobody sees them: there is nothing to hold */
    gathers_on_gate_down(gate);
    list_for_each_safe(rg, next_rg, &gate->rooms, in_gate)
    {
        list_for_each_safe(attach, next, &rg->attaches, in_room_gate)
            attach_become_ghost(attach);
    }
    /* Out of memory for the timer: without it ghosts would stay for ever. */
    if (env_timer(gate->host->env, &gate->hold, PRESENCE_HOLD_MS) < 0)
        on_hold_over(&gate->hold, gate);
}

struct gate *gate_up(struct host *host, uint64_t incarnation, const struct gate_link_ops *ops,
                     void *link)
{
    struct map_node *node =
        map_find(&host->gates, hash_u64(incarnation), incarnation_eq, &incarnation);
    struct gate *gate = node ? container_of(node, struct gate, node) : NULL;

    if (gate && gate->link) {
        gate->ops->on_replaced(gate->link);
        make_ghosts(gate);
        if (!list_linked(&gate->in_host)) /* it had to be forgotten */
            gate = NULL;
    }
    if (!gate)
        gate = gate_new(host, incarnation);
    if (!gate)
        return NULL;
    gate->ops = ops;
    gate->link = link;
    return gate;
}

void gate_down(struct gate *gate)
{
    make_ghosts(gate);
}

void gate_drop(struct gate *gate)
{
    gate->link = NULL;
    gate->ops = NULL;
    forget(gate);
}

/* ---- use ---- */

static bool number_eq(const struct map_node *node, const void *key)
{
    const uint64_t *number = key;

    return container_of(node, const struct attach, node)->number == *number;
}

struct attach *gate_find_attach(const struct gate *gate, uint64_t number)
{
    struct map_node *node = map_find(&gate->attaches, hash_u64(number), number_eq, &number);

    return node ? container_of(node, struct attach, node) : NULL;
}

void gate_send_encoded(struct gate *gate, struct slice frames)
{
    if (!gate->link)
        return;
    gate->pace.sent += frames.len;
    gate->ops->send(gate->link, frames);
}

void gate_send(struct gate *gate, const struct msg *msg)
{
    struct buf *wire = &gate->host->wire;

    if (!gate->link)
        return;
    buf_clear(wire);
    msg_encode(wire, msg);
    /* An encoding that failed for want of memory goes out empty, which closes the link: it has
     * lost a message. */
    gate_send_encoded(gate, buf_failed(wire) ? slice_of(NULL, 0) : buf_slice(wire));
}

void gate_send_close(struct gate *gate, uint64_t number, uint32_t epoch, uint32_t code,
                     const char *reason)
{
    struct msg msg = {
        .type = MSG_CLOSE,
        .CLOSE = {.attach = number, .code = code, .reason = slice_str(reason), .epoch = epoch}};

    gate_send(gate, &msg);
}

void gate_send_moved(struct gate *gate, struct slice object)
{
    struct ring_identity identity = {0};
    struct msg msg = {.type = MSG_MOVED};

    if (gate->host->ring)
        identity = ring_identity(gate->host->ring);
    msg.MOVED = (struct msg_MOVED){
        .object = object, .ring_epoch = identity.epoch, .ring_hash = identity.hash};
    gate_send(gate, &msg);
}

bool gate_is_congested(const struct gate *gate)
{
    return !gate->link || gate->ops->is_congested(gate->link);
}

/* ---- places in rooms ---- */

static void room_gate_free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

struct room_gate *room_gate_get(struct room_host *room, struct gate *gate)
{
    struct room_gate *rg;

    list_for_each(rg, &room->gates, in_room)
    {
        if (rg->gate == gate)
            return rg;
    }
    rg = calloc(1, sizeof(*rg));
    if (!rg)
        return NULL;
    rg->room = room;
    rg->gate = gate;
    list_init(&rg->attaches);
    later_init(&rg->dead, room_gate_free_now, rg);
    list_add_tail(&room->gates, &rg->in_room);
    list_add_tail(&gate->rooms, &rg->in_gate);
    return rg;
}

void room_gate_put(struct room_gate *rg)
{
    if (!list_empty(&rg->attaches))
        return;
    list_del(&rg->in_room);
    list_del(&rg->in_gate);
    env_free_later(rg->gate->host->env, &rg->dead);
}
