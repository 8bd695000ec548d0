/*
 * committer.c - queues of rooms: open, push, close, flush. What happens to an
 * item is in item.c, batches are formed in batch.c and part.c, their outcomes
 * handled in resolve.c; see commit_priv.h for the picture.
 */
#include "shard/commit/committer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/commit/commit_priv.h"
#include "shard/limits.h"

struct commit_config commit_config_default(void)
{
    return (struct commit_config){
        .lanes = 1,
        .batch_entries = COMMIT_BATCH_ENTRIES,
        .batch_bytes = COMMIT_BATCH_BYTES,
        .batch_rooms = COMMIT_BATCH_ROOMS,
        .queue_entries = COMMIT_QUEUE_ENTRIES,
        .queue_bytes = COMMIT_QUEUE_BYTES,
        .lane_entries = COMMIT_LANE_ENTRIES,
        .lane_bytes = COMMIT_LANE_BYTES,
        .deadline_ms = COMMIT_DEADLINE_MS,
    };
}

/* ---- tenants of a lane ---- */

static bool tenant_eq(const struct map_node *node, const void *key)
{
    const struct slice *project = key;

    return slice_eq(container_of(node, struct commit_tenant, node)->project, *project);
}

struct commit_tenant *tenant_open(struct commit_lane *lane, struct slice project)
{
    uint64_t hash = hash_slice(project);
    struct map_node *node = map_find(&lane->by_project, hash, tenant_eq, &project);
    struct commit_tenant *tenant;

    if (node) {
        tenant = container_of(node, struct commit_tenant, node);
        tenant->refs++;
        return tenant;
    }
    tenant = calloc(1, sizeof(*tenant));
    if (!tenant)
        return NULL;
    memcpy(tenant->text, project.data, project.len);
    tenant->project = slice_of(tenant->text, project.len);
    tenant->refs = 1;
    list_init(&tenant->ring);
    list_init(&tenant->queues);
    if (map_insert(&lane->by_project, &tenant->node, hash) < 0) {
        free(tenant);
        return NULL;
    }
    return tenant;
}

void tenant_close(struct commit_lane *lane, struct commit_tenant *tenant)
{
    if (--tenant->refs > 0)
        return;
    assert(list_empty(&tenant->queues));
    list_del(&tenant->ring);
    map_remove(&lane->by_project, &tenant->node);
    free(tenant);
}

/* ---- the whole ---- */

void committer_arm(struct committer *c, struct timer *timer, uint64_t delay_ms)
{
    if (env_timer(c->env, timer, delay_ms) < 0)
        committer_kick_later(c);
}

static void expiry_arm(struct committer *c)
{
    uint64_t due = list_first(&c->ages, struct commit_item, age)->due_ms;
    uint64_t now = env_now_ms(c->env);

    committer_arm(c, &c->expiry, due > now ? due - now : 0);
}

/* The end of the turn in which something was pushed or answered. */
static void committer_on_kick(struct later *later, void *arg)
{
    struct committer *c = arg;

    (void)later;
    if (!list_empty(&c->ages) && !timer_is_armed(&c->expiry))
        expiry_arm(c);
    lookup_ask(c);
    for (unsigned i = 0; i < c->config.lanes; i++)
        lane_kick(&c->lanes[i]);
    committer_settle(c);
}

void committer_kick_later(struct committer *c)
{
    env_later(c->env, &c->kick);
}

static void committer_on_expiry(struct timer *timer, void *arg)
{
    struct committer *c = arg;
    uint64_t now = env_now_ms(c->env);

    (void)timer;
    while (!list_empty(&c->ages)) {
        struct commit_item *item = list_first(&c->ages, struct commit_item, age);

        if (item->due_ms > now) {
            expiry_arm(c);
            break;
        }
        item_expire(item);
    }
    committer_settle(c);
}

static void lane_on_timer(struct timer *timer, void *arg)
{
    struct commit_lane *lane = arg;

    (void)timer;
    lane_probe(lane);
    lane_kick(lane);
    committer_settle(lane->committer);
}

