/* host.c - the table of rooms and what happens to it once a second. See host.h. */
#include "shard/host/host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/cluster/ring.h"
#include "shard/host/expiry.h"
#include "shard/host/fences.h"
#include "shard/host/gate.h"
#include "shard/host/gather.h"
#include "shard/host/lookup.h"
#include "shard/host/presence.h"
#include "shard/host/room_host.h"
#include "shard/host/search_index.h"
#include "shard/host/user_channel.h"
#include "shard/limits.h"
#include "shard/metrics.h"

#define HOST_TICK_MS 1000

/* ---- idle rooms ---- */

static bool may_sleep(const struct room_host *room)
{
    return room->state == ROOM_ACTIVE && commit_queue_is_empty(&room->queue) &&
           list_empty(&room->changes) && reads_are_idle(&room->reads) &&
           list_empty(&room->streams) && list_empty(&room->waits) &&
           list_empty(&room->waiting) && room->skips.from_seq == 0 && presence_is_quiet(room);
}

static void sweep_idle(struct host *host, uint64_t now_ms)
{
    struct room_host *room, *next;
    size_t budget = ROOMS_SLEEP_PER_TICK;

    list_for_each_safe(room, next, &host->rooms_by_use, by_use)
    {
        if (now_ms - room->last_use_ms < host->config.room_idle_ms || budget == 0)
            return; /* all behind it have been used later */
        if (!may_sleep(room))
            continue;
        budget--;
        host->metrics->sleeps++;
        room_close(room, ROOM_END_SLEEP);
    }
}

#define LIMITS_PRUNE_MS 60000

static bool prune_limits(struct map_node *node, void *arg)
{
    const uint64_t *now_ms = arg;
    struct room_host *room = container_of(node, struct room_host, node);

    limiter_prune(&room->limiter, *now_ms);
    limiter_prune(&room->report_limiter, *now_ms);
    limiter_prune(&room->slow_limiter, *now_ms);
    limiter_prune(&room->event_limiter, *now_ms);
    limiter_prune(&room->agent_limiter, *now_ms);
    return true;
}

static void on_tick(struct timer *timer, void *arg)
{
    struct host *host = arg;
    uint64_t now_ms = env_now_ms(host->env);
    int r;

    (void)timer;
    sweep_idle(host, now_ms);
    expiry_sweep(host->expiry);
    if (now_ms / LIMITS_PRUNE_MS != (now_ms - HOST_TICK_MS) / LIMITS_PRUNE_MS)
        map_each(&host->rooms, prune_limits, &now_ms);
    lookups_prune(host->lookups, now_ms);
    reaches_prune(&host->reaches, now_ms);
    host->metrics->reach_notes = (int64_t)host->reaches.notes.count;
    host->metrics->search_pending = (int64_t)search_index_pending(host->search);
    if (!host->lease_is_confirmed)
        fences_probe(host);
    r = env_timer(host->env, &host->tick, HOST_TICK_MS);
    assert(r == 0); /* its place in the heap has just become free */
    (void)r;
}

/* ---- the search index ---- */

static bool owns_room(const struct host *host, struct slice project, struct slice room)
{
    char object[sizeof("room//") + 2 * (size_t)ID_MAX];
    int len = snprintf(object, sizeof(object), "room/%.*s/%.*s", (int)project.len, project.data,
                       (int)room.len, room.data);

    return host_owns(host, slice_of(object, MIN((size_t)len, sizeof(object) - 1)));
}

static bool search_owns(void *owner, struct slice project, struct slice room)
{
    return owns_room(owner, project, room);
}

static const struct search_index_events search_events = {.owns = search_owns};

/* ---- life ---- */

int host_new(struct env *env, struct store *store, struct committer *committer,
             struct shard_metrics *metrics, const struct host_config *config,
             struct host **ret_host)
{
    AUTO(host_free) struct host *host = calloc(1, sizeof(*host));
    int r;

