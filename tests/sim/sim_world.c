/*
 * sim_world.c - one run of fluxy-sim: clients write while the nemesis strikes,
 * everything heals and settles, and what was shown is held against what is
 * stored.
 */
#include "tests/sim/sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_client.h"

#define CLIENTS_MAX 12
#define SETTLE_MAX_MS                                                                          \
    45000 /* after healing: longer means stuck; a lost batch holds its rows for 20 s */
#define SETTLE_STEP_MS 250
#define UNACKED_PER_CLIENT 12

struct run {
    struct sim_world world;
    struct sim_client clients[CLIENTS_MAX];
    size_t n_clients;
};

/* ---- building ---- */

static void choose(struct run *run)
{
    struct sim_world *w = &run->world;
    struct sim_rng *rng = &w->sim.rng;

    w->n_rooms = sim_at_most(sim_range(rng, 1, SIM_ROOMS_MAX), w->options.max_rooms);
    run->n_clients = w->n_users =
        sim_at_most(sim_range(rng, 2, CLIENTS_MAX), w->options.max_clients);
    for (size_t i = 0; i < w->n_rooms; i++)
        snprintf(w->rooms[i], sizeof(w->rooms[i]), "room-%zu", i);
    for (size_t i = 0; i < w->n_users; i++)
        snprintf(w->users[i], sizeof(w->users[i]), "user-%zu", i);
    w->roles[0] = ROLE_OWNER;
}

static void connect_clients(struct run *run)
{
    struct sim_world *w = &run->world;

    for (size_t i = 0; i < run->n_clients; i++) {
        struct sim_client_config config = {
            .project = SIM_PROJECT,
            .room = w->rooms[i % w->n_rooms],
            .user = w->users[i],
            .native = i % 4 != 3,
            .replay_limit = 500,
        };

        sim_client_init(&run->clients[i], w, &config, i);
        sim_client_connect(&run->clients[i]);
    }
}

/* ---- traffic ---- */

static void act(struct run *run, struct sim_client *client)
{
    uint64_t dice = sim_range(&run->world.sim.rng, 0, 99);

    if (dice < 90 && client->n_unacked >= UNACKED_PER_CLIENT)
        return;
    if (dice < 60)
        sim_client_post(client);
    else if (dice < 90)
        sim_client_change(client, dice < 72 ? SIM_EDIT : dice < 77 ? SIM_DELETE : SIM_REACTION);
    else if (dice < 93)
        sim_stream_begin(client);
    else if (dice < 97)
        sim_client_type(client);
    else
        sim_client_hang_up(client);
}

static void on_traffic(struct sim *sim, void *arg)
{
    struct run *run = arg;

    if (run->world.is_healing)
        return;
    act(run, &run->clients[sim_range(&sim->rng, 0, run->n_clients - 1)]);
    /* Bursts, and pauses in which rooms fall asleep. */
    sim_after(sim,
              sim_chance(&sim->rng, 5) ? sim_range(&sim->rng, 500, 4000)
                                       : sim_range(&sim->rng, 0, 40),
              on_traffic, run);
}

/* ---- the end ---- */

static uint64_t clients_in(const struct run *run, const char *room)
{
    uint64_t n = 0;

    for (size_t i = 0; i < run->n_clients; i++)
        n += strcmp(run->clients[i].config.room, room) == 0;
    return n;
}

/* Everybody is connected, each with one socket: is that what this client is shown? */
static bool knows_who_is_here(const struct run *run, const struct sim_client *client)
{
    uint64_t n = clients_in(run, client->config.room);

    return client->online == n && client->n_here == n;
}

static bool has_settled(const struct run *run)
{
    for (size_t i = 0; i < run->n_clients; i++) {
        if (!sim_client_has_settled(&run->clients[i]) ||
            !knows_who_is_here(run, &run->clients[i]))
            return false;
    }
    return true;
}

static void settle(struct run *run)
{
    struct sim_world *w = &run->world;
    uint64_t begin = w->sim.now_ms, end = begin + SETTLE_MAX_MS;

    while (!has_settled(run) && w->sim.now_ms < end && w->check.violations == 0) {
        sim_run_until(&w->sim, w->sim.now_ms + SETTLE_STEP_MS);
        sim_cluster_start_nodes(w); /* some were leaving when the rest was healed */
    }
    w->settle_ms = w->sim.now_ms - begin;
    for (size_t i = 0; i < run->n_clients; i++) {
        const struct sim_client *client = &run->clients[i];

        if (!sim_client_has_settled(client))
            sim_violation(&w->check,
                          "%s in %s has not settled: live %d, %zu unacknowledged, at %" PRIu64
                          " of %" PRIu64,
                          client->config.user, client->config.room, client->is_live,
                          client->n_unacked, client->seq,
                          sim_cluster_head(w, client->config.room));
        else if (!knows_who_is_here(run, client))
            sim_violation(&w->check,
                          "%s in %s is shown %" PRIu64 " sockets and %" PRIu64
                          " users, not %" PRIu64,
                          client->config.user, client->config.room, client->online,
                          client->n_here, clients_in(run, client->config.room));
    }
}

