/*
 * sim.c - the simulated clock, its events, and the nodes' life.
 */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_net.h"

#define EPOCH_US                                                                               \
    INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z: the wall clock when the world begins */
#define TURN_TIMERS 64        /* timers that one turn may run */

struct sim_event {
    uint64_t at_ms, order;
    sim_event_fn fn;
    void *arg;
};

uint64_t sim_rand(struct sim_rng *rng)
{
    /* splitmix64: small, seedable, good enough to choose faults with */
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_range(struct sim_rng *rng, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + sim_rand(rng) % (high - low + 1);
}

bool sim_chance(struct sim_rng *rng, unsigned per_mille)
{
    return sim_rand(rng) % 1000 < per_mille;
}

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim =
        (struct sim){.now_ms = 1000, .rng = {seed}, .latency_min_ms = 0, .latency_max_ms = 3};
    list_init(&sim->nodes);
}

void sim_deinit(struct sim *sim)
{
    assert(list_empty(&sim->nodes));
    for (size_t i = 0; i < sim->n_events; i++)
        free(sim->heap[i]);
    free(sim->heap);
}

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void sim_after(struct sim *sim, uint64_t delay_ms, sim_event_fn fn, void *arg)
{
    struct sim_event *event = malloc(sizeof(*event));
    size_t i;

    if (sim->n_events == sim->cap_events) {
        sim->cap_events = sim->cap_events ? sim->cap_events * 2 : 64;
        sim->heap = realloc(sim->heap, sim->cap_events * sizeof(struct sim_event *));
    }
    if (!event || !sim->heap)
        abort(); /* the simulator itself has no plan for this */
    *event = (struct sim_event){sim->now_ms + delay_ms, sim->order++, fn, arg};
    for (i = sim->n_events++; i > 0 && event_before(event, sim->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = event;
}

static struct sim_event *pop_event(struct sim *sim)
{
    struct sim_event *top = sim->heap[0];
    struct sim_event *last = sim->heap[--sim->n_events];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= sim->n_events)
            break;
        if (child + 1 < sim->n_events && event_before(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!event_before(sim->heap[child], last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return top;
}

/* The node whose timer is due first, or NULL when an event of the world comes before. */
static struct sim_node *next_timer(struct sim *sim, uint64_t *ret_at_ms)
{
    struct sim_node *best = NULL;
    struct sim_node *node;

    *ret_at_ms = sim->n_events ? sim->heap[0]->at_ms : UINT64_MAX;
    list_for_each(node, &sim->nodes, link)
    {
        uint64_t due;

        if (!node->up || node->paused)
            continue;
        due = timers_next(&node->env.timers);
        if (due < *ret_at_ms) {
            best = node;
            *ret_at_ms = due;
        }
    }
    return best;
}

void sim_turn_end(struct sim_node *node)
{
    bool is_last = ++node->turns == node->last_turn && node->up && !node->is_dying;

    node->sim->turns++;
    if (node->up && !node->is_dying && !(is_last && node->is_cut_in_turn))
        env_end_turn(&node->env);
    if (is_last) { /* the caller may still use it */
        node->is_dying = node->paused = true;
        sim_after(node->sim, 0, node->on_death, TAKE(node->death));
    }
}

void sim_node_die_in(struct sim_node *node, uint64_t turns, bool is_cut, sim_event_fn on_death,
                     void *arg)
{
    assert(!node->last_turn && turns > 0);
    node->last_turn = node->turns + turns;
    node->is_cut_in_turn = is_cut;
    node->on_death = on_death;
    node->death = arg;
}

void sim_node_spare(struct sim_node *node)
{
    free(TAKE(node->death));
    if (!node->is_dying)
        node->last_turn = 0;
}

void sim_run_until(struct sim *sim, uint64_t end_ms)
{
    for (;;) {
        uint64_t at_ms;
        struct sim_node *node = next_timer(sim, &at_ms);

        if (at_ms > end_ms)
            break;
        if (at_ms > sim->now_ms)
            sim->now_ms = at_ms;
        if (node) {
            timers_run(&node->env.timers, sim->now_ms, TURN_TIMERS);
            sim_turn_end(node);
        } else {
            struct sim_event *event = pop_event(sim);

            event->fn(sim, event->arg);
            free(event);
        }
    }
    sim->now_ms = end_ms;
}

void sim_drain(struct sim *sim)
{
    while (sim->n_events > 0) {
        struct sim_event *event = pop_event(sim);

        sim->now_ms = MAX(sim->now_ms, event->at_ms);
        event->fn(sim, event->arg);
        free(event);
    }
}

static struct sim_node *node_of(struct env *env)
{
    return container_of(env, struct sim_node, env);
}

static uint64_t node_mono_ms(struct env *env)
{
    return node_of(env)->sim->now_ms;
}

static uint64_t node_mono_us(struct env *env)
{
    return node_mono_ms(env) * 1000;
}

int64_t sim_wall_us(uint64_t at_ms)
{
    return EPOCH_US + (int64_t)at_ms * 1000;
}

static int64_t node_wall_us(struct env *env)
{
    const struct sim_node *node = node_of(env);

    return sim_wall_us(node->sim->now_ms) + node->wall_offset_us;
}

static void node_random(struct env *env, void *ret, size_t len)
{
    char *at = ret;

    while (len > 0) {
        uint64_t r = sim_rand(&node_of(env)->sim->rng);
        size_t n = MIN(len, sizeof(r));

        memcpy(at, &r, n);
        at += n;
        len -= n;
    }
}

static const struct env_ops node_ops = {
    .mono_ms = node_mono_ms,
    .mono_us = node_mono_us,
    .wall_us = node_wall_us,
    .random = node_random,
    .connect = sim_net_connect,
};

void sim_node_init(struct sim *sim, struct sim_node *node, const char *name,
                   const char *address)
{
    *node = (struct sim_node){.sim = sim, .name = name, .address = address, .up = true};
    env_init(&node->env, &node_ops);
    list_init(&node->streams);
    list_add_tail(&sim->nodes, &node->link);
}

void sim_node_crash(struct sim_node *node)
{
    assert(node->up);
    node->up = false;
    sim_net_cut_node(node);
}

void sim_node_pause(struct sim_node *node, bool paused)
{
    node->paused = paused;
    if (!paused)
        sim_net_release(node->sim);
}

void sim_node_deinit(struct sim_node *node)
{
    if (node->up)
        sim_node_crash(node);
    sim_node_spare(node);
    env_deinit(&node->env);
    sim_net_free_node(node);
    list_del(&node->link);
}
