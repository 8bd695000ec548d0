/*
 * item.c - one thing that a room wants to write, from its push to its one
 * answer: keys seen twice, deadlines, and the order of the answers.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "shard/commit/commit_priv.h"

/* ---- keys: an item whose key is that of an older, unsettled one of its room ---- */

struct item_key {
    const struct commit_queue *queue;
    const uint8_t *dedupe;
};

static uint64_t key_hash(const struct commit_queue *q, const uint8_t *dedupe)
{
    return hash_bytes(dedupe, DEDUPE_LEN) ^ hash_u64((uint64_t)(uintptr_t)q);
}

static bool key_eq(const struct map_node *node, const void *arg)
{
    const struct commit_item *item = container_of(node, struct commit_item, by_key);
    const struct item_key *key = arg;

    return item->queue == key->queue && memcmp(item->key, key->dedupe, DEDUPE_LEN) == 0;
}

static struct commit_item *key_find(struct commit_queue *q, const uint8_t *dedupe)
{
    struct item_key key = {q, dedupe};
    struct map_node *node = map_find(&q->committer->keys, key_hash(q, dedupe), key_eq, &key);

    return node ? container_of(node, struct commit_item, by_key) : NULL;
}

static int key_add(struct committer *c, struct commit_item *item)
{
    int r = map_insert(&c->keys, &item->by_key, key_hash(item->queue, item->key));

    item->has_key = r >= 0;
    return r;
}

static void key_remove(struct committer *c, struct commit_item *item)
{
    if (item->has_key)
        map_remove(&c->keys, &item->by_key);
    item->has_key = false;
}

void item_set_duplicate(struct commit_item *item, struct entry *original, uint64_t change_seq)
{
    item->state = ITEM_DUPLICATE;
    item->original = entry_ref(original);
    item->change_seq = change_seq;
}

/* What became of the first of its key becomes of this one. */
static void repeat_follow(struct commit_item *item, const struct commit_item *first)
{
    struct entry *image = first->image ? first->image : first->entry;

    list_del(&item->repeat_link);
    switch (first->outcome) {
    case COMMIT_DONE:
        item_set_duplicate(item, image, first->mutation ? image->updated_seq : 0);
        return;
    case COMMIT_NOTHING:
        item_set_duplicate(item, image, image->updated_seq);
        return;
    case COMMIT_DUPLICATE:
        item_set_duplicate(item, first->original, first->change_seq);
        return;
    case COMMIT_REJECTED:
        item->state = ITEM_VOID;
        item->verdict = COMMIT_REJECTED;
        item->error = first->error;
        return;
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
    case COMMIT_DROPPED:
        item->state = ITEM_REFUSED;
        return;
    }
}

/* Takes a number where it stands, unless it turns out to be a repeat or void. */
static bool is_to_be_written(const struct commit_item *item)
{
    return item->state == ITEM_NEW || item->state == ITEM_SUSPECT ||
           (item->state == ITEM_VOID && item->part);
}

/* Is something of that sender to be written behind `from` and before `to` (the head of the
 * list: up to its end)? */
static bool is_sender_between(const struct list *from, const struct list *to, uint64_t sender)
{
    for (const struct list *at = from->next; sender != 0 && at != to; at = at->next) {
        const struct commit_item *item = container_of(at, struct commit_item, link);

        if (item->sender == sender && is_to_be_written(item))
            return true;
    }
    return false;
}

/* The first of its key goes without having been written: the next one takes its place, also in
 * the queue (behind `before`, where the first was; NULL: the queue goes). Whoever sends again
 * begins with the lowest, so what its sender sent after the first still comes after it. But it
 * stays where it was pushed when something that its sender has sent before it, of which nothing
 * was left here, would then come after it. */
static void repeat_promote(struct committer *c, struct commit_item *first, struct list *before)
{
    struct commit_item *next;

    key_remove(c, first);
    if (list_empty(&first->repeats))
        return;
    next = list_first(&first->repeats, struct commit_item, repeat_link);
    list_del(&next->repeat_link);
    list_splice_tail(&next->repeats, &first->repeats);
    next->state = ITEM_NEW;
    if (before && !is_sender_between(before, &next->link, next->sender)) {
        list_del(&next->link);
        list_add_head(before, &next->link);
    }
    /* The map has held a node, so it has buckets and cannot fail. */
    (void)key_add(c, next);
}

/* ---- life ---- */

static void item_free(struct commit_item *item)
{
    if (item->target)
        target_put(item->committer, item->target);
    entry_unref(item->entry);
    entry_unref(item->original);
    entry_unref(item->image);
    mutation_unref(item->mutation);
    side_block_unref(item->side);
    free(item);
}

