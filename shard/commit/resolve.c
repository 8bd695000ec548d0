/*
 * resolve.c - what came of a batch. Per room: committed; refused data, split
 * until the offender is alone; nobody knows, submitted again with the same
 * numbers; or the row did not take part, and is asked why.
 */
#include <stdlib.h>

#include "shard/commit/commit_priv.h"
#include "shard/limits.h"

static uint64_t now_ms(const struct commit_lane *lane)
{
    return env_now_ms(lane->committer->env);
}

static void retry_later(struct commit_lane *lane, struct commit_part *part)
{
    uint64_t pause = MAX(part->pause_ms * 2, (uint64_t)COMMIT_LOCKED_RETRY_MS);

    part->pause_ms = MIN(pause, (uint64_t)COMMIT_RETRY_MAX_MS);
    part->retry_ms = now_ms(lane) + env_jitter_ms(lane->committer->env, part->pause_ms);
    lane_wake_at(lane, part->retry_ms);
}

void lane_put_off(struct commit_lane *lane, struct list *parts, bool may_commit)
{
    struct committer *c = lane->committer;
    struct commit_part *part;

    list_for_each(part, parts, link)
    {
        part->state = PART_WAITING;
        part->may_commit |= may_commit;
    }
    list_splice_tail(parts, &lane->retry); /* before those that came later */
    list_splice_tail(&lane->retry, parts);
    lane->backoff_ms = MIN(MAX(lane->backoff_ms * 2, (uint64_t)COMMIT_RETRY_MIN_MS),
                           (uint64_t)COMMIT_RETRY_MAX_MS);
    lane->idle_until_ms = now_ms(lane) + env_jitter_ms(c->env, lane->backoff_ms);
    lane_wake_at(lane, lane->idle_until_ms);
}

/* ---- refused data ---- */

/* Keys that exist: look all up that have not been; who is in none of the old rows goes again.
 */
static bool look_up_all(struct list *parts)
{
    struct commit_part *part, *tmp;
    struct commit_item *item;
    bool any = false;

    list_for_each(part, parts, link)
    {
        list_for_each(item, &part->items, link) any |=
            item->state == ITEM_NEW && item->bears_key && !item->checked;
    }
    if (!any)
        return false;
    list_for_each_safe(part, tmp, parts, link)
    {
        list_for_each(item, &part->items, link)
        {
            if (item->state == ITEM_NEW && item->bears_key && !item->checked &&
                !item->answered) {
                item->state = ITEM_SUSPECT;
                lookup_add(item);
            }
        }
        part_dissolve(part);
    }
    return true;
}

static void keep_alone(struct commit_lane *lane, struct commit_tenant *tenant)
{
    tenant->alone_until_ms = now_ms(lane) + COMMIT_ALONE_MS;
}

/* The offender is in this room: its rows go alone, in halves of halves. */
static void split_room(struct commit_lane *lane, struct commit_part *part)
{
    struct commit_queue *q = part->queue;
    struct commit_item *item;

    keep_alone(lane, q->tenant);
    q->lone_rows = MAX(q->lone_rows, part->n_rows);
    if (part->n_rows > 1) {
        q->lone_limit = part->n_rows / 2;
    } else {
        list_for_each(item, &part->items, link)
        {
            if (item->state == ITEM_NEW)
                item->state = ITEM_REFUSED;
        }
        q->lone_rows--;
        q->lone_limit = MAX(q->lone_rows, (size_t)1);
    }
    part_dissolve(part);
}

static struct commit_group *group_new(struct list *groups)
{
    struct commit_group *group = calloc(1, sizeof(*group));

    if (!group)
        return NULL;
    list_init(&group->parts);
    list_add_tail(groups, &group->link);
    return group;
}

/* Each tenant alone, so that the offender's neighbours fail no second time; one tenant's rooms
 * in two halves. */
static void split_batch(struct commit_lane *lane, struct list *parts, size_t n, bool part_gone)
{
    struct commit_tenant *tenant = list_first(parts, struct commit_part, link)->queue->tenant;
    bool is_shared = list_last(parts, struct commit_part, link)->queue->tenant != tenant;
    struct commit_group *group = NULL;
    struct list groups;

    if (!is_shared && !part_gone)
        keep_alone(lane, tenant);
    list_init(&groups);
    for (size_t i = 0; !list_empty(parts); i++) {
        struct commit_part *part = list_first(parts, struct commit_part, link);
        bool starts = is_shared ? part->queue->tenant != tenant : i == n / 2;

        if (!group || starts)
            group = group_new(&groups);
        if (!group) /* out of memory: the rest goes together */
            break;
        tenant = part->queue->tenant;
        part->state = PART_WAITING;
        list_del(&part->link);
        list_add_tail(&group->parts, &part->link);
    }
    list_splice_tail(&groups, &lane->groups);
    list_splice_tail(&lane->groups, &groups);
    if (!list_empty(parts))
        lane_put_off(lane, parts, false);
}

/* The parts are in key order, so those of one tenant stand together. part_gone: a room of the
 * batch has closed meanwhile, perhaps the offender's. */
static void refused_data(struct commit_lane *lane, struct list *parts, bool is_duplicate,
                         bool part_gone)
{
    size_t n = 0;
    struct list *at;

    lane->committer->stats.bad_batches++;
    if (list_empty(parts) || (is_duplicate && look_up_all(parts)))
        return;
    for (at = parts->next; at != parts; at = at->next)
        n++;
    if (n == 1 && !part_gone)
        split_room(lane, list_first(parts, struct commit_part, link));
    else
        split_batch(lane, parts, n, part_gone);
}

