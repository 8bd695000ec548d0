/*
 * sim_fault_node.c - what happens to processes: they die, between two turns or in
 * the middle of one, are stopped for a while, are told to leave, and their clocks
 * jump.
 */
#include <stdlib.h>

#include "tests/sim/sim_world.h"

#define TURNS_MAX 400
#define TOLD_AWAY_MS 150
#define JUMP_MAX_US INT64_C(7200000000) /* both ways */

static void heal_shard(struct sim_world *w, size_t i, size_t unused)
{
    (void)unused;
    if (w->shards[i].is_alive)
        return; /* it is still leaving; the end of the run starts it again */
    sim_trace(w, "shard-%zu starts", i + 1);
    sim_shard_start(w, i);
}

static void heal_gateway(struct sim_world *w, size_t i, size_t unused)
{
    (void)unused;
    if (w->gateways[i].sessions)
        return;
    sim_trace(w, "gateway-%zu starts", i + 1);
    sim_gateway_start(w, i);
}

void fault_crash_shard(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_shard(w, strike);

    if (!w->shards[i].is_alive)
        return;
    sim_tell(w, strike, "shard-%zu dies", i + 1);
    sim_shard_crash(&w->shards[i]);
    sim_last_for(w, sim_some_time(strike), heal_shard, i, 0);
}

void fault_crash_gateway(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_gateway(w, strike);

    if (!w->gateways[i].sessions)
        return;
    sim_tell(w, strike, "gateway-%zu dies", i + 1);
    sim_gateway_crash(&w->gateways[i]);
    sim_last_for(w, sim_some_time(strike), heal_gateway, i, 0);
}

/* ---- in the middle of what it does ---- */

struct death {
    struct sim_world *world;
    size_t node; /* by number */
    uint64_t away_ms;
    bool is_told; /* by the command line */
};

/* Its last turn is over, or as much of it as it was given. */
static void on_death(struct sim *sim, void *arg)
{
    struct death *death = arg;
    struct sim_world *w = death->world;
    size_t i = death->node, s = i - w->n_gateways;

    (void)sim;
    if (death->is_told && w->options.tally)
        w->options.tally->has_died = true;
    if (sim_is_running(w, i)) {
        sim_trace(w, "%s dies in turn %llu", sim_node_at(w, i)->name,
                  (unsigned long long)sim_node_at(w, i)->turns);
        if (i < w->n_gateways)
            sim_gateway_crash(&w->gateways[i]);
        else
            sim_shard_crash(&w->shards[s]);
        if (i < w->n_gateways)
            sim_last_for(w, death->away_ms, heal_gateway, i, 0);
        else
            sim_last_for(w, death->away_ms, heal_shard, s, 0);
    }
    free(death);
}

static void die_in(struct sim_world *w, struct death how, uint64_t turns, bool is_cut)
{
    struct death *death = malloc(sizeof(*death));

    if (!death)
        abort();
    *death = how;
    sim_node_die_in(sim_node_at(w, how.node), turns, is_cut, on_death, death);
}

void fault_die_in_turn(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_node(w, strike);
    struct sim_node *node = sim_node_at(w, i);
    uint64_t turns = sim_range(&strike->rng, 1, TURNS_MAX);
    bool is_cut = sim_chance(&strike->rng, 500);

    if (!sim_is_running(w, i) || node->last_turn || node->paused)
        return;
    sim_tell(w, strike, "%s will die in %llu turns%s", node->name, (unsigned long long)turns,
             is_cut ? ", before the end of that turn" : "");
    die_in(w, (struct death){w, i, sim_some_time(strike), false}, turns, is_cut);
}

void sim_die_as_told(struct sim_world *w)
{
    const struct sim_options *o = &w->options;
    size_t i = o->die_is_gateway ? 0 : w->n_gateways;

    die_in(w, (struct death){w, i, TOLD_AWAY_MS, true}, o->die_in_turn, o->die_is_cut);
}

/* ---- stopped, told to leave, confused about the time ---- */

static void heal_pause(struct sim_world *w, size_t i, size_t unused)
{
    (void)unused;
    if (sim_is_running(w, i) && sim_node_at(w, i)->paused && !sim_node_at(w, i)->is_dying)
        sim_node_pause(sim_node_at(w, i), false);
}

void fault_pause_node(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_node(w, strike);

    if (!sim_is_running(w, i) || sim_node_at(w, i)->paused)
        return;
    sim_tell(w, strike, "%s is stopped for a while", sim_node_at(w, i)->name);
    sim_node_pause(sim_node_at(w, i), true);
    sim_last_for(w, sim_some_time(strike), heal_pause, i, 0);
}

/* One at a time, and never the only one. */
static bool others_stay(const struct sim_world *w, const struct sim_shard *shard)
{
    for (size_t i = 0; i < w->n_shards; i++) {
        const struct sim_shard *other = &w->shards[i];

        if (other != shard && (!other->is_alive || other->is_leaving))
            return false;
    }
    return w->n_shards > 1;
}

void fault_leave_shard(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_shard(w, strike);
    struct sim_shard *shard = &w->shards[i];

    if (!shard->is_alive || shard->is_leaving || shard->node.paused ||
        (w->faults.is_orderly && !others_stay(w, shard)))
        return;
    sim_tell(w, strike, "shard-%zu leaves", i + 1);
    sim_shard_leave(shard);
    sim_last_for(w, 6000 + sim_some_time(strike), heal_shard, i, 0);
}

/* The wall clock only; what a node waits for goes by the other one. */
void fault_jump_clock(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_node(w, strike);
    int64_t by_us =
        (int64_t)sim_range(&strike->rng, 0, 2 * (uint64_t)JUMP_MAX_US) - JUMP_MAX_US;

    if (sim_chance(&strike->rng, 700)) /* mostly less */
        by_us /= 3600;
    if (!sim_is_running(w, i))
        return;
    sim_tell(w, strike, "the clock of %s jumps by %lld ms", sim_node_at(w, i)->name,
             (long long)by_us / 1000);
    sim_node_at(w, i)->wall_offset_us += by_us;
}

void sim_heal_nodes(struct sim_world *w)
{
    for (size_t i = 0; i < sim_n_nodes(w); i++) {
        struct sim_node *node = sim_node_at(w, i);

        if (!sim_is_running(w, i))
            continue;
        if (node->last_turn)
            sim_node_spare(node);
        if (node->paused && !node->is_dying)
            sim_node_pause(node, false);
    }
    sim_cluster_start_nodes(w);
}