/* Takes what the push refers to. -ENOMEM: some of it, item_free() gives it back. */
static int item_take(struct commit_item *item, const struct commit_push *push)
{
    item->entry = entry_ref(push->entry);
    if (push->n_ops > 0) {
        item->side = side_block_new(push->ops, push->n_ops);
        if (!item->side)
            return -ENOMEM;
    }
    if (push->mutation) {
        item->mutation = mutation_ref(push->mutation);
        item->target = target_get(item->queue, push->entry);
        if (!item->target)
            return -ENOMEM;
    }
    item->bears_key = !push->mutation || push->key;
    if (item->bears_key)
        memcpy(item->key, push->mutation ? push->key : push->entry->dedupe, DEDUPE_LEN);
    return 0;
}

static void item_account(struct committer *c, struct commit_item *item, int sign)
{
    struct commit_queue *q = item->queue;
    struct commit_lane *lane = &c->lanes[q->lane];
    size_t bytes = sign > 0 ? item->bytes : 0 - item->bytes;
    size_t one = sign > 0 ? 1 : (size_t)0 - 1;

    q->n_items += one;
    q->bytes += bytes;
    lane->n_items += one;
    lane->bytes += bytes;
    c->stats.queued_entries += one;
    c->stats.queued_bytes += bytes;
}

int item_new(struct commit_queue *q, const struct commit_push *push, size_t bytes,
             struct commit_item **ret_item)
{
    struct committer *c = q->committer;
    struct commit_item *item = calloc(1, sizeof(*item));
    struct commit_item *first;

    if (!item)
        return -ENOMEM;
    item->committer = c;
    list_init(&item->link);
    list_init(&item->done_link);
    list_init(&item->age);
    list_init(&item->suspect);
    list_init(&item->repeats);
    list_init(&item->repeat_link);
    item->queue = q;
    item->bytes = bytes;
    item->requester = push->requester;
    item->sender = push->sender;
    item->due_ms = env_now_ms(c->env) + c->config.deadline_ms;
    if (item_take(item, push) < 0) {
        item_free(item);
        return -ENOMEM;
    }
    item->state = push->is_suspect && item->bears_key ? ITEM_SUSPECT : ITEM_NEW;
    first = item->bears_key ? key_find(q, item->key) : NULL;
    if (item->bears_key && !first && key_add(c, item) < 0) {
        item_free(item);
        return -ENOMEM;
    }
    if (first && first->finished) {
        repeat_follow(item, first);
    } else if (first) {
        item->state = ITEM_REPEAT;
        list_add_tail(&first->repeats, &item->repeat_link);
    }
    list_add_tail(&c->ages, &item->age);
    item_account(c, item, 1);
    *ret_item = item;
    return 0;
}

static void done_add(struct commit_item *item)
{
    struct commit_queue *q = item->queue;

    if (!list_linked(&item->done_link))
        list_add_tail(&q->done, &item->done_link);
    if (!list_linked(&q->settle))
        list_add_tail(&q->committer->settle, &q->settle);
}

/* Out of every list in which others look for it, but done. */
static void item_unlink(struct commit_item *item)
{
    list_del(&item->link);
    list_del(&item->age);
    list_del(&item->repeat_link);
    lookup_drop(item);
    item->part = NULL;
}

void item_finish(struct commit_item *item, enum commit_outcome outcome)
{
    struct list *before = list_linked(&item->link) ? item->link.prev : NULL;

    assert(!item->finished);
    item_unlink(item);
    item->finished = true;
    item->outcome = outcome;
    if (outcome == COMMIT_UNAVAILABLE) {
        repeat_promote(item->queue->committer, item, before);
    } else {
        struct commit_item *repeat, *tmp;

        /* The key stays known until the answer is out: then the room's tail knows it. */
        list_for_each_safe(repeat, tmp, &item->repeats, repeat_link)
            repeat_follow(repeat, item);
    }
    done_add(item);
}

/* The first behind `at` that this sender has sent, and that can still be taken out. */
static struct commit_item *next_of_sender(struct commit_queue *q, const struct list *at,
                                          uint64_t sender)
{
    for (at = at->next; at != &q->items; at = at->next) {
        struct commit_item *item = container_of(at, struct commit_item, link);

        if (item->sender == sender && !item->finished && !item->part && is_to_be_written(item))
            return item;
    }
    return NULL;
}

/* It has waited too long. What its sender sent after it goes with it: nobody may be there to
 * hear of the refusal, and who sends again then would find the later ones written already. A
 * repeat that takes its place keeps the order. */
