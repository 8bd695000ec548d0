/*
 * sim_bounds.c - memory is bounded: queues stay within their limits while things
 * go wrong, and afterwards nothing is left of what went wrong. (That freed memory
 * is freed, and all of it, is for AddressSanitizer to see: a run takes all down.)
 */
#include <inttypes.h>

#include "common/base/limits.h"
#include "shard/limits.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_world.h"

#define LOOK_MS 500
#define REST_MS 30000 /* until the last retry and the last ghost are over */

static void look_at_node(struct sim_world *w, struct sim_node *node)
{
    size_t bytes = sim_net_longest_queue(node);

    if (bytes > LINK_QUEUE_MAX + LINK_MESSAGE_MAX)
        sim_violation(&w->check, "%s: a link with %zu bytes queued", node->name, bytes);
}

static void look_at_shard(struct sim_world *w, const struct sim_shard *shard)
{
    const struct commit_stats *stats = committer_stats(shard->committer);

    if (stats->queued_entries > (size_t)COMMIT_QUEUE_ENTRIES * w->n_rooms)
        sim_violation(&w->check, "%s: %zu entries queued", shard->name, stats->queued_entries);
    if (stats->queued_bytes > (size_t)COMMIT_QUEUE_BYTES * w->n_rooms)
        sim_violation(&w->check, "%s: %zu bytes queued", shard->name, stats->queued_bytes);
}

static void on_look(struct sim *sim, void *arg)
{
    struct sim_world *w = arg;
    const struct sim_socket *socket;

    for (size_t i = 0; i < sim_n_nodes(w); i++) {
        if (sim_is_running(w, i))
            look_at_node(w, sim_node_at(w, i));
    }
    for (size_t i = 0; i < w->n_shards; i++) {
        if (w->shards[i].is_alive)
            look_at_shard(w, &w->shards[i]);
    }
    list_for_each(socket, &w->sockets, link)
    {
        if (socket->stream.queued_bytes > SOCKET_QUEUE_HARD + LINK_MESSAGE_MAX)
            sim_violation(&w->check, "%s: %zu bytes queued", socket->name,
                          socket->stream.queued_bytes);
    }
    if (!w->is_healing)
        sim_after(sim, LOOK_MS, on_look, w);
}

void sim_bounds_start(struct sim_world *w)
{
    sim_after(&w->sim, LOOK_MS, on_look, w);
}

/* ---- at rest ---- */

static size_t n_sockets(const struct sim_world *w, size_t gateway)
{
    const struct sim_socket *socket;
    size_t n = 0;

    list_for_each(socket, &w->sockets, link) n += socket->session && socket->edge == gateway;
    return n;
}

static void rest_gateway(struct sim_world *w, size_t i)
{
    const struct sim_gateway *g = &w->gateways[i];
    size_t n_links = sim_net_count(&w->gateways[i].node);

    if (sessions_count(g->sessions) != n_sockets(w, i))
        sim_violation(&w->check, "%s has %zu sessions for %zu sockets", g->name,
                      sessions_count(g->sessions), n_sockets(w, i));
    if (n_links != w->n_shards)
        sim_violation(&w->check, "%s has %zu connections to %zu shards", g->name, n_links,
                      w->n_shards);
}

static void rest_shard(struct sim_world *w, struct sim_shard *shard)
{
    const struct commit_stats *stats = committer_stats(shard->committer);
    size_t n_links = sim_net_count(&shard->node);

    if (stats->queued_entries > 0 || stats->queued_bytes > 0 || stats->in_flight > 0)
        sim_violation(&w->check, "%s: %zu entries, %zu bytes and %u batches never end",
                      shard->name, stats->queued_entries, stats->queued_bytes,
                      stats->in_flight);
    if (n_links != w->n_gateways)
        sim_violation(&w->check, "%s has %zu connections of %zu gateways", shard->name, n_links,
                      w->n_gateways);
    if (shard->host->rooms.count > w->n_rooms)
        sim_violation(&w->check, "%s: %zu rooms of %zu", shard->name, shard->host->rooms.count,
                      w->n_rooms);
}

void sim_bounds_at_rest(struct sim_world *w)
{
    for (unsigned i = 0; i < REST_MS / LOOK_MS; i++) {
        sim_run_until(&w->sim, w->sim.now_ms + LOOK_MS);
        sim_cluster_start_nodes(w); /* some were leaving */
    }
    for (size_t i = 0; i < w->n_gateways; i++)
        rest_gateway(w, i);
    for (size_t i = 0; i < w->n_shards; i++)
        rest_shard(w, &w->shards[i]);
}
