/*
 * sim_fault_store.c - what happens to the registry and to the database, and to
 * the ways of single processes to them.
 */
#include "tests/sim/sim_world.h"

/* ---- the registry ---- */

static void heal_registry(struct sim_world *w, size_t a, size_t b)
{
    (void)a;
    (void)b;
    w->registry.down = false;
}

void fault_registry_down(struct sim_world *w, struct sim_strike *strike)
{
    bool is_lost = sim_chance(&strike->rng, 300);

    sim_tell(w, strike, "the registry goes away%s", is_lost ? " and forgets everything" : "");
    w->registry.down = true;
    if (is_lost)
        registry_model_init(&w->registry.model);
    sim_last_for(w, sim_some_time(strike), heal_registry, 0, 0);
}

static void heal_registry_cut(struct sim_world *w, size_t i, size_t unused)
{
    struct fake_registry *registry = sim_registry_at(w, i);

    (void)unused;
    registry->cut = registry->deaf = false;
}

void fault_registry_cut(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_node(w, strike);
    bool is_deaf = sim_chance(&strike->rng, 300);

    if (!sim_is_running(w, i))
        return;
    sim_tell(w, strike, "%s %s the registry", sim_node_at(w, i)->name,
             is_deaf ? "gets no answer of" : "does not reach");
    sim_registry_at(w, i)->cut = !is_deaf;
    sim_registry_at(w, i)->deaf = is_deaf;
    sim_last_for(w, sim_some_time(strike), heal_registry_cut, i, 0);
}

/* Somebody took it off the ring by mistake: the next renewal of its lease puts it back. */
void fault_ring_flip(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_shard(w, strike);
    const struct sim_shard *shard = &w->shards[i];

    if (!shard->is_alive || w->registry.down || w->n_shards < 2)
        return;
    sim_tell(w, strike, "shard-%zu is taken off the ring", i + 1);
    (void)fake_registry_server_remove(&w->registry, slice_str(shard->name), shard->incarnation);
}

/* ---- the database ---- */

static void heal_store_down(struct sim_world *w, size_t a, size_t b)
{
    (void)a;
    (void)b;
    sim_server_set_up(&w->server, true);
}

void fault_store_down(struct sim_world *w, struct sim_strike *strike)
{
    if (!w->server.is_up)
        return;
    sim_tell(w, strike, "the database goes away");
    sim_server_set_up(&w->server, false);
    sim_last_for(w, sim_some_time(strike), heal_store_down, 0, 0);
}

static void heal_store_stall(struct sim_world *w, size_t a, size_t b)
{
    (void)a;
    (void)b;
    sim_server_set_stalled(&w->server, false);
}

void fault_store_stall(struct sim_world *w, struct sim_strike *strike)
{
    if (w->server.is_stalled)
        return;
    sim_tell(w, strike, "the database stalls");
    sim_server_set_stalled(&w->server, true);
    sim_last_for(w, sim_some_time(strike), heal_store_stall, 0, 0);
}

static void heal_store_slow(struct sim_world *w, size_t latency_ms, size_t unused)
{
    (void)unused;
    w->server.latency_max_ms = (unsigned)latency_ms;
}

void fault_store_slow(struct sim_world *w, struct sim_strike *strike)
{
    unsigned usual = w->usual_store_ms;
    unsigned ms = (unsigned)sim_range(&strike->rng, 20, 400);

    sim_tell(w, strike, "the database takes up to %u ms for each step", ms);
    w->server.latency_max_ms = ms;
    sim_last_for(w, sim_some_time(strike), heal_store_slow, usual, 0);
}

void fault_store_cut(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_shard(w, strike);

    if (!w->shards[i].is_alive)
        return;
    sim_tell(w, strike, "shard-%zu loses its connections to the database", i + 1);
    sim_store_cut(w->shards[i].store);
}