static void lane_init(struct committer *c, unsigned index)
{
    struct commit_lane *lane = &c->lanes[index];

    lane->committer = c;
    lane->index = index;
    list_init(&lane->tenants);
    map_init(&lane->by_project);
    list_init(&lane->retry);
    list_init(&lane->groups);
    list_init(&lane->probes);
    timer_init(&lane->timer, lane_on_timer, lane);
}

int committer_new(struct env *env, struct store *store, const struct commit_config *config,
                  struct committer **ret_committer)
{
    struct committer *c = calloc(1, sizeof(*c) + config->lanes * sizeof(c->lanes[0]));

    if (!c)
        return -ENOMEM;
    c->env = env;
    c->store = store;
    c->config = *config;
    map_init(&c->keys);
    map_init(&c->targets);
    list_init(&c->ages);
    list_init(&c->settle);
    lookup_init(c);
    ids_init(c);
    timer_init(&c->expiry, committer_on_expiry, c);
    later_init(&c->kick, committer_on_kick, c);
    for (unsigned i = 0; i < config->lanes; i++)
        lane_init(c, i);
    *ret_committer = c;
    return 0;
}

static void lane_deinit(struct commit_lane *lane)
{
    assert(!lane->flight && !lane->asked);
    assert(list_empty(&lane->retry) && list_empty(&lane->probes));
    assert(lane->by_project.count == 0);
    while (!list_empty(&lane->groups)) {
        struct commit_group *group = list_first(&lane->groups, struct commit_group, link);

        assert(list_empty(&group->parts));
        list_del(&group->link);
        free(group);
    }
    env_timer_cancel(lane->committer->env, &lane->timer);
    map_deinit(&lane->by_project);
}

void committer_free(struct committer *c)
{
    if (!c)
        return;
    assert(!c->lookup && !c->fetching_ids && list_empty(&c->ages));
    for (unsigned i = 0; i < c->config.lanes; i++)
        lane_deinit(&c->lanes[i]);
    env_timer_cancel(c->env, &c->expiry);
    env_timer_cancel(c->env, &c->lookup_timer);
    env_timer_cancel(c->env, &c->ids_timer);
    later_cancel(&c->kick);
    map_deinit(&c->keys);
    map_deinit(&c->targets);
    free(c);
}

void committer_store_is_back(struct committer *c)
{
    for (unsigned i = 0; i < c->config.lanes; i++)
        c->lanes[i].idle_until_ms = c->lanes[i].backoff_ms = 0;
    committer_kick_later(c);
}

const struct commit_stats *committer_stats(const struct committer *c)
{
    return &c->stats;
}

/* ---- queues ---- */

int committer_open_queue(struct committer *c, struct commit_queue *q, struct slice project,
                         struct slice room, uint64_t fence, const struct commit_head *head,
                         const struct commit_events *events, void *owner)
{
    unsigned lane = (unsigned)(hash_two(project, room) % c->config.lanes);
    struct commit_tenant *tenant;

    assert(project.len <= ID_MAX && room.len <= ID_MAX);
    tenant = tenant_open(&c->lanes[lane], project);
    if (!tenant)
        return -ENOMEM;
    *q = (struct commit_queue){
        .head = *head,
        .project = project,
        .room = room,
        .fence = fence,
        .events = events,
        .owner = owner,
        .committer = c,
        .lane = lane,
        .tenant = tenant,
    };
    list_init(&q->ready);
    list_init(&q->items);
    list_init(&q->done);
    list_init(&q->settle);
    list_init(&q->flushes);
    ids_want(c);
    return 0;
}

static void queue_set_ready(struct commit_queue *q, bool ready)
{
    struct commit_tenant *tenant = q->tenant;

    if (ready && !list_linked(&q->ready)) {
        list_add_tail(&tenant->queues, &q->ready);
        if (!list_linked(&tenant->ring))
            list_add_tail(&q->committer->lanes[q->lane].tenants, &tenant->ring);
    } else if (!ready && list_linked(&q->ready)) {
        list_del(&q->ready);
        if (list_empty(&tenant->queues))
            list_del(&tenant->ring);
    }
}

