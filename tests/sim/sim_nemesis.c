/*
 * sim_nemesis.c - what goes wrong, when, and for how long. Each fault heals by
 * itself; at the end of the run everything heals at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_world.h"

#define FAULT_MIN_MS 100 /* longer than the database's answers take */
#define FAULT_MAX_MS 6000

/* A fault that lasts: which one, and on whom. */
struct fault {
    struct sim_world *world;
    void (*heal)(struct fault *fault);
    size_t a, b;
};

void sim_trace(struct sim_world *world, const char *fmt, ...)
{
    va_list args;

    if (!world->options.is_verbose)
        return;
    va_start(args, fmt);
    fprintf(stderr, "%8llu ms  ", (unsigned long long)world->sim.now_ms);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

static void on_heal(struct sim *sim, void *arg)
{
    struct fault *fault = arg;

    (void)sim;
    if (!fault->world->is_healing) /* else all of it has been healed */
        fault->heal(fault);
    free(fault);
}

static void last_for(struct sim_world *world, uint64_t ms, void (*heal)(struct fault *),
                     size_t a, size_t b)
{
    struct fault *fault = malloc(sizeof(*fault));

    if (!fault)
        abort();
    *fault = (struct fault){world, heal, a, b};
    sim_after(&world->sim, ms, on_heal, fault);
}

static uint64_t some_time(struct sim_world *world)
{
    return sim_range(&world->sim.rng, FAULT_MIN_MS, FAULT_MAX_MS);
}

static void heal_shard(struct fault *f)
{
    struct sim_shard *shard = &f->world->shards[f->a];

    if (shard->is_alive)
        return; /* it is still leaving; the end of the run starts it again */
    sim_trace(f->world, "shard-%zu starts", f->a + 1);
    sim_shard_start(f->world, f->a);
}

static void heal_gateway(struct fault *f)
{
    if (f->world->gateways[f->a].sessions)
        return;
    sim_trace(f->world, "gateway-%zu starts", f->a + 1);
    sim_gateway_start(f->world, f->a);
}

static void heal_pause(struct fault *f)
{
    struct sim_shard *shard = &f->world->shards[f->a];

    if (shard->is_alive && shard->node.paused)
        sim_node_pause(&shard->node, false);
}

static void heal_partition(struct fault *f)
{
    sim_partition(&f->world->sim, &f->world->gateways[f->a].node, &f->world->shards[f->b].node,
                  false);
}

static void heal_registry(struct fault *f)
{
    f->world->registry.down = false;
}

static void heal_store(struct fault *f)
{
    sim_server_set_up(&f->world->server, true);
}

static void heal_stall(struct fault *f)
{
    sim_server_set_stalled(&f->world->server, false);
}

static void crash_shard(struct sim_world *w, size_t i)
{
    struct sim_shard *shard = &w->shards[i];

    if (!shard->is_alive)
        return;
    sim_trace(w, "shard-%zu dies", i + 1);
    sim_shard_crash(shard);
    last_for(w, some_time(w), heal_shard, i, 0);
}

static void crash_gateway(struct sim_world *w, size_t i)
{
    if (!w->gateways[i].sessions)
        return;
    sim_trace(w, "gateway-%zu dies", i + 1);
    sim_gateway_crash(&w->gateways[i]);
    last_for(w, some_time(w), heal_gateway, i, 0);
}

static void pause_shard(struct sim_world *w, size_t i)
{
    struct sim_shard *shard = &w->shards[i];

    if (!shard->is_alive || shard->node.paused)
        return;
    sim_trace(w, "shard-%zu is stopped for a while", i + 1);
    sim_node_pause(&shard->node, true);
    last_for(w, some_time(w), heal_pause, i, 0);
}

static void leave_shard(struct sim_world *w, size_t i)
{
    struct sim_shard *shard = &w->shards[i];

    if (!shard->is_alive || shard->is_leaving || shard->node.paused)
        return;
    sim_trace(w, "shard-%zu leaves", i + 1);
    sim_shard_leave(shard);
    last_for(w, FAULT_MAX_MS + some_time(w), heal_shard, i, 0);
}

static void partition(struct sim_world *w, size_t g, size_t s)
{
    if (!w->gateways[g].sessions || !w->shards[s].is_alive)
        return;
    sim_trace(w, "gateway-%zu and shard-%zu cannot reach each other", g + 1, s + 1);
    sim_partition(&w->sim, &w->gateways[g].node, &w->shards[s].node, true);
    last_for(w, some_time(w), heal_partition, g, s);
}

static void reset_links(struct sim_world *w, size_t g, size_t s)
{
    if (!w->gateways[g].sessions || !w->shards[s].is_alive)
        return;
    sim_trace(w, "link of gateway-%zu and shard-%zu is cut", g + 1, s + 1);
    sim_reset_connections(&w->gateways[g].node, &w->shards[s].node);
}

static void registry_down(struct sim_world *w)
{
    bool is_lost = sim_chance(&w->sim.rng, 300);

    sim_trace(w, "the registry goes away%s", is_lost ? " and forgets everything" : "");
    w->registry.down = true;
    if (is_lost)
        registry_model_init(&w->registry.model);
    last_for(w, some_time(w), heal_registry, 0, 0);
}

static void store_down(struct sim_world *w)
{
    if (!w->server.is_up)
        return;
    sim_trace(w, "the database goes away");
    sim_server_set_up(&w->server, false);
    last_for(w, some_time(w), heal_store, 0, 0);
}

static void store_stall(struct sim_world *w)
{
    if (w->server.is_stalled)
        return;
    sim_trace(w, "the database stalls");
    sim_server_set_stalled(&w->server, true);
    last_for(w, some_time(w), heal_stall, 0, 0);
}

static void store_cut(struct sim_world *w, size_t i)
{
    if (!w->shards[i].is_alive)
        return;
    sim_trace(w, "shard-%zu loses its connections to the database", i + 1);
    sim_store_cut(w->shards[i].store);
}

static void strike(struct sim_world *w)
{
    const struct sim_faults *f = &w->faults;
    size_t g = sim_range(&w->sim.rng, 0, w->n_gateways - 1);
    size_t s = sim_range(&w->sim.rng, 0, w->n_shards - 1);
    const unsigned weights[] = {f->crash_shard,   f->crash_gateway, f->pause_shard,
                                f->leave_shard,   f->partition,     f->reset_links,
                                f->registry_down, f->store_down,    f->store_stall,
                                f->store_cut,     f->split};
    unsigned total = 0;
    uint64_t dice;
    size_t which = 0;

    for (size_t i = 0; i < ARRAY_LEN(weights); i++)
        total += weights[i];
    if (total == 0)
        return;
    for (dice = sim_range(&w->sim.rng, 0, total - 1); dice >= weights[which]; which++)
        dice -= weights[which];
    w->n_faults++;
    switch (which) {
    case 0:
        crash_shard(w, s);
        break;
    case 1:
        crash_gateway(w, g);
        break;
    case 2:
        pause_shard(w, s);
        break;
    case 3:
        leave_shard(w, s);
        break;
    case 4:
        partition(w, g, s);
        break;
    case 5:
        reset_links(w, g, s);
        break;
    case 6:
        registry_down(w);
        break;
    case 7:
        store_down(w);
        break;
    case 8:
        store_stall(w);
        break;
    case 9:
        store_cut(w, s);
        break;
    default:
        sim_split(w);
        break;
    }
}

static void on_strike(struct sim *sim, void *arg)
{
    struct sim_world *w = arg;

    if (w->is_healing)
        return;
    strike(w);
    sim_after(sim, sim_range(&sim->rng, 1, 2 * (uint64_t)w->faults.step_ms), on_strike, w);
}

void sim_nemesis_start(struct sim_world *w)
{
    if (w->faults.step_ms > 0)
        sim_after(&w->sim, sim_range(&w->sim.rng, 100, 2 * (uint64_t)w->faults.step_ms + 100),
                  on_strike, w);
}