/* ---- rows that did not take part ---- */

static void lose(struct commit_part *part)
{
    part->state = PART_WAITING; /* part_detach() frees it */
    queue_lose(part->queue);
}

/* What the row says about a part that was not in the answer. True: lost. */
static bool judge(struct commit_lane *lane, struct commit_part *part,
                  const struct fence_state *now)
{
    const struct batch_room *row = &part->row;

    if (now->fence != row->fence)
        return true;
    if (now->last_seq == row->new_seq && now->last_id == row->last_id) {
        part_committed(part); /* an earlier submission of it */
        return false;
    }
    if (now->last_seq != row->expect_seq)
        return true;
    part->state = PART_WAITING; /* the row was locked */
    list_add_tail(&lane->retry, &part->link);
    retry_later(lane, part);
    return false;
}

static void lane_on_probed(void *arg, enum store_result result, const struct fence_state *rows)
{
    struct commit_lane *lane = arg;
    struct commit_part **asked = TAKE(lane->asked);
    struct list lost;

    list_init(&lost);
    for (size_t i = 0; i < lane->n_asked; i++) {
        struct commit_part *part = asked[i];

        if (!part->queue) {
            part_free(part);
        } else if (result != STORE_OK) {
            part->state = PART_PROBE;
            list_add_tail(&lane->probes, &part->link);
            retry_later(lane, part);
        } else if (judge(lane, part, &rows[i])) {
            list_add_tail(&lost, &part->link);
        }
    }
    free(asked);
    lane_probe(lane);
    lane_kick(lane);
    committer_settle(lane->committer);
    while (!list_empty(&lost)) {
        struct commit_part *part = list_first(&lost, struct commit_part, link);

        if (part->queue)
            lose(part);
        else
            part_free(part); /* its owner closed it while the others were settled */
    }
}

void lane_probe(struct commit_lane *lane)
{
    struct committer *c = lane->committer;
    struct fence_probe probes[COMMIT_PROBES];
    struct commit_part *part, *tmp;
    size_t n = 0;

    if (lane->asked || list_empty(&lane->probes))
        return;
    lane->asked = calloc(COMMIT_PROBES, sizeof(struct commit_part *));
    list_for_each_safe(part, tmp, &lane->probes, link)
    {
        if (part->retry_ms > now_ms(lane)) {
            lane_wake_at(lane, part->retry_ms);
            continue;
        }
        if (!lane->asked || n == COMMIT_PROBES) {
            lane_wake_at(lane, now_ms(lane) + COMMIT_RETRY_MIN_MS);
            break;
        }
        list_del(&part->link);
        part->state = PART_PROBING;
        probes[n] = (struct fence_probe){part->row.project, part->row.room};
        lane->asked[n++] = part;
    }
    lane->n_asked = n;
    if (n == 0)
        free(TAKE(lane->asked));
    else if (c->store->ops->probe_fences(c->store, probes, n, lane_on_probed, lane) < 0)
        lane_on_probed(lane, STORE_UNAVAILABLE, NULL);
}

/* ---- the answer ---- */

/* Rooms that have closed meanwhile come to their end here; true: there was one. */
static bool flight_to_list(struct commit_lane *lane, struct list *parts)
{
    struct commit_part **flight = TAKE(lane->flight);
    bool part_gone = false;

    list_init(parts);
    for (size_t i = 0; i < lane->n_flight; i++) {
        if (flight[i]->queue) {
            list_add_tail(parts, &flight[i]->link);
        } else {
            part_gone = true;
            part_free(flight[i]);
        }
    }
    free(flight);
    free(TAKE(lane->rooms));
    return part_gone;
}

static void batch_done(struct commit_lane *lane, const bool *committed)
{
    struct commit_part **flight = TAKE(lane->flight);

    lane->backoff_ms = 0;
    lane->committer->stats.batches++;
    for (size_t i = 0; i < lane->n_flight; i++) {
        struct commit_part *part = flight[i];

        if (!part->queue) {
            part_free(part);
        } else if (committed[i]) {
            part_committed(part);
        } else {
            part->state = PART_PROBE;
            list_add_tail(&lane->probes, &part->link);
        }
    }
    free(flight);
    free(TAKE(lane->rooms));
}

void lane_on_submitted(void *arg, enum store_result result, const bool *committed,
                       bool is_duplicate)
{
    struct commit_lane *lane = arg;
    struct committer *c = lane->committer;
    struct list parts;
    bool part_gone;

    c->stats.in_flight--;
    c->stats.flight_us += env_mono_us(c->env) - lane->sent_us;
    if (result == STORE_OK) {
        batch_done(lane, committed);
    } else {
        part_gone = flight_to_list(lane, &parts);
        if (result == STORE_BAD_DATA)
            refused_data(lane, &parts, is_duplicate, part_gone);
        else
            lane_put_off(lane, &parts, result == STORE_UNKNOWN);
        c->stats.lost_batches += result == STORE_UNKNOWN;
    }
    lookup_ask(c);
    lane_probe(lane);
    lane_kick(lane); /* the next batch is on its way before anybody looks at this one */
    committer_settle(c);
}
