/*
 * sim_shard.c - a shard of the simulated world: membership, links, host,
 * committer of production code over the simulated database.
 *
 * A shard that crashes is cut off at once and does nothing any more; its memory
 * is kept until the answers of the database that were under way have come back
 * to nobody (sim_shard_reap).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cluster/ring.h"
#include "shard/peer/peers.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_world.h"

#define TICK_MS 200
#define DRAIN_MAX_MS 4000
#define LEAVE_MAX_MS 5000

/* ---- what main() does in production ---- */

static void on_ring(void *owner, const struct ring *ring)
{
    struct sim_shard *s = owner;

    peers_set_ring(s->links, ring);
    host_set_ring(s->host, ring);
}

static void on_superseded(void *owner)
{
    struct sim_shard *s = owner;

    sim_violation(&s->world->check, "%s: superseded while alive", s->name);
}

static void on_left(void *owner)
{
    struct sim_shard *s = owner;

    s->left_ms = s->world->sim.now_ms;
}

static const struct membership_events membership_events = {
    .on_ring = on_ring, .on_superseded = on_superseded, .on_left = on_left};

static int on_peer_ring(void *owner, uint64_t epoch, struct slice members)
{
    struct sim_shard *s = owner;

    return s->membership ? membership_learn(s->membership, epoch, members) : 0;
}

static void on_call(void *owner, struct gate *gate, const struct msg_CALL *call)
{
    (void)owner;
    (void)gate;
    (void)call; /* simulated clients use sockets only */
}

static void on_store_replaced(void *owner)
{
    struct sim_shard *s = owner;

    if (!s->is_alive)
        return;
    committer_forget_ids(s->committer);
    host_store_replaced(s->host);
}

static const struct peers_hooks peers_hooks = {.on_ring = on_peer_ring, .on_call = on_call};

static void on_accept(struct sim_node *node, struct stream *stream)
{
    struct sim_shard *s = node->owner;

    if (peers_accept(s->links, stream) < 0)
        abort();
}

static void arm_tick(struct sim_shard *s)
{
    if (env_timer(&s->node.env, &s->tick, TICK_MS) < 0)
        abort();
}

static bool has_heirs(const struct sim_shard *s)
{
    const struct ring *ring = membership_ring(s->membership);

    for (size_t i = 0; i < ring_count(ring); i++) {
        if (!ring_at(ring, i)->draining && !slice_eq_str(ring_at(ring, i)->id, s->name))
            return true;
    }
    return false;
}

/* As in shard_stop.c: hands over, leaves the ring, lets the rest go. */
static void leave_on(struct sim_shard *s)
{
    bool is_late = s->world->sim.now_ms - s->drain_ms >= DRAIN_MAX_MS;

    if (!s->is_off && (host_is_empty(s->host) || !has_heirs(s) || is_late)) {
        s->is_off = true;
        membership_leave(s->membership);
    }
    if (s->left_ms)
        host_set_ring(s->host, NULL);
}

static void on_tick(struct timer *timer, void *arg)
{
    struct sim_shard *s = arg;

    (void)timer;
    if (!s->membership)
        return;
    host_set_lease(s->host, membership_is_confirmed(s->membership));
    if (s->is_leaving)
        leave_on(s);
    if (s->left_ms &&
        (host_is_empty(s->host) || s->world->sim.now_ms - s->left_ms > LEAVE_MAX_MS)) {
        sim_trace(s->world, "%s has left", s->name);
        peers_close(s->links);
        sim_shard_crash(s);
        return;
    }
    arm_tick(s);
}

/* ---- life ---- */

