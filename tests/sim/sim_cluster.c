/*
 * sim_cluster.c - the cluster of a simulated world: what the seed chooses, how it
 * is built, healed and taken down.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_world.h"

static uint64_t registry_wall_ms(void *arg)
{
    struct sim_world *world = arg;

    return UINT64_C(1767225600000) + world->sim.now_ms;
}

/* ---- what the seed chooses ---- */

/* Frames are short here: so that few of them make a socket slow, and one alone in the first. */
static const struct socket_marks marks[] = {
    {.low = 100, .soft = 200, .behind = 300, .hard = 50000},
    {.low = 500, .soft = 1500, .behind = 3000, .hard = 50000},
    {.low = SOCKET_QUEUE_LOW,
     .soft = SOCKET_QUEUE_SOFT,
     .behind = SOCKET_QUEUE_BEHIND,
     .hard = SOCKET_QUEUE_HARD},
};

static void choose(struct sim_world *w)
{
    struct sim_rng *rng = &w->sim.rng;

    w->n_gateways = sim_range(rng, 1, SIM_GATEWAYS_MAX);
    w->n_shards = sim_range(rng, 1, SIM_SHARDS_MAX);
    w->sim.latency_max_ms = (unsigned)sim_range(rng, 0, 20);
    w->usual_store_ms = (unsigned)sim_range(rng, 0, 10);
    if (w->options.is_calm)
        w->sim.latency_max_ms = w->usual_store_ms = 0;
    w->n_gateways = sim_at_most(w->n_gateways, w->options.max_gateways);
    w->n_shards = sim_at_most(w->n_shards, w->options.max_shards);
    w->marks = marks[w->options.is_calm ? ARRAY_LEN(marks) - 1
                                        : sim_range(rng, 0, ARRAY_LEN(marks) - 1)];
    sim_nemesis_init(w);
}

static void tune_server(struct sim_world *w)
{
    struct sim_server *server = &w->server;

    server->latency_min_ms = 0;
    server->latency_max_ms = w->usual_store_ms;
    server->later_max_ms = SIM_LATER_MS;
    server->lost_per_mille = w->faults.lost_commits;
    server->locked_per_mille = w->faults.locked_rows;
    server->id_block = (uint32_t)sim_range(&w->sim.rng, 4, 400);
}

void sim_cluster_init(struct sim_world *w, const struct sim_options *options)
{
    w->options = *options;
    hash_seed(options->seed);
    sim_init(&w->sim, options->seed);
    sim_check_init(&w->check, options->is_verbose);
    list_init(&w->sockets);
    choose(w);
}

/* ---- building ---- */

static void create_rooms(struct sim_world *w)
{
    struct member_op members[SIM_USERS_MAX];
    int64_t now_us = UINT64_C(1767225600000000);

    for (size_t i = 0; i < w->n_users; i++)
        members[i] = (struct member_op){slice_str(w->users[i]),
                                        w->roles[i] ? w->roles[i] : ROLE_MEMBER, now_us};
    for (size_t i = 0; i < w->n_rooms; i++) {
        struct room_create create = {
            .project = SLICE_LIT(SIM_PROJECT),
            .room = slice_str(w->rooms[i]),
            .type = SLICE_LIT("group"),
            .name = slice_str(w->rooms[i]),
            .created_by = slice_str(w->users[0]),
            .created_us = now_us,
            .fence = 1,
            .members = members,
            .n_members = w->n_users,
        };

        if (!sim_db_create_room(w->db, &create))
            abort();
    }
}

void sim_cluster_build(struct sim_world *w)
{
    sim_node_init(&w->sim, &w->database, "database", NULL);
    sim_server_init(&w->server, &w->database.env, sim_rand(&w->sim.rng));
    w->db = w->server.db;
    sim_db_add_project(w->db, SIM_PROJECT, "Demo", "jwt secret");
    tune_server(w);
    create_rooms(w);
    fake_registry_server_init(&w->registry, registry_wall_ms, w);
    w->incarnations = 10;
    for (size_t i = 0; i < w->n_shards; i++)
        sim_shard_start(w, i);
    for (size_t i = 0; i < w->n_gateways; i++)
        sim_gateway_start(w, i);
}

/* ---- the rest of its life ---- */

void sim_cluster_begin_faults(struct sim_world *w)
{
    w->is_healing = false;
    tune_server(w);
    sim_nemesis_start(w);
}

void sim_cluster_start_nodes(struct sim_world *w)
{
    for (size_t i = 0; i < w->n_shards; i++) {
        if (!w->shards[i].is_alive)
            sim_shard_start(w, i);
    }
    for (size_t i = 0; i < w->n_gateways; i++) {
        if (!w->gateways[i].sessions)
            sim_gateway_start(w, i);
    }
}

void sim_cluster_heal(struct sim_world *w)
{
    w->is_healing = true;
    sim_trace(w, "everything heals");
    sim_heal_store(w);
    sim_heal_net(w);
    sim_heal_nodes(w);
}

void sim_cluster_tally(struct sim_world *w)
{
    struct sim_tally *t = w->options.tally;
    uint64_t facts[] = {w->sim.rng.state,       w->sim.now_ms,       w->sim.turns,
                        w->check.n_shown,       w->check.n_acked,    w->server.n_batches,
                        w->server.random_state, w->check.violations, w->n_faults};

    if (!t)
        return;
    t->fingerprint = hash_bytes(facts, sizeof(facts));
    t->violations = w->check.violations;
    t->n_shown += w->check.n_shown;
    t->n_acked += w->check.n_acked;
    t->n_turns += w->sim.turns;
    t->world_ms += w->sim.now_ms;
    t->settle_ms = MAX(t->settle_ms, w->settle_ms);
}

uint64_t sim_cluster_head(const struct sim_world *w, const char *room)
{
    return sim_room_row(sim_db_room(w->db, SLICE_LIT(SIM_PROJECT), slice_str(room)))->last_seq;
}

void sim_cluster_tear_down(struct sim_world *w)
{
    for (size_t i = 0; i < w->n_gateways; i++)
        sim_gateway_crash(&w->gateways[i]);
    for (size_t i = 0; i < w->n_shards; i++) {
        if (w->shards[i].is_alive)
            sim_shard_crash(&w->shards[i]);
    }
    sim_run_until(&w->sim, w->sim.now_ms + 1000);
    for (size_t i = 0; i < w->n_shards; i++)
        sim_shard_reap(&w->shards[i]);
    sim_drain(&w->sim); /* what is still under way finds nobody */
    sim_server_deinit(&w->server);
    sim_node_deinit(&w->database);
    sim_check_deinit(&w->check);
    sim_deinit(&w->sim);
}
