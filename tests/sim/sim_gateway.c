/*
 * sim_gateway.c - a gateway of the simulated world: membership, links and
 * sessions of production code; HTTP and WebSocket are left out, clients talk to
 * the sessions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_world.h"

static void on_ring(void *owner, const struct ring *ring)
{
    struct sim_gateway *g = owner;

    if (link_pool_set_ring(g->pool, ring) < 0)
        abort();
}

static const struct membership_events membership_events = {.on_ring = on_ring};

static void on_evidence(void *owner, struct slice node_id, enum link_evidence evidence)
{
    static const enum membership_evidence means[] = {
        [LINK_REFUSED] = MEMBERSHIP_REFUSED,
        [LINK_RESET] = MEMBERSHIP_RESET,
        [LINK_TIMEOUT] = MEMBERSHIP_TIMEOUT,
    };
    struct sim_gateway *g = owner;

    membership_suspect(g->membership, node_id, means[evidence]);
}

static void on_peer_ring(void *owner, uint64_t epoch, struct slice members)
{
    struct sim_gateway *g = owner;

    if (membership_learn(g->membership, epoch, members) < 0)
        sim_violation(&g->world->check, "%s: a peer sent a bad ring", g->name);
}

static void on_stale(void *owner)
{
    struct sim_gateway *g = owner;

    membership_refresh(g->membership);
}

static const struct link_pool_hooks pool_hooks = {
    .on_evidence = on_evidence, .on_ring = on_peer_ring, .on_stale = on_stale};

void sim_gateway_start(struct sim_world *world, size_t i)
{
    struct sim_gateway *g = &world->gateways[i];
    struct membership_config member = {0};
    struct link_pool_config link = {0};
    struct sessions_config sessions = {.rate_limit_scale = 1000000, .marks = world->marks};

    memset(g, 0, sizeof(*g));
    g->world = world;
    snprintf(g->name, sizeof(g->name), "gateway-%zu", i + 1);
    sim_node_init(&world->sim, &g->node, g->name, NULL);
    fake_registry_init(&g->registry, &world->registry, &g->node.env);
    g->registry.delay_ms = sim_range(&world->sim.rng, 1, 10);
    gateway_metrics_init(&g->metrics);
    member.node_id = slice_str(g->name);
    link.node_id = slice_str(g->name);
    link.incarnation = sim_rand(&world->sim.rng);
    link.secret = slice_str(SIM_SECRET);
    if (link_pool_new(&g->node.env, &g->metrics, &link, &pool_hooks, g, &g->pool) < 0 ||
        sessions_new(&g->node.env, g->pool, &g->metrics, &sessions, &g->sessions) < 0 ||
        membership_new(&g->node.env, &g->registry.registry, &member, &membership_events, g,
                       &g->membership) < 0)
        abort();
    g->edge = &world->edges[i];
    *g->edge = (struct sim_edge){&g->node, g->sessions};
    sim_turn_end(&g->node);
}

void sim_gateway_crash(struct sim_gateway *g)
{
    struct sim_world *world = g->world;
    struct sim_socket *socket;

    if (!g->sessions)
        return;
    sim_node_crash(&g->node);
    g->edge->sessions = NULL;
    list_for_each(socket, &world->sockets, link)
    {
        if (&world->edges[socket->edge] == g->edge)
            sim_socket_cut(socket);
    }
    membership_free(g->membership);
    sessions_free(g->sessions);
    link_pool_free(g->pool);
    fake_registry_deinit(&g->registry);
    sim_node_deinit(&g->node);
    g->sessions = NULL;
}