static void build(struct sim_shard *s)
{
    struct env *env = &s->node.env;
    struct commit_config commit = commit_config_default();
    struct host_config host = {
        .node_id = slice_str(s->name),
        .incarnation = s->incarnation,
        .room_idle_ms = sim_chance(&s->world->sim.rng, 500) ? 1500 : 60000,
        .page_entries = sim_chance(&s->world->sim.rng, 500)
                            ? (uint32_t)sim_range(&s->world->sim.rng, 1, 20)
                            : 0,
        .tail_entries = (uint32_t)sim_range(&s->world->sim.rng, 8, 600),
        .tail_bytes = 1u << 20,
        .rate_scale = 1000000,
    };
    struct membership_config member = {
        .node_id = slice_str(s->name),
        .self = {slice_str(s->name), slice_str(s->address), s->incarnation, 1, false},
    };
    struct peers_config links = {slice_str(s->name), s->incarnation, slice_str(SIM_SECRET)};

    commit.lanes = (unsigned)sim_range(&s->world->sim.rng, 1, 3);
    s->store = sim_store_new(&s->world->server, env);
    /* As at a connect: what the clock does afterwards changes nothing. */
    sim_store_set_clock_offset(s->store,
                               sim_wall_us(s->world->sim.now_ms) - env_steady_us(env));
    sim_store_on_replaced(s->store, on_store_replaced, s);
    if (committer_new(env, s->store, &commit, &s->committer) < 0 ||
        host_new(env, s->store, s->committer, &s->metrics, &host, &s->host) < 0 ||
        peers_new(env, s->host, &s->metrics, &links, &peers_hooks, s, &s->links) < 0 ||
        membership_new(env, &s->registry.registry, &member, &membership_events, s,
                       &s->membership) < 0)
        abort();
}

/* The memory of what has died here before. */
void sim_shard_reap(struct sim_shard *s)
{
    if (!s->is_corpse)
        return;
    s->is_corpse = false;
    for (int i = 0; i < 3; i++) { /* an answer may lead to one more question: ids are fetched
                                     for ever */
        sim_store_cut(s->store);
        timers_run(&s->node.env.timers, s->world->sim.now_ms, SIZE_MAX);
        sim_turn_end(&s->node);
    }
    env_timer_cancel(&s->node.env, &s->tick);
    host_free(s->host);
    committer_free(s->committer);
    sim_store_free(s->store);
    sim_node_deinit(&s->node);
    s->host = NULL;
}

void sim_shard_start(struct sim_world *world, size_t i)
{
    struct sim_shard *s = &world->shards[i];

    sim_shard_reap(s);
    memset(s, 0, sizeof(*s));
    s->world = world;
    s->is_alive = true;
    s->incarnation = ++world->incarnations;
    snprintf(s->name, sizeof(s->name), "shard-%zu", i + 1);
    snprintf(s->address, sizeof(s->address), "10.0.0.%zu:4000", i + 1);
    sim_node_init(&world->sim, &s->node, s->name, s->address);
    s->node.owner = s;
    s->node.on_accept = on_accept;
    s->node.wall_offset_us = (int64_t)sim_range(&world->sim.rng, 0, 400000) - 200000;
    fake_registry_init(&s->registry, &world->registry, &s->node.env);
    s->registry.delay_ms = sim_range(&world->sim.rng, 1, 10);
    shard_metrics_init(&s->metrics);
    timer_init(&s->tick, on_tick, s);
    build(s);
    arm_tick(s);
    sim_turn_end(&s->node);
}

void sim_shard_crash(struct sim_shard *s)
{
    assert(s->is_alive);
    s->is_alive = false;
    s->is_corpse = true;
    s->node.address = NULL;
    s->node.paused = false;
    sim_net_cut_node(&s->node);
    peers_free(s->links);
    s->links = NULL;
    host_drop_rooms(s->host);
    host_set_ring(s->host, NULL);
    membership_free(s->membership);
    s->membership = NULL;
    fake_registry_deinit(&s->registry);
    sim_store_cut(s->store);
}

void sim_shard_leave(struct sim_shard *s)
{
    s->is_leaving = true;
    s->drain_ms = s->world->sim.now_ms;
    if (has_heirs(s))
        membership_drain(s->membership);
    sim_turn_end(&s->node);
}
