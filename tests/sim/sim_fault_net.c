/*
 * sim_fault_net.c - networks that fail in part: between two nodes, one way only,
 * or the whole cluster in two halves of which both serve the same rooms, each by
 * a ring of its own; connections that are cut with what was under way on them,
 * that take long, or that nobody accepts; and clients that all go at once.
 */
#include "tests/sim/sim_world.h"

/* ---- nothing gets through ---- */

static void heal_one_way(struct sim_world *w, size_t from, size_t to)
{
    sim_partition_one_way(&w->sim, sim_node_at(w, from), sim_node_at(w, to), false);
}

static void heal_partition(struct sim_world *w, size_t a, size_t b)
{
    sim_partition(&w->sim, sim_node_at(w, a), sim_node_at(w, b), false);
}

/* A gateway and a shard that both run. */
static bool choose_pair(struct sim_world *w, struct sim_strike *strike, size_t *ret_gateway,
                        size_t *ret_shard)
{
    *ret_gateway = sim_some_gateway(w, strike);
    *ret_shard = w->n_gateways + sim_some_shard(w, strike);
    return sim_is_running(w, *ret_gateway) && sim_is_running(w, *ret_shard);
}

void fault_partition(struct sim_world *w, struct sim_strike *strike)
{
    size_t g, s;

    if (!choose_pair(w, strike, &g, &s))
        return;
    sim_tell(w, strike, "%s and %s cannot reach each other", sim_node_at(w, g)->name,
             sim_node_at(w, s)->name);
    sim_partition(&w->sim, sim_node_at(w, g), sim_node_at(w, s), true);
    sim_last_for(w, sim_some_time(strike), heal_partition, g, s);
}

void fault_one_way(struct sim_world *w, struct sim_strike *strike)
{
    bool is_turned = sim_chance(&strike->rng, 500);
    size_t g, s, from, to;

    if (!choose_pair(w, strike, &g, &s))
        return;
    from = is_turned ? s : g;
    to = is_turned ? g : s;
    sim_tell(w, strike, "nothing of %s reaches %s", sim_node_at(w, from)->name,
             sim_node_at(w, to)->name);
    sim_partition_one_way(&w->sim, sim_node_at(w, from), sim_node_at(w, to), true);
    sim_last_for(w, sim_some_time(strike), heal_one_way, from, to);
}

/* far: which nodes are on the far side, a bit each. */
static void set_halves(struct sim_world *w, size_t far, bool is_cut)
{
    size_t n = sim_n_nodes(w);

    for (size_t i = 0; i < n; i++) {
        if (far >> i & 1)
            sim_registry_at(w, i)->cut = is_cut;
        for (size_t j = w->n_gateways; j < n && i < w->n_gateways; j++) {
            if ((far >> i & 1) != (far >> j & 1))
                sim_partition(&w->sim, sim_node_at(w, i), sim_node_at(w, j), is_cut);
        }
    }
}

static void heal_halves(struct sim_world *w, size_t far, size_t unused)
{
    (void)unused;
    set_halves(w, far, false);
}

/* The registry is on the near side; the database is reached from both, so that only fences keep
 * the two from writing over each other. */
void fault_halves(struct sim_world *w, struct sim_strike *strike)
{
    size_t far = sim_range(&strike->rng, 1, (UINT64_C(1) << sim_n_nodes(w)) - 1);

    for (size_t i = 0; i < sim_n_nodes(w); i++) {
        if (!sim_is_running(w, i))
            return;
    }
    for (size_t i = 0; i < sim_n_nodes(w); i++) {
        if (far >> i & 1)
            sim_trace(w, "%s is on the far side of what follows", sim_node_at(w, i)->name);
    }
    sim_tell(w, strike, "the cluster falls into two halves");
    set_halves(w, far, true);
    sim_last_for(w, sim_some_time(strike), heal_halves, far, 0);
}

/* ---- connections ---- */

