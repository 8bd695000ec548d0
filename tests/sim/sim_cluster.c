/*
 * sim_cluster.c - the cluster of a simulated world: what the seed chooses, how it
 * is built, healed and taken down.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_net.h"
#include "tests/sim/sim_world.h"

static uint64_t registry_wall_ms(void *arg)
{
    struct sim_world *world = arg;

    return UINT64_C(1767225600000) + world->sim.now_ms;
}

/* ---- what the seed chooses ---- */

static const struct sim_faults profiles[] = {
    {0}, /* a quiet day */
    {.step_ms = 1500, .crash_shard = 3, .crash_gateway = 2, .leave_shard = 2},
    {.step_ms = 700, .reset_links = 6, .partition = 3, .pause_shard = 2, .registry_down = 1},
    {.step_ms = 700,
     .store_down = 2,
     .store_stall = 2,
     .store_cut = 5,
     .crash_shard = 1,
     .lost_commits = 60,
     .locked_rows = 60},
    {.step_ms = 900,
     .crash_shard = 3,
     .crash_gateway = 2,
     .pause_shard = 2,
     .leave_shard = 2,
     .partition = 2,
     .reset_links = 3,
     .registry_down = 1,
     .store_down = 1,
     .store_stall = 1,
     .store_cut = 2,
     .lost_commits = 30,
     .locked_rows = 20},
    {.step_ms = 250,
     .crash_shard = 2,
     .reset_links = 6,
     .partition = 2,
     .store_cut = 3,
     .lost_commits = 100},
    {.step_ms = 1200, .split = 6, .partition = 1, .crash_shard = 1, .registry_down = 1},
    {.step_ms = 600,
     .split = 4,
     .pause_shard = 2,
     .reset_links = 2,
     .store_cut = 2,
     .leave_shard = 1,
     .lost_commits = 30},
};

static void choose(struct sim_world *w)
{
    struct sim_rng *rng = &w->sim.rng;

    w->n_gateways = sim_range(rng, 1, SIM_GATEWAYS_MAX);
    w->n_shards = sim_range(rng, 1, SIM_SHARDS_MAX);
    w->faults = profiles[sim_range(rng, 0, ARRAY_LEN(profiles) - 1)];
    w->sim.latency_max_ms = (unsigned)sim_range(rng, 0, 20);
}

static void tune_server(struct sim_world *w)
{
    struct sim_server *server = &w->server;

    server->latency_min_ms = 0;
    server->latency_max_ms = (unsigned)sim_range(&w->sim.rng, 0, 10);
    server->later_max_ms = 4000;
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

void sim_cluster_start_shards(struct sim_world *w)
{
    for (size_t i = 0; i < w->n_shards; i++) {
        if (!w->shards[i].is_alive)
            sim_shard_start(w, i);
    }
}

void sim_cluster_heal(struct sim_world *w)
{
    w->is_healing = true;
    sim_trace(w, "everything heals");
    w->registry.down = false;
    w->server.lost_per_mille = 0;
    w->server.locked_per_mille = 0;
    sim_server_set_stalled(&w->server, false);
    sim_server_set_up(&w->server, true);
    sim_split_heal_all(w);
    for (size_t i = 0; i < w->n_shards; i++) {
        struct sim_shard *shard = &w->shards[i];

        if (shard->is_alive && shard->node.paused)
            sim_node_pause(&shard->node, false);
    }
    sim_cluster_start_shards(w);
    for (size_t i = 0; i < w->n_gateways; i++) {
        if (!w->gateways[i].sessions)
            sim_gateway_start(w, i);
    }
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
