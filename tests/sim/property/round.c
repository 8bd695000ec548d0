/*
 * round.c - see round.h. A round: clients ask for things while the nemesis
 * strikes; then everything heals and settles, the model is played up to there and
 * held against the store, and each view against the model. Then clients that
 * need a snapshot for that connect anew, and are compared once more. Sometimes
 * nothing happens for a while, but that messages come to their end.
 */
#include "tests/sim/property/round.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/property/ask.h"

#define CLIENTS 20
#define SETTLE_MAX_MS 120000 /* after healing: longer means stuck */
#define SETTLE_STEP_MS 100

struct run {
    struct sim_world world;
    struct pm_model model;
    struct client clients[CLIENTS];
};

/* ---- building ---- */

static void on_commit(void *arg, const struct batch_room *room)
{
    pm_on_commit(arg, room);
}

static void choose(struct run *run)
{
    struct sim_world *w = &run->world;

    w->n_rooms = PM_ROOMS;
    w->n_users = PM_USERS;
    for (size_t i = 0; i < w->n_rooms; i++)
        snprintf(w->rooms[i], sizeof(w->rooms[i]), "room-%zu", i);
    for (size_t i = 0; i < w->n_users; i++)
        snprintf(w->users[i], sizeof(w->users[i]), "u%zu", i);
    w->roles[PM_OWNER] = ROLE_OWNER;
    w->roles[PM_MODERATOR] = ROLE_MODERATOR;
}

/* Twelve users; some have two sockets in a room. Every fifth is an old client, two are in all
 * rooms at once. */
static void connect_clients(struct run *run)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client_config config = {.user = i % PM_USERS,
                                       .is_native = i % 5 != 4,
                                       .is_many = i % 10 == 6,
                                       .room = i % PM_ROOMS};

        client_init(&run->clients[i], &run->world, &run->model, &config, i);
    }
}

/* ---- traffic ---- */

static void on_traffic(struct sim *sim, void *arg)
{
    struct run *run = arg;

    if (run->world.is_healing)
        return;
    ask_something(&run->clients[sim_range(&sim->rng, 0, CLIENTS - 1)]);
    /* Bursts, and pauses in which rooms fall asleep. */
    sim_after(sim,
              sim_chance(&sim->rng, 5) ? sim_range(&sim->rng, 500, 3000)
                                       : sim_range(&sim->rng, 0, 20),
              on_traffic, run);
}

/* ---- quiet ---- */

static bool is_buried(const struct run *run)
{
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        if (!pm_is_buried(&run->model, i, client_now_us(&run->clients[0])))
            return false;
    }
    return true;
}

static bool has_settled(const struct run *run)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (!client_has_settled(&run->clients[i]))
            return false;
    }
    return is_buried(run);
}

static void tell_unsettled(struct run *run, const struct client *c)
{
    sim_violation(&run->world.check, "%s has not settled: %s, %zu unanswered", c->name,
                  c->socket.session ? "connected" : "away", c->n_pending);
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        if (c->views[i].is_used)
            sim_violation(&run->world.check,
                          "  room-%u: live %d, resuming %d, at %" PRIu64 " of %" PRIu64, i,
                          c->is_live[i], c->views[i].is_resuming, c->views[i].seq,
                          sim_cluster_head(&run->world, run->world.rooms[i]));
    }
}

static void settle(struct run *run)
{
    struct sim_world *w = &run->world;
    uint64_t begin = w->sim.now_ms, end = begin + SETTLE_MAX_MS;

    while (!has_settled(run) && w->sim.now_ms < end && w->check.violations == 0) {
        sim_run_until(&w->sim, w->sim.now_ms + SETTLE_STEP_MS);
        sim_cluster_start_nodes(w); /* some were leaving when the rest was healed */
    }
    w->settle_ms = MAX(w->settle_ms, w->sim.now_ms - begin);
    for (size_t i = 0; i < CLIENTS && w->check.violations == 0; i++) {
        if (!client_has_settled(&run->clients[i]))
            tell_unsettled(run, &run->clients[i]);
    }
    if (w->check.violations == 0 && !is_buried(run))
        sim_violation(&w->check, "a message whose time is over has not been buried");
}