void fault_reset_links(struct sim_world *w, struct sim_strike *strike)
{
    static const char *const what[] = {"", ", with what was on its way to the gateway",
                                       ", with what was on its way to the shard",
                                       ", with all that was under way"};
    unsigned lost = (unsigned)sim_range(&strike->rng, 0, 3);
    size_t g, s;

    if (!choose_pair(w, strike, &g, &s))
        return;
    sim_tell(w, strike, "link of %s and %s is cut%s", sim_node_at(w, g)->name,
             sim_node_at(w, s)->name, what[lost]);
    sim_reset_connections(sim_node_at(w, g), sim_node_at(w, s), lost & 1, lost & 2);
}

static void heal_slow_link(struct sim_world *w, size_t from, size_t to)
{
    sim_slow_down(sim_node_at(w, from), sim_node_at(w, to), 0);
}

void fault_slow_link(struct sim_world *w, struct sim_strike *strike)
{
    uint64_t ms = sim_range(&strike->rng, 5, sim_chance(&strike->rng, 300) ? 2500 : 250);
    size_t a = sim_some_node(w, strike), b = sim_some_node(w, strike);

    if (a == b)
        return;
    sim_tell(w, strike, "%s takes %llu ms longer to reach %s", sim_node_at(w, a)->name,
             (unsigned long long)ms, sim_node_at(w, b)->name);
    sim_slow_down(sim_node_at(w, a), sim_node_at(w, b), (unsigned)ms);
    sim_last_for(w, sim_some_time(strike), heal_slow_link, a, b);
}

static void heal_refuse(struct sim_world *w, size_t i, size_t unused)
{
    (void)unused;
    w->shards[i].node.refuses = false;
}

void fault_refuse(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_shard(w, strike);
    bool is_cut = sim_chance(&strike->rng, 500);

    if (!w->shards[i].is_alive)
        return;
    sim_tell(w, strike, "shard-%zu refuses connections%s", i + 1,
             is_cut ? ", and those it had are cut" : "");
    w->shards[i].node.refuses = true;
    for (size_t g = 0; g < w->n_gateways && is_cut; g++) {
        if (w->gateways[g].sessions)
            sim_reset_connections(&w->gateways[g].node, &w->shards[i].node, false, false);
    }
    sim_last_for(w, sim_some_time(strike), heal_refuse, i, 0);
}

/* All of a gateway, or all there are: a radio cell, or a bad deploy of an app. */
void fault_hang_up(struct sim_world *w, struct sim_strike *strike)
{
    size_t g = sim_some_gateway(w, strike);
    bool all = sim_chance(&strike->rng, 300);
    struct sim_socket *socket;

    if (all)
        sim_tell(w, strike, "all clients lose their connections");
    else
        sim_tell(w, strike, "all clients of gateway-%zu lose their connections", g + 1);
    list_for_each(socket, &w->sockets, link)
    {
        if (all || socket->edge == g)
            sim_socket_hang_up(socket, 0);
    }
}

/* Mostly the same few: one that is slow all the time is caught up again and again. */
void fault_stop_reading(struct sim_world *w, struct sim_strike *strike)
{
    uint64_t ms = sim_some_time(strike);
    size_t n = 0, at;
    struct sim_socket *socket;

    list_for_each(socket, &w->sockets, link) n++;
    at = sim_range(&strike->rng, 0, UINT32_MAX) % MAX(n, (size_t)1);
    if (sim_chance(&strike->rng, 700))
        at /= 4;
    list_for_each(socket, &w->sockets, link)
    {
        if (at-- > 0)
            continue;
        sim_tell(w, strike, "%s reads nothing for %llu ms", socket->name,
                 (unsigned long long)ms);
        sim_socket_stall(socket, ms);
        return;
    }
}

void sim_heal_net(struct sim_world *w)
{
    sim_heal_partitions(&w->sim);
    for (size_t i = 0; i < w->n_shards; i++)
        w->shards[i].node.refuses = false;
}