void item_give_up(struct commit_item *item)
{
    struct commit_queue *q = item->queue;
    const struct list *before = item->link.prev;
    uint64_t sender = item->sender;
    const struct commit_item *heir;
    struct commit_item *next;

    item_finish(item, COMMIT_UNAVAILABLE);
    heir = item->bears_key ? key_find(q, item->key) : NULL;
    if (sender == 0 || (heir && heir->link.prev == before))
        return;
    while ((next = next_of_sender(q, before, sender))) {
        before = next->link.prev; /* what takes its place is looked at, too */
        item_finish(next, COMMIT_UNAVAILABLE);
    }
}

void item_expire(struct commit_item *item)
{
    struct commit_queue *q = item->queue;

    list_del(&item->age);
    if (item->part && part_is_at_home(item->part))
        part_dissolve(item->part);
    if (item->finished)
        return;
    if (item->state == ITEM_DUPLICATE || item->state == ITEM_REFUSED) {
        item_finish(item, item->state == ITEM_REFUSED ? COMMIT_REFUSED : COMMIT_DUPLICATE);
    } else if (item->state == ITEM_VOID && !item->part) {
        item_finish(item, item->verdict);
    } else if (item->part) { /* nobody knows; all older ones of its room have been told the same
                              */
        item->outcome = COMMIT_UNKNOWN;
        done_add(item);
    } else if (item->state == ITEM_REPEAT) { /* as unknown as the first of its key */
        item_finish(item, COMMIT_UNKNOWN);
    } else {
        item_give_up(item);
    }
    queue_advance(q);
}

/* ---- answers ---- */

static void count_outcome(struct commit_stats *stats, enum commit_outcome outcome)
{
    switch (outcome) {
    case COMMIT_DONE:
        stats->entries++;
        break;
    case COMMIT_DUPLICATE:
        stats->duplicates++;
        break;
    case COMMIT_NOTHING:
    case COMMIT_REJECTED:
        stats->voids++;
        break;
    case COMMIT_REFUSED:
        stats->refused++;
        break;
    case COMMIT_UNAVAILABLE:
        stats->unavailable++;
        break;
    case COMMIT_UNKNOWN:
        stats->unknown++;
        break;
    case COMMIT_DROPPED:
        break;
    }
}

/* The owner may close the queue in it, which frees what is still in its lists. */
static void item_report(struct commit_queue *q, struct commit_item *item)
{
    bool is_done = item->outcome == COMMIT_DONE;
    struct commit_result result = {
        .outcome = item->outcome,
        .entry = item->outcome == COMMIT_DUPLICATE ? item->original
                 : item->image                     ? item->image
                                                   : item->entry,
        .mutation = item->mutation,
        .change_seq = item->change_seq,
        .error = item->error,
        .ops = is_done && item->side ? item->side->ops : NULL,
        .n_ops = is_done ? item_n_ops(item) : 0,
        .requester = TAKE(item->requester),
    };

    q->events->on_settled(q->owner, &result);
}

/* The first of done; the queue may be closed afterwards. */
static void settle_one(struct committer *c, struct commit_queue *q)
{
    struct commit_item *item = list_first(&q->done, struct commit_item, done_link);

    list_del(&item->done_link);
    count_outcome(&c->stats, item->outcome);
    if (!item->finished) { /* UNKNOWN: it stays in its part */
        AUTO(entry_unref) struct entry *entry UNUSED = entry_ref(item->entry);
        AUTO(mutation_unref)
        struct mutation *mutation UNUSED = item->mutation ? mutation_ref(item->mutation) : NULL;

        item->answered = true;
        item_report(q, item);
        return;
    }
    key_remove(c, item);
    item_account(c, item, -1);
    if (!item->answered || item->outcome == COMMIT_DONE)
        item_report(q, item);
    item_free(item);
}

static void flush_done(struct commit_queue *q)
{
    while (q->committer && q->n_items == 0 && !list_empty(&q->flushes)) {
        struct commit_flush *flush = list_first(&q->flushes, struct commit_flush, link);

        list_del(&flush->link);
        flush->fn(flush->arg);
    }
}

void committer_settle(struct committer *c)
{
    if (c->settling)
        return;
    c->settling = true;
    while (!list_empty(&c->settle)) {
        struct commit_queue *q = list_first(&c->settle, struct commit_queue, settle);

        if (!list_empty(&q->done)) {
            settle_one(c, q);
        } else {
            list_del(&q->settle);
            flush_done(q);
        }
    }
    c->settling = false;
}

void item_drop(struct committer *c, struct commit_item *item)
{
    bool owed = !item->answered;

    item_unlink(item);
    list_del(&item->done_link);
    repeat_promote(c, item, NULL);
    item_account(c, item, -1);
    item->outcome = COMMIT_DROPPED;
    if (owed)
        item_report(item->queue, item);
    item_free(item);
}