static void heal_store_away(struct sim_world *w, size_t i, size_t unused)
{
    (void)unused;
    if (w->shards[i].is_alive)
        sim_store_set_cut_off(w->shards[i].store, false);
}

void fault_store_away(struct sim_world *w, struct sim_strike *strike)
{
    size_t i = sim_some_shard(w, strike);

    if (!w->shards[i].is_alive)
        return;
    sim_tell(w, strike, "shard-%zu does not reach the database", i + 1);
    sim_store_set_cut_off(w->shards[i].store, true);
    sim_last_for(w, sim_some_time(strike), heal_store_away, i, 0);
}

static void heal_lost_answers(struct sim_world *w, size_t a, size_t b)
{
    (void)a;
    (void)b;
    w->server.lost_per_mille = w->faults.lost_commits;
    w->server.later_max_ms = SIM_LATER_MS;
}

/* Each other batch may commit or not, now or much later, and nobody hears of it. */
void fault_lost_answers(struct sim_world *w, struct sim_strike *strike)
{
    sim_tell(w, strike, "connections to the database break all the time");
    w->server.lost_per_mille = (unsigned)sim_range(&strike->rng, 100, 600);
    w->server.later_max_ms = (unsigned)sim_range(&strike->rng, 1, 20000);
    sim_last_for(w, sim_some_time(strike), heal_lost_answers, 0, 0);
}

static void heal_store_full(struct sim_world *w, size_t a, size_t b)
{
    (void)a;
    (void)b;
    w->server.is_read_only = false;
}

void fault_store_full(struct sim_world *w, struct sim_strike *strike)
{
    sim_tell(w, strike, "the database can only be read: its disk is full");
    w->server.is_read_only = true;
    sim_last_for(w, sim_some_time(strike), heal_store_full, 0, 0);
}

/* Synchronous replication: the standby has all that was answered. A second one may reset who
 * has not come back since the first, which only some checkers know. */
void fault_fail_over(struct sim_world *w, struct sim_strike *strike)
{
    if (!w->server.is_up || (!w->on_fail_over && w->n_failovers > 0))
        return;
    sim_tell(w, strike, "the database fails over to its standby");
    w->n_failovers++;
    if (w->on_fail_over)
        w->on_fail_over(w);
    sim_server_fail_over(&w->server);
    sim_last_for(w, sim_some_time(strike), heal_store_down, 0, 0);
}

static void fail_back_now(struct sim_world *w, size_t down_ms, size_t number)
{
    if (!w->server.is_up)
        return;
    sim_trace(w, "fault %zu goes on: the standby that is behind is promoted", number);
    w->n_failovers++;
    w->on_fail_over(w);
    sim_server_fail_over(&w->server);
    sim_last_for(w, down_ms, heal_store_down, 0, 0);
}

/* Only where the checker can tell what may be missing. */
void fault_fail_back(struct sim_world *w, struct sim_strike *strike)
{
    uint64_t behind_ms = sim_some_time(strike), down_ms = sim_some_time(strike);

    if (!w->on_fail_over || !w->server.is_up)
        return;
    sim_tell(w, strike, "the standby of the database gets nothing more, and is promoted later");
    sim_server_lag(&w->server);
    sim_last_for(w, behind_ms, fail_back_now, down_ms, strike->number);
}

void sim_heal_store(struct sim_world *w)
{
    w->registry.down = false;
    w->server.is_read_only = false;
    w->server.lost_per_mille = 0;
    w->server.locked_per_mille = 0;
    w->server.later_max_ms = SIM_LATER_MS;
    w->server.latency_max_ms = w->usual_store_ms;
    sim_server_set_stalled(&w->server, false);
    sim_server_set_up(&w->server, true);
    for (size_t i = 0; i < sim_n_nodes(w); i++) {
        if (sim_is_running(w, i))
            heal_registry_cut(w, i, 0);
    }
    for (size_t i = 0; i < w->n_shards; i++)
        heal_store_away(w, i, 0);
}