static void check_seen(struct run *run, const char *room, const struct entry *e)
{
    for (size_t i = 0; i < run->n_clients; i++) {
        const struct sim_client *client = &run->clients[i];

        if (client->config.native && strcmp(client->config.room, room) == 0 &&
            e->deleted_us == 0 && !sim_client_has_seen(client, e->seq))
            sim_violation(&run->world.check, "%s never saw %s seq %" PRIu64,
                          client->config.user, room, e->seq);
    }
}

static void check_entry(struct run *run, const char *room, const struct entry *e)
{
    struct sim_shown stored = {.room = slice_str(room),
                               .seq = e->seq,
                               .id = e->id,
                               .version = e->version,
                               .user = e->user,
                               .key = e->client_id,
                               .content = e->content,
                               .is_deleted =
                                   e->deleted_us != 0 || sim_stream_is_text(e->content)};

    sim_check_stored(&run->world.check, &stored);
    for (size_t i = 0;
         i < run->n_clients && e->client_id.len > 0 && !sim_stream_is_text(e->content); i++) {
        if (slice_eq_str(e->user, run->clients[i].config.user))
            sim_client_check_order(&run->clients[i], e->client_id, e->created_us);
    }
    sim_stream_check_text(&run->world.check, stored.room, e->seq, e->content);
    for (size_t i = 0; i < run->n_clients; i++)
        sim_stream_check_ended(&run->clients[i], e->id, e->content);
    check_seen(run, room, e);
}

static void check_room(struct run *run, const char *name)
{
    struct sim_check *check = &run->world.check;
    struct sim_room *room = sim_db_room(run->world.db, SLICE_LIT(SIM_PROJECT), slice_str(name));
    struct entry *const *entries;
    size_t n;

    entries = sim_room_entries(room, &n);
    if (sim_room_row(room)->last_seq != n)
        sim_violation(check, "%s: head %" PRIu64 " with %zu entries", name,
                      sim_room_row(room)->last_seq, n);
    for (size_t i = 0; i < n; i++) {
        if (!entries[i])
            sim_check_stored_change(check, slice_str(name), i + 1);
        else if (entries[i]->seq != i + 1)
            sim_violation(check, "%s: entry %zu has seq %" PRIu64, name, i, entries[i]->seq);
        else
            check_entry(run, name, entries[i]);
    }
}

/* ---- a failover ---- */

struct lose {
    struct run *run;
    struct sim_check *check;
    struct sim_db *db;
};

static void lose_room(void *arg, const struct sim_room *there)
{
    const struct lose *lose = arg;
    struct slice name = sim_room_name(there);
    const struct sim_room *here = sim_db_room(lose->db, SLICE_LIT(SIM_PROJECT), name);
    uint64_t head = sim_room_row(there)->last_seq;
    struct entry *const *entries;
    size_t n;

    entries = sim_room_entries(here, &n);
    if (n <= head)
        return;
    for (size_t i = head; i < n; i++)
        sim_check_lost(lose->check, name, i + 1, entries[i] ? entries[i]->id : 0);
    sim_check_forget(lose->check, name, head);
    for (size_t i = 0; i < lose->run->n_clients; i++) {
        if (slice_eq_str(name, lose->run->clients[i].config.room))
            sim_stream_forget(&lose->run->clients[i], head);
    }
}

static void on_fail_over(struct sim_world *w)
{
    struct lose lose = {container_of(w, struct run, world), &w->check, w->db};

    sim_db_each_room(sim_server_standby(&w->server), lose_room, &lose);
}

unsigned sim_world_run(const struct sim_options *options)
{
    struct run *run = calloc(1, sizeof(*run));
    struct sim_world *w = &run->world;
    unsigned violations;

    if (!run)
        abort();
    sim_cluster_init(w, options);
    w->on_fail_over = on_fail_over;
    choose(run);
    sim_cluster_build(w);
    connect_clients(run);
    sim_after(&w->sim, 500, on_traffic, run);
    sim_bounds_start(w);
    sim_cluster_begin_faults(w);
    sim_run_until(&w->sim, w->sim.now_ms + options->duration_ms);
    sim_cluster_heal(w);
    settle(run);
    if (w->check.violations == 0)
        sim_bounds_at_rest(w);
    for (size_t i = 0; i < w->n_rooms; i++)
        check_room(run, w->rooms[i]);
    sim_check_finish(&w->check);
    sim_trace(w,
              "%zu gateways, %zu shards, %zu rooms, %zu clients, %u faults, %" PRIu64
              " shown, %" PRIu64 " acknowledged, %" PRIu64 " turns, %u batches",
              w->n_gateways, w->n_shards, w->n_rooms, run->n_clients, w->n_faults,
              w->check.n_shown, w->check.n_acked, w->sim.turns, w->server.n_batches);
    violations = w->check.violations;
    sim_cluster_tally(w);
    for (size_t i = 0; i < run->n_clients; i++)
        sim_client_deinit(&run->clients[i]);
    sim_cluster_tear_down(w);
    free(run);
    return violations;
}
