/*
 * batch.c - what goes into the next batch of a lane, and when.
 *
 * First come groups that must go alone after refused data, then parts that go
 * again, then fresh ones: tenants in turn, a bounded number of rows from one
 * room of each, until the batch is full or nobody has more. A tenant whose data
 * was refused lately shares no batch with others for a while.
 */
#include <stdlib.h>

#include "shard/commit/commit_priv.h"
#include "shard/limits.h"

/* Room left in the batch that is being put together. */
struct space {
    size_t rows, bytes, rooms;
};

static struct space space_all(const struct commit_config *config)
{
    return (struct space){config->batch_entries, config->batch_bytes, config->batch_rooms};
}

static bool space_is_left(const struct space *space)
{
    return space->rows > 0 && space->bytes > 0 && space->rooms > 0;
}

static void space_use(struct space *space, size_t rows, size_t bytes, size_t rooms)
{
    space->rows -= MIN(rows, space->rows);
    space->bytes -= MIN(bytes, space->bytes);
    space->rooms -= MIN(rooms, space->rooms);
}

void lane_wake_at(struct commit_lane *lane, uint64_t when_ms)
{
    struct env *env = lane->committer->env;
    uint64_t now = env_now_ms(env);

    if (timer_is_armed(&lane->timer) && lane->timer.due_ms <= when_ms)
        return;
    committer_arm(lane->committer, &lane->timer, when_ms > now ? when_ms - now : 0);
}

/* ---- parts that go again ---- */

static void take_group(struct commit_lane *lane, struct list *parts)
{
    while (list_empty(parts) && !list_empty(&lane->groups)) {
        struct commit_group *group = list_first(&lane->groups, struct commit_group, link);

        list_del(&group->link);
        list_splice_tail(parts, &group->parts); /* empty when its rooms have closed */
        free(group);
    }
}

/* True: the batch belongs to one tenant alone. */
static bool take_retries(struct commit_lane *lane, struct list *parts, struct space *space)
{
    uint64_t now = env_now_ms(lane->committer->env);
    const struct commit_tenant *alone = NULL;
    struct commit_part *part, *tmp;

    list_for_each_safe(part, tmp, &lane->retry, link)
    {
        const struct commit_tenant *tenant = part->queue->tenant;
        bool is_alone = tenant_is_alone(tenant, now);

        if (part->retry_ms > now) {
            lane_wake_at(lane, part->retry_ms);
            continue;
        }
        if (list_empty(parts) && is_alone)
            alone = tenant;
        else if (!space_is_left(space) || (alone ? tenant != alone : is_alone))
            continue;
        list_del(&part->link);
        list_add_tail(parts, &part->link);
        space_use(space, part->n_rows, part->bytes, 1);
    }
    return alone != NULL;
}

/* ---- fresh parts ---- */

/* One turn of a room. False: out of memory. */
static bool take_from(struct commit_queue *q, struct list *parts, struct space *space,
                      size_t max_rows)
{
    struct commit_tenant *tenant = q->tenant;
    struct commit_part *part = q->part;
    size_t rows, bytes;
    enum part_take more;

    if (!part) {
        part = part_new(q);
        if (!part)
            return false;
        list_add_tail(parts, &part->link);
        space_use(space, 0, 0, 1);
    }
    rows = part->n_rows;
    bytes = part->bytes;
    more = part_take(part, MIN(max_rows, space->rows), space->bytes);
    space_use(space, part->n_rows - rows, part->bytes - bytes, 0);
    list_del(&q->ready);
    if (more == PART_TAKE_MORE)
        list_add_tail(&tenant->queues, &q->ready); /* its turn comes again */
    return true;
}

/* All in the batch are of one tenant; a room with a refused row goes quite alone, in shrinking
 * pieces. */
static void form_alone(struct commit_lane *lane, struct commit_tenant *tenant,
                       struct list *parts, struct space *space)
{
    while (space_is_left(space) && !list_empty(&tenant->queues)) {
        struct commit_queue *q = list_first(&tenant->queues, struct commit_queue, ready);
        size_t lone = q->lone_rows > 0 ? q->lone_limit : 0;

        if (lone > 0 && !list_empty(parts))
            break;
        if (!take_from(q, parts, space, lone > 0 ? lone : COMMIT_TENANT_TURN) || lone > 0)
            break;
    }
    list_del(&tenant->ring);
    if (!list_empty(&tenant->queues))
        list_add_tail(&lane->tenants, &tenant->ring);
}

