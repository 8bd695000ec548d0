/*
 * sim_split.c - networks that fail in part: one way only, one process without
 * the registry or without the database, or the whole cluster in two halves of
 * which both serve the same rooms, each by a ring of its own.
 */
#include <stdlib.h>

#include "tests/sim/sim_world.h"

#define SPLIT_MIN_MS 200
#define SPLIT_MAX_MS 15000 /* longer than a lease, a heartbeat and the wait for an owner */

struct split {
    struct sim_world *world;
    void (*heal)(struct split *split);
    size_t a, b;
};

static void on_heal(struct sim *sim, void *arg)
{
    struct split *split = arg;

    (void)sim;
    if (!split->world->is_healing) /* else all of it has been healed */
        split->heal(split);
    free(split);
}

static void last_for_a_while(struct sim_world *w, void (*heal)(struct split *), size_t a,
                             size_t b)
{
    struct split *split = malloc(sizeof(*split));

    if (!split)
        abort();
    *split = (struct split){w, heal, a, b};
    sim_after(&w->sim, sim_range(&w->sim.rng, SPLIT_MIN_MS, SPLIT_MAX_MS), on_heal, split);
}

/* ---- nodes by number: gateways first, then shards ---- */

static size_t n_nodes(const struct sim_world *w)
{
    return w->n_gateways + w->n_shards;
}

static bool is_gateway(const struct sim_world *w, size_t i)
{
    return i < w->n_gateways;
}

static struct sim_node *node_at(struct sim_world *w, size_t i)
{
    return is_gateway(w, i) ? &w->gateways[i].node : &w->shards[i - w->n_gateways].node;
}

static bool is_running(const struct sim_world *w, size_t i)
{
    return is_gateway(w, i) ? w->gateways[i].sessions != NULL
                            : w->shards[i - w->n_gateways].is_alive;
}

static struct fake_registry *registry_at(struct sim_world *w, size_t i)
{
    return is_gateway(w, i) ? &w->gateways[i].registry : &w->shards[i - w->n_gateways].registry;
}

static void set_registry(struct sim_world *w, size_t i, bool cut, bool deaf)
{
    struct fake_registry *registry = registry_at(w, i);

    registry->cut = cut;
    registry->deaf = deaf;
}

/* ---- the kinds ---- */

static void heal_one_way(struct split *s)
{
    sim_partition_one_way(&s->world->sim, node_at(s->world, s->a), node_at(s->world, s->b),
                          false);
}

static void split_one_way(struct sim_world *w)
{
    size_t g = sim_range(&w->sim.rng, 0, w->n_gateways - 1);
    size_t s = sim_range(&w->sim.rng, w->n_gateways, n_nodes(w) - 1);
    bool turned = sim_chance(&w->sim.rng, 500);
    size_t from = turned ? s : g, to = turned ? g : s;

    if (!is_running(w, g) || !is_running(w, s))
        return;
    sim_trace(w, "nothing of %s reaches %s", node_at(w, from)->name, node_at(w, to)->name);
    sim_partition_one_way(&w->sim, node_at(w, from), node_at(w, to), true);
    last_for_a_while(w, heal_one_way, from, to);
}

static void heal_registry(struct split *s)
{
    set_registry(s->world, s->a, false, false);
}

static void split_registry(struct sim_world *w)
{
    size_t i = sim_range(&w->sim.rng, 0, n_nodes(w) - 1);
    bool deaf = sim_chance(&w->sim.rng, 300);

    if (!is_running(w, i))
        return;
    sim_trace(w, "%s %s the registry", node_at(w, i)->name,
              deaf ? "gets no answer of" : "does not reach");
    set_registry(w, i, !deaf, deaf);
    last_for_a_while(w, heal_registry, i, 0);
}

static void heal_store(struct split *s)
{
    struct sim_shard *shard = &s->world->shards[s->a];

    if (shard->is_alive)
        sim_store_set_cut_off(shard->store, false);
}

static void split_store(struct sim_world *w)
{
    size_t i = sim_range(&w->sim.rng, 0, w->n_shards - 1);

    if (!w->shards[i].is_alive)
        return;
    sim_trace(w, "%s does not reach the database", w->shards[i].name);
    sim_store_set_cut_off(w->shards[i].store, true);
    last_for_a_while(w, heal_store, i, 0);
}

/* Which nodes are on the far side: a bit each. */
static void set_halves(struct sim_world *w, size_t far, bool is_cut)
{
    for (size_t i = 0; i < n_nodes(w); i++) {
        if (far >> i & 1)
            set_registry(w, i, is_cut, false);
        for (size_t j = w->n_gateways; j < n_nodes(w) && is_gateway(w, i); j++) {
            if ((far >> i & 1) != (far >> j & 1))
                sim_partition(&w->sim, node_at(w, i), node_at(w, j), is_cut);
        }
    }
}

static void heal_halves(struct split *s)
{
    set_halves(s->world, s->a, false);
}

/* The registry is on the near side; the database is reached from both, so that only fences keep
 * the two from writing over each other. */
static void split_in_halves(struct sim_world *w)
{
    size_t far = sim_range(&w->sim.rng, 1, (UINT64_C(1) << n_nodes(w)) - 1);

    for (size_t i = 0; i < n_nodes(w); i++) {
        if (!is_running(w, i))
            return;
        if (far >> i & 1)
            sim_trace(w, "%s is on the far side of a split", node_at(w, i)->name);
    }
    set_halves(w, far, true);
    last_for_a_while(w, heal_halves, far, 0);
}

void sim_split(struct sim_world *w)
{
    static void (*const kinds[])(struct sim_world *) = {split_one_way, split_registry,
                                                        split_store, split_in_halves};

    kinds[sim_range(&w->sim.rng, 0, ARRAY_LEN(kinds) - 1)](w);
}

void sim_split_heal_all(struct sim_world *w)
{
    sim_heal_partitions(&w->sim);
    for (size_t i = 0; i < n_nodes(w); i++) {
        if (is_running(w, i))
            set_registry(w, i, false, false);
    }
    for (size_t i = 0; i < w->n_shards; i++) {
        if (w->shards[i].is_alive)
            sim_store_set_cut_off(w->shards[i].store, false);
    }
}
