/*
 * sim_world.c - one run: builds the cluster, lets clients write while the
 * nemesis strikes, heals everything, waits until all is settled, and holds what
 * was shown against what is stored.
 */
#include "tests/sim/sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_net.h"

#define SETTLE_MAX_MS 120000 /* after healing: longer means stuck */
#define SETTLE_STEP_MS 250
#define UNACKED_PER_CLIENT 12

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
};

static void choose(struct sim_world *w)
{
    struct sim_rng *rng = &w->sim.rng;

    w->n_gateways = sim_range(rng, 1, SIM_GATEWAYS_MAX);
    w->n_shards = sim_range(rng, 1, SIM_SHARDS_MAX);
    w->n_rooms = sim_range(rng, 1, SIM_ROOMS_MAX);
    w->n_clients = sim_range(rng, 2, SIM_CLIENTS_MAX / 2);
    w->faults = profiles[sim_range(rng, 0, ARRAY_LEN(profiles) - 1)];
    w->sim.latency_max_ms = (unsigned)sim_range(rng, 0, 20);
    for (size_t i = 0; i < w->n_rooms; i++)
        snprintf(w->rooms[i], sizeof(w->rooms[i]), "room-%zu", i);
    for (size_t i = 0; i < w->n_clients; i++)
        snprintf(w->users[i], sizeof(w->users[i]), "user-%zu", i);
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

/* ---- building ---- */

static void create_rooms(struct sim_world *w)
{
    struct member_op members[SIM_CLIENTS_MAX];
    int64_t now_us = UINT64_C(1767225600000000);

    for (size_t i = 0; i < w->n_clients; i++)
        members[i] = (struct member_op){slice_str(w->users[i]),
                                        i == 0 ? ROLE_OWNER : ROLE_MEMBER, now_us};
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
            .n_members = w->n_clients,
        };

        if (!sim_db_create_room(w->db, &create))
            abort();
    }
}

static void build(struct sim_world *w)
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
    for (size_t i = 0; i < w->n_clients; i++) {
        struct sim_client_config config = {
            .project = SIM_PROJECT,
            .room = w->rooms[i % w->n_rooms],
            .user = w->users[i],
            .native = i % 4 != 3,
            .replay_limit = 500,
        };

        sim_client_init(&w->clients[i], &w->sim, &w->check, &config, w->edges, w->n_gateways,
                        i);
        sim_client_connect(&w->clients[i]);
    }
}