void queue_advance(struct commit_queue *q)
{
    bool ready = false;

    if (!q->committer)
        return;
    while (!q->part && !list_empty(&q->items)) {
        struct commit_item *item = list_first(&q->items, struct commit_item, link);

        if (item->state == ITEM_DUPLICATE) {
            item_finish(item, COMMIT_DUPLICATE);
        } else if (item->state == ITEM_REFUSED) {
            item_finish(item, COMMIT_REFUSED);
        } else if (item->state == ITEM_VOID) { /* the repeat of one that was rejected */
            item_finish(item, item->verdict);
        } else {
            ready = item->state == ITEM_NEW;
            break;
        }
    }
    queue_set_ready(q, ready);
}

void committer_close_queue(struct commit_queue *q)
{
    struct committer *c = q->committer;

    if (!c)
        return;
    queue_set_ready(q, false);
    if (q->part) { /* its items are older than the others */
        list_splice_tail(&q->part->items, &q->items);
        list_splice_tail(&q->items, &q->part->items);
        part_detach(TAKE(q->part));
    }
    list_del(&q->settle);
    while (!list_empty(&q->flushes))
        list_del(q->flushes.next);
    tenant_close(&c->lanes[q->lane], TAKE(q->tenant));
    while (!list_empty(&q->done)) {
        struct commit_item *item = list_first(&q->done, struct commit_item, done_link);

        list_del(&item->done_link);
        if (item->finished) /* else it is in items too */
            list_add_tail(&q->items, &item->link);
    }
    q->committer = NULL; /* before anybody is called */
    while (!list_empty(&q->items))
        item_drop(c, list_first(&q->items, struct commit_item, link));
}

void queue_lose(struct commit_queue *q)
{
    const struct commit_events *events = q->events;
    void *owner = q->owner;

    q->committer->stats.lost++;
    committer_close_queue(q);
    events->on_lost(owner);
}

int committer_push(struct commit_queue *q, const struct commit_push *push)
{
    struct committer *c = q->committer;
    const struct commit_config *config = &c->config;
    struct commit_lane *lane = &c->lanes[q->lane];
    /* A change becomes a whole image of its entry, however small it is itself. */
    size_t bytes = side_ops_size(push->ops, push->n_ops) + entry_size(push->entry) +
                   (push->mutation ? mutation_size(push->mutation) : 0);
    struct commit_item *item;
    int r;

    if (q->n_items >= config->queue_entries || q->bytes + bytes > config->queue_bytes ||
        lane->n_items >= config->lane_entries || lane->bytes + bytes > config->lane_bytes) {
        c->stats.full++;
        return COMMIT_PUSH_FULL;
    }
    r = item_new(q, push, bytes, &item);
    if (r < 0)
        return r;
    list_add_tail(&q->items, &item->link);
    if (item->state == ITEM_SUSPECT)
        lookup_add(item);
    queue_advance(q);
    committer_kick_later(c);
    return 0;
}

void committer_drop_queued(struct commit_queue *q)
{
    struct committer *c = q->committer;

    if (!c)
        return;
    if (q->part && part_is_at_home(q->part))
        part_dissolve(q->part);
    queue_set_ready(q, false);
    while (q->committer && !list_empty(&q->items)) /* a callback may close the queue */
        item_drop(c, list_first(&q->items, struct commit_item, link));
}

void committer_flush(struct commit_queue *q, struct commit_flush *flush, void (*fn)(void *arg),
                     void *arg)
{
    flush->fn = fn;
    flush->arg = arg;
    list_add_tail(&q->flushes, &flush->link);
    if (!list_linked(&q->settle))
        list_add_tail(&q->committer->settle, &q->settle);
    committer_kick_later(q->committer);
}

void committer_flush_cancel(struct commit_flush *flush)
{
    if (flush->link.next)
        list_del(&flush->link);
}