static void form_shared(struct commit_lane *lane, struct list *parts, struct space *space)
{
    uint64_t now = env_now_ms(lane->committer->env);
    struct list alone; /* they come first the next time */

    list_init(&alone);
    while (space_is_left(space) && !list_empty(&lane->tenants)) {
        struct commit_tenant *tenant = list_first(&lane->tenants, struct commit_tenant, ring);

        list_del(&tenant->ring);
        if (tenant_is_alone(tenant, now)) {
            list_add_tail(&alone, &tenant->ring);
            continue;
        }
        if (!take_from(list_first(&tenant->queues, struct commit_queue, ready), parts, space,
                       COMMIT_TENANT_TURN)) {
            list_add_tail(&lane->tenants, &tenant->ring);
            break;
        }
        if (!list_empty(&tenant->queues))
            list_add_tail(&lane->tenants, &tenant->ring);
    }
    list_splice_tail(&alone, &lane->tenants);
    list_splice_tail(&lane->tenants, &alone);
}

static void form(struct commit_lane *lane, struct list *parts, struct space *space)
{
    struct committer *c = lane->committer;
    int64_t now_us = env_steady_us(c->env) + c->store->ops->clock_offset_us(c->store);
    struct list fresh;
    struct commit_tenant *first;

    if (list_empty(&lane->tenants))
        return;
    list_init(&fresh);
    first = list_first(&lane->tenants, struct commit_tenant, ring);
    if (list_empty(parts) && tenant_is_alone(first, env_now_ms(c->env)))
        form_alone(lane, first, &fresh, space);
    else
        form_shared(lane, &fresh, space);
    while (!list_empty(&fresh)) {
        struct commit_part *part = list_first(&fresh, struct commit_part, link);

        list_del(&part->link);
        list_del(&part->queue->ready); /* was left there when the batch was full */
        if (list_empty(&part->queue->tenant->queues))
            list_del(&part->queue->tenant->ring);
        if (part_build(part, now_us))
            list_add_tail(parts, &part->link);
    }
}

/* ---- sending ---- */

static int compare(struct slice a, struct slice b)
{
    int d = memcmp(a.data, b.data, MIN(a.len, b.len));

    return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *a, const void *b)
{
    const struct batch_room *x = &(*(struct commit_part *const *)a)->row;
    const struct batch_room *y = &(*(struct commit_part *const *)b)->row;
    int d = compare(x->project, y->project);

    return d != 0 ? d : compare(x->room, y->room);
}

static size_t count(const struct list *parts)
{
    const struct list *at;
    size_t n = 0;

    for (at = parts->next; at != parts; at = at->next)
        n++;
    return n;
}

static void send(struct commit_lane *lane, struct list *parts)
{
    struct committer *c = lane->committer;
    size_t n = count(parts);
    struct commit_part *part;
    struct batch batch;
    int r = -1;

    lane->flight = calloc(n, sizeof(*lane->flight));
    lane->rooms = calloc(n, sizeof(*lane->rooms));
    if (lane->flight && lane->rooms) {
        lane->n_flight = 0;
        list_for_each(part, parts, link) lane->flight[lane->n_flight++] = part;
        qsort(lane->flight, n, sizeof(*lane->flight), by_key);
        for (size_t i = 0; i < n; i++)
            lane->rooms[i] = lane->flight[i]->row;
        batch = (struct batch){lane->rooms, n};
        r = c->store->ops->submit(c->store, lane->index, &batch, lane_on_submitted, lane);
    }
    if (r < 0) {
        free(TAKE(lane->flight));
        free(TAKE(lane->rooms));
        lane_put_off(lane, parts, false);
        return;
    }
    while (!list_empty(parts)) {
        part = list_first(parts, struct commit_part, link);
        list_del(&part->link);
        part->state = PART_FLIGHT;
    }
    lane->sent_us = env_mono_us(c->env);
    c->stats.in_flight++;
}

void lane_kick(struct commit_lane *lane)
{
    struct committer *c = lane->committer;
    struct space space = space_all(&c->config);
    struct list parts;
    bool alone;

    if (lane->flight)
        return;
    if (env_now_ms(c->env) < lane->idle_until_ms) {
        lane_wake_at(lane, lane->idle_until_ms);
        return;
    }
    list_init(&parts);
    take_group(lane, &parts);
    if (list_empty(&parts)) {
        alone = take_retries(lane, &parts, &space);
        if (!alone)
            form(lane, &parts, &space);
    }
    if (!list_empty(&parts))
        send(lane, &parts);
}