static void tear_down(struct sim_world *w)
{
    for (size_t i = 0; i < w->n_clients; i++)
        sim_client_deinit(&w->clients[i]);
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

/* ---- traffic ---- */

static void on_traffic(struct sim *sim, void *arg)
{
    struct sim_world *w = arg;
    struct sim_client *client = &w->clients[sim_range(&sim->rng, 0, w->n_clients - 1)];
    uint64_t dice = sim_range(&sim->rng, 0, 99);

    if (w->is_healing)
        return;
    if (dice < 90) {
        if (client->n_unacked < UNACKED_PER_CLIENT)
            sim_client_post(client);
    } else if (dice < 97) {
        sim_client_type(client);
    } else {
        sim_client_hang_up(client);
    }
    /* Bursts, and pauses in which rooms fall asleep. */
    sim_after(sim,
              sim_chance(&sim->rng, 5) ? sim_range(&sim->rng, 500, 4000)
                                       : sim_range(&sim->rng, 0, 40),
              on_traffic, w);
}

/* ---- the end ---- */

static void start_shards(struct sim_world *w)
{
    for (size_t i = 0; i < w->n_shards; i++) {
        if (!w->shards[i].is_alive)
            sim_shard_start(w, i);
    }
}

static void heal_all(struct sim_world *w)
{
    w->is_healing = true;
    sim_trace(w, "everything heals");
    w->registry.down = false;
    w->server.lost_per_mille = 0;
    w->server.locked_per_mille = 0;
    sim_server_set_stalled(&w->server, false);
    sim_server_set_up(&w->server, true);
    sim_heal_partitions(&w->sim);
    for (size_t i = 0; i < w->n_shards; i++) {
        struct sim_shard *shard = &w->shards[i];

        if (shard->is_alive && shard->node.paused)
            sim_node_pause(&shard->node, false);
    }
    start_shards(w);
    for (size_t i = 0; i < w->n_gateways; i++) {
        if (!w->gateways[i].sessions)
            sim_gateway_start(w, i);
    }
}

static uint64_t head_of(struct sim_world *w, const char *room)
{
    return sim_room_row(sim_db_room(w->db, SLICE_LIT(SIM_PROJECT), slice_str(room)))->last_seq;
}

static bool has_settled(struct sim_world *w)
{
    for (size_t i = 0; i < w->n_clients; i++) {
        const struct sim_client *client = &w->clients[i];

        if (!sim_client_has_settled(client) || client->seq != head_of(w, client->config.room))
            return false;
    }
    return true;
}

static void settle(struct sim_world *w)
{
    uint64_t end = w->sim.now_ms + SETTLE_MAX_MS;

    while (!has_settled(w) && w->sim.now_ms < end && w->check.violations == 0) {
        sim_run_until(&w->sim, w->sim.now_ms + SETTLE_STEP_MS);
        start_shards(w); /* some were leaving when the rest was healed */
    }
    if (has_settled(w))
        return;
    for (size_t i = 0; i < w->n_clients; i++) {
        const struct sim_client *client = &w->clients[i];

        if (!sim_client_has_settled(client) || client->seq != head_of(w, client->config.room))
            sim_violation(&w->check,
                          "%s in %s has not settled: live %d, %zu unacknowledged, at %" PRIu64
                          " of %" PRIu64,
                          client->config.user, client->config.room, client->is_live,
                          client->n_unacked, client->seq, head_of(w, client->config.room));
    }
}

static void check_room(struct sim_world *w, const char *name)
{
    struct sim_room *room = sim_db_room(w->db, SLICE_LIT(SIM_PROJECT), slice_str(name));
    struct entry *const *entries;
    size_t n;

    entries = sim_room_entries(room, &n);
    if (sim_room_row(room)->last_seq != n)
        sim_violation(&w->check, "%s: head %" PRIu64 " with %zu entries", name,
                      sim_room_row(room)->last_seq, n);
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = entries[i];

        if (e->seq != i + 1)
            sim_violation(&w->check, "%s: entry %zu has seq %" PRIu64, name, i, e->seq);
        sim_check_stored(&w->check, slice_str(name), e->seq, e->id, e->user, e->client_id,
                         e->content);
        for (size_t c = 0; c < w->n_clients; c++) {
            const struct sim_client *client = &w->clients[c];

            if (client->config.native && strcmp(client->config.room, name) == 0 &&
                !sim_client_has_seen(client, e->seq))
                sim_violation(&w->check, "%s never saw %s seq %" PRIu64, client->config.user,
                              name, e->seq);
        }
    }
}

unsigned sim_world_run(const struct sim_options *options)
{
    struct sim_world *w = calloc(1, sizeof(*w));
    unsigned violations;

    if (!w)
        abort();
    w->options = *options;
    hash_seed(options->seed);
    sim_init(&w->sim, options->seed);
    sim_check_init(&w->check, options->is_verbose);
    choose(w);
    build(w);
    sim_after(&w->sim, 500, on_traffic, w);
    sim_nemesis_start(w);
    sim_run_until(&w->sim, w->sim.now_ms + options->duration_ms);
    heal_all(w);
    settle(w);
    for (size_t i = 0; i < w->n_rooms; i++)
        check_room(w, w->rooms[i]);
    sim_check_finish(&w->check);
    sim_trace(w,
              "%zu gateways, %zu shards, %zu rooms, %zu clients, %u faults, %" PRIu64
              " shown, %" PRIu64 " acknowledged, %" PRIu64 " turns, %u batches",
              w->n_gateways, w->n_shards, w->n_rooms, w->n_clients, w->n_faults,
              w->check.n_shown, w->check.n_acked, w->sim.turns, w->server.n_batches);
    violations = w->check.violations;
    tear_down(w);
    free(w);
    return violations;
}