    if (!host)
        return -ENOMEM;
    host->env = env;
    host->store = store;
    host->committer = committer;
    host->metrics = metrics;
    host->config = *config;
    map_init(&host->rooms);
    map_init(&host->gates);
    map_init(&host->users);
    list_init(&host->gathers);
    list_init(&host->rooms_by_use);
    claims_init(&host->claims);
    list_init(&host->all_gates);
    moves_init(&host->moves, host);
    drops_init(&host->drops, host);
    reaches_init(&host->reaches);
    timer_init(&host->tick, on_tick, host);
    r = pace_new(env, metrics, &host->pace);
    if (r == 0)
        r = lookups_new(env, store, &host->lookups);
    if (r < 0)
        return r;
    r = expiry_new(host, &host->expiry);
    if (r < 0)
        return r;
    r = search_index_new(env, store, metrics, &search_events, host, &host->search);
    if (r < 0)
        return r;
    r = env_timer(env, &host->tick, HOST_TICK_MS);
    if (r < 0)
        return r;
    *ret_host = TAKE(host);
    return 0;
}

void host_free(struct host *host)
{
    if (!host)
        return;
    gathers_drop(host);
    user_channels_drop(host);
    while (!list_empty(&host->all_gates))
        gate_drop(list_first(&host->all_gates, struct gate, in_host));
    claims_stop(&host->claims);
    while (!list_empty(&host->rooms_by_use))
        room_close(list_first(&host->rooms_by_use, struct room_host, by_use), ROOM_END_SILENT);
    env_timer_cancel(host->env, &host->tick);
    moves_stop(&host->moves);
    drops_stop(&host->drops);
    fences_stop(host);
    pace_stop(host->pace);
    expiry_free(host->expiry);
    lookups_free(host->lookups);
    search_index_free(host->search);
    map_deinit(&host->rooms);
    map_deinit(&host->gates);
    map_deinit(&host->users);
    reaches_deinit(&host->reaches);
    buf_deinit(&host->json);
    buf_deinit(&host->json2);
    buf_deinit(&host->wire);
    free(host);
}

bool host_is_empty(const struct host *host)
{
    return host->rooms.count == 0;
}

int64_t host_now_us(const struct host *host)
{
    return env_steady_us(host->env) + host->store->ops->clock_offset_us(host->store);
}

/* ---- the ring ---- */

bool host_owns(const struct host *host, struct slice object)
{
    const struct ring_member *owner = host->ring ? ring_owner(host->ring, object) : NULL;

    return owner && slice_eq(owner->id, host->config.node_id);
}

bool host_serves(const struct host *host, struct slice project, struct slice room)
{
    return room_find(host, project, room) || owns_room(host, project, room);
}

void host_set_ring(struct host *host, const struct ring *ring)
{
    const struct ring *before = host->ring;

    host->ring = ring;
    user_channels_check(host);
    moves_on_ring(&host->moves, before);
}

void host_set_lease(struct host *host, bool is_confirmed)
{
    bool is_lost = host->lease_is_confirmed && !is_confirmed;

    host->lease_is_confirmed = is_confirmed;
    if (is_lost)
        fences_probe(host); /* at once: this process may have been stopped for minutes */
}

void host_drop_rooms(struct host *host)
{
    reaches_forget(&host->reaches);
    while (!list_empty(&host->rooms_by_use)) {
        host->metrics->moves_store++;
        room_close(list_first(&host->rooms_by_use, struct room_host, by_use), ROOM_END_MOVED);
    }
}

void host_store_is_back(struct host *host)
{
    struct room_host *room, *next;

    list_for_each_safe(room, next, &host->rooms_by_use, by_use) room_claim_soon(room);
}

void host_store_replaced(struct host *host)
{
    reaches_forget(&host->reaches);
    drops_begin(&host->drops);
    gates_tell_replaced(host);
}