static void play(struct run *run)
{
    struct sim_world *w = &run->world;

    for (unsigned i = 0; i < PM_ROOMS; i++) {
        const struct sim_room *stored =
            sim_db_room(w->db, SLICE_LIT(SIM_PROJECT), slice_str(w->rooms[i]));

        pm_settle(&run->model, i);
        pm_compare_store(&run->model, i, stored);
    }
}

/* An old client is told of reactions while it is live. What it missed comes as one frame for
 * each that is there, and none for those that were taken back. */
static bool knows_reactions(const struct client *c, unsigned room)
{
    return c->config.is_native ||
           sim_socket_is_first(&c->socket, slice_str(c->world->rooms[room]));
}

static void compare(struct run *run)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &run->clients[i];

        for (unsigned k = 0; k < PM_ROOMS; k++) {
            struct view *v = &c->views[k];

            if (v->is_used && !v->is_patchy)
                view_compare(v, knows_reactions(c, k));
        }
    }
}

/* Old clients, and some others: what a snapshot or a resume shows is the same. */
static void reconnect(struct run *run)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &run->clients[i];

        if (!c->config.is_native || sim_chance(&run->world.sim.rng, 200))
            sim_socket_hang_up(&c->socket, 0);
        else if (sim_chance(&run->world.sim.rng, 200))
            client_forget(c);
    }
}

static void be_quiet(struct run *run)
{
    const struct sim_check *check = &run->world.check;

    settle(run);
    if (check->violations == 0) /* else nothing is settled */
        play(run);
    if (check->violations == 0)
        compare(run);
}

static void run_round(struct run *run)
{
    struct sim_world *w = &run->world;

    sim_trace(w, "a round begins");
    sim_cluster_begin_faults(w);
    sim_after(&w->sim, 1, on_traffic, run);
    sim_run_until(&w->sim, w->sim.now_ms + w->options.duration_ms);
    sim_cluster_heal(w);
    be_quiet(run);
    reconnect(run);
    be_quiet(run);
    if (sim_chance(&w->sim.rng, 400)) { /* rooms sleep, and some messages come to their end */
        sim_trace(w, "nothing happens for a while");
        sim_run_until(&w->sim, w->sim.now_ms + sim_range(&w->sim.rng, 2000, 90000));
        be_quiet(run);
    }
}

static void tell(struct run *run)
{
    struct sim_world *w = &run->world;
    uint64_t acks = 0, refused = 0, frames = 0;

    for (size_t i = 0; i < CLIENTS; i++) {
        acks += run->clients[i].n_acks;
        refused += run->clients[i].n_refused;
        frames += run->clients[i].n_frames;
    }
    sim_trace(w,
              "%zu gateways, %zu shards, %u faults, %zu operations, %" PRIu64
              " acknowledged, %" PRIu64 " refused, %" PRIu64 " frames, %" PRIu64
              " events learned, %" PRIu64 " adopted, %" PRIu64 " turns",
              w->n_gateways, w->n_shards, w->n_faults, run->model.n_ops, acks, refused, frames,
              run->model.n_learned, run->model.n_adopted, w->sim.turns);
}

unsigned property_run(const struct sim_options *options)
{
    struct run *run = calloc(1, sizeof(*run));
    struct sim_world *w = &run->world;
    unsigned violations, rounds;

    if (!run)
        abort();
    sim_cluster_init(w, options);
    pm_init(&run->model, &w->check);
    choose(run);
    sim_cluster_build(w);
    w->server.on_commit = on_commit;
    w->server.on_commit_arg = &run->model;
    connect_clients(run);
    sim_run_until(&w->sim, w->sim.now_ms + 500);
    rounds = (unsigned)sim_range(&w->sim.rng, 1, 3);
    for (unsigned i = 0; i < rounds && w->check.violations == 0; i++)
        run_round(run);
    tell(run);
    sim_cluster_tally(w);
    violations = w->check.violations;
    for (size_t i = 0; i < CLIENTS; i++)
        client_deinit(&run->clients[i]);
    sim_cluster_tear_down(w);
    pm_deinit(&run->model);
    free(run);
    return violations;
}
