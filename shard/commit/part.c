/*
 * part.c - what one room contributes to a batch: taking items, numbering them,
 * and the two ways back: committed, or known not to be written.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/base/broken.h"
#include "common/base/limits.h"
#include "shard/commit/commit_priv.h"
#include "shard/limits.h"

static struct slice put_name(char *at, struct slice name)
{
    memcpy(at, name.data, name.len);
    return slice_of(at, name.len);
}

struct commit_part *part_new(struct commit_queue *q)
{
    struct commit_part *part = calloc(1, sizeof(*part));

    if (!part)
        return NULL;
    list_init(&part->link);
    list_init(&part->items);
    part->state = PART_FORMING;
    part->queue = q;
    part->lane = &q->committer->lanes[q->lane];
    part->row.project = put_name(part->text, q->project);
    part->row.room = put_name(part->text + ID_MAX, q->room);
    part->row.fence = q->fence;
    assert(!q->part);
    q->part = part;
    return part;
}

void part_free(struct commit_part *part)
{
    assert(list_empty(&part->items));
    list_del(&part->link);
    for (size_t i = 0; i < part->row.n_entries; i++)
        entry_unref(part->entries[i]);
    for (size_t i = 0; i < part->row.n_changed; i++)
        entry_unref(part->changed[i]);
    for (size_t i = 0; i < part->n_sides; i++)
        side_block_unref(part->sides[i]);
    free(part->entries);
    free(part->changed);
    free(part->keys);
    free(part->ops);
    free(part->sides);
    free(part);
}

static bool ops_fit(const struct commit_part *part, const struct commit_item *item)
{
    const struct commit_item *other;

    if (!item->side || part->n_ops == 0)
        return true;
    if (part->n_ops + item->side->n > COMMIT_PART_OPS)
        return false;
    list_for_each(other, &part->items, link)
    {
        if (other->side && !side_blocks_agree(item->side, other->side))
            return false;
    }
    return true;
}

enum part_take part_take(struct commit_part *part, size_t max_rows, size_t max_bytes)
{
    struct commit_queue *q = part->queue;
    size_t rows = 0, bytes = 0;

    while (!list_empty(&q->items)) {
        struct commit_item *item = list_first(&q->items, struct commit_item, link);

        if (item->state == ITEM_SUSPECT)
            return PART_TAKE_ALL;
        if (item->state == ITEM_NEW) {
            if (!ops_fit(part, item))
                return PART_TAKE_ALL;
            if (rows == max_rows || (rows > 0 && bytes + item->bytes > max_bytes))
                return PART_TAKE_MORE;
            rows++;
            bytes += item->bytes;
            part->n_rows++;
            part->bytes += item->bytes;
            part->n_ops += item_n_ops(item);
        }
        list_del(&item->link);
        list_add_tail(&part->items, &item->link);
        item->part = part;
    }
    return PART_TAKE_ALL;
}

/* Back in the queue it is as if it had never been in a part. */
static void forget_numbers(struct commit_item *item)
{
    item->part = NULL;
    if (!item->image) /* had none */
        return;
    target_unstage(item->target);
    entry_unref(TAKE(item->image));
    if (item->state == ITEM_VOID)
        item->state = ITEM_NEW;
}

/* The items from this one on go back to the head of the queue. */
static void give_back(struct commit_part *part, struct commit_item *from)
{
    struct list *head = &part->queue->items;
    struct commit_item *item;
    bool is_last;

    do {
        item = list_last(&part->items, struct commit_item, link);
        is_last = item == from;
        list_del(&item->link);
        list_add_head(head, &item->link);
        forget_numbers(item);
    } while (!is_last);
}

/* Of `entry`, in the event `seq`. */
static void number_side(struct commit_part *part, struct commit_item *item,
                        const struct entry *entry, uint64_t seq, int64_t at_us)
{
    struct batch_room *row = &part->row;

    if (!item->side)
        return;
    part->sides[part->n_sides++] = side_block_ref(item->side);
    for (size_t i = 0; i < item->side->n; i++) {
        struct side_op *op = &item->side->ops[i];

        op->seq = op->kind == SIDE_MENTION ? entry->seq : seq;
        op->at_us = at_us;
        part->ops[row->n_ops++] = *op;
    }
}

/* False: no id for it yet. */
static bool number_new(struct commit_part *part, struct commit_item *item, int64_t now_us)
{
    struct batch_room *row = &part->row;
    struct entry *e = item->entry;
    int64_t id;

    if (!ids_take(part->queue->committer, row->last_id, &id))
        return false;
    e->seq = e->updated_seq = ++row->new_seq;
    e->id = row->last_id = id;
    e->created_us = row->last_created_us = commit_next_created_us(row->last_created_us, now_us);
    if (e->kind == ENTRY_MESSAGE)
        row->message_count++;
    e->message_no = row->message_count;
    part->entries[row->n_entries++] = entry_ref(e);
    number_side(part, item, e, e->seq, e->created_us);
    return true;
}

/* The last id tells one part from another that leads to the same seq (an earlier one of this
 * room, lost on the way, may commit late): who makes no new entry takes one all the same. */
static bool name_part(struct commit_part *part)
{
    struct batch_room *row = &part->row;
    int64_t id;

    if (row->last_id != part->queue->head.last_id)
        return true;
    if (!ids_take(part->queue->committer, row->last_id, &id))
        return false;
    row->last_id = id;
    return true;
}

/* False: out of memory, or no id for the part. */
static bool number_change(struct commit_part *part, struct commit_item *item, int64_t now_us)
{
    struct batch_room *row = &part->row;
    struct entry *base = target_newest(item->target);
    int64_t at_us = MAX(now_us, row->last_created_us);
    int r = mutation_apply(item->mutation, base, row->new_seq + 1, at_us, &item->image,
                           &item->error);

    if (r < 0)
        return false;
    if (r > 0) {
        item->state = ITEM_VOID;
        item->verdict = r == MUTATION_NOTHING ? COMMIT_NOTHING : COMMIT_REJECTED;
        item->image = entry_ref(base);
        return true;
    }
    if (!name_part(part)) {
        entry_unref(TAKE(item->image));
        return false;
    }
    row->new_seq++;
    target_stage(item->target, item->image);
    if (item->bears_key) {
        struct batch_key *key = &part->keys[row->n_keys++];

        memcpy(key->key, item->key, DEDUPE_LEN);
        key->seq = row->new_seq;
        key->target = item->image->seq;
    }
    number_side(part, item, item->image, row->new_seq, at_us);
    return true;
}

/* Of each entry that changes the last image, once. */
static void collect_changed(struct commit_part *part)
{
    struct batch_room *row = &part->row;
    struct commit_item *item;

    list_for_each(item, &part->items, link)
    {
        if (item->state == ITEM_NEW && item->target && item->target->staged == item->image)
            part->changed[row->n_changed++] = entry_ref(item->image);
    }
}

static bool make_room(struct commit_part *part)
{
    size_t n = part->n_rows + 1;

    part->entries = calloc(n, sizeof(struct entry *));
    part->changed = calloc(n, sizeof(struct entry *));
    part->keys = calloc(n, sizeof(*part->keys));
    part->sides = calloc(n, sizeof(struct side_block *));
    part->ops = calloc(part->n_ops + 1, sizeof(*part->ops));
    return part->entries && part->changed && part->keys && part->sides && part->ops;
}

static void finish_items(struct commit_part *part)
{
    while (!list_empty(&part->items)) {
        struct commit_item *item = list_first(&part->items, struct commit_item, link);

        /* A repeat follows its first, which is older: by now it is a duplicate. */
        assert(item->state != ITEM_REPEAT && item->state != ITEM_SUSPECT);
        switch (item->state) {
        case ITEM_NEW:
            if (item->target)
                target_commit(item->target);
            item_finish(item, COMMIT_DONE);
            break;
        case ITEM_VOID:
            item_finish(item, item->verdict);
            break;
        case ITEM_REFUSED:
            item_finish(item, COMMIT_REFUSED);
            break;
        case ITEM_DUPLICATE:
        case ITEM_SUSPECT:
        case ITEM_REPEAT:
            item_finish(item, COMMIT_DUPLICATE);
            break;
        }
    }
}

/* Nothing in it takes a number, so there is nothing to wait for. */
static void part_finish_empty(struct commit_part *part)
{
    struct commit_queue *q = part->queue;
    bool is_progress = !list_empty(&part->items);

    finish_items(part);
    q->part = NULL;
    part_free(part);
    queue_advance(q);
    if (is_progress) /* what did not go into the part has its turn now */
        committer_kick_later(q->committer);
}

bool part_build(struct commit_part *part, int64_t now_us)
{
    struct commit_queue *q = part->queue;
    struct batch_room *row = &part->row;
    struct commit_item *item, *tmp;
    bool has_room = make_room(part);

    row->expect_seq = row->new_seq = q->head.last_seq;
    row->last_id = q->head.last_id;
    row->last_created_us = q->head.last_created_us;
    row->message_count = q->head.message_count;
    list_for_each_safe(item, tmp, &part->items, link)
    {
        if (item->state != ITEM_NEW)
            continue;
        if (!has_room || !(item->mutation ? number_change(part, item, now_us)
                                          : number_new(part, item, now_us))) {
            give_back(part, item);
            break;
        }
    }
    collect_changed(part);
    part->n_rows = (size_t)(row->new_seq - row->expect_seq);
    part->n_ops = row->n_ops;
    row->entries = part->entries;
    row->changed = part->changed;
    row->keys = part->keys;
    row->ops = part->ops;
    part->state = PART_WAITING;
    if (IS_BROKEN(BREAK_OUTPUT_GATE) && part->n_rows > 0)
        finish_items(part);
    if (part->n_rows > 0)
        return true;
    part_finish_empty(part);
    return false;
}

void part_committed(struct commit_part *part)
{
    struct commit_queue *q = part->queue;
    size_t rows = MIN(part->n_rows, q->lone_rows);

    q->head = (struct commit_head){part->row.new_seq, part->row.last_id,
                                   part->row.last_created_us, part->row.message_count};
    q->lone_rows -= rows;
    q->lone_limit = q->lone_rows / 2 + 1;
    finish_items(part);
    q->part = NULL;
    part_free(part);
    queue_advance(q);
}

void part_dissolve(struct commit_part *part)
{
    struct commit_queue *q = part->queue;
    struct commit_item *item;

    if (!list_empty(&part->items))
        give_back(part, list_first(&part->items, struct commit_item, link));
    q->part = NULL;
    part_free(part);
    while (!list_empty(&q->items)) {
        item = list_first(&q->items, struct commit_item, link);
        if (!item->answered) /* the older ones are */
            break;
        item_give_up(item); /* its sender knows nothing, and sends it again */
    }
    queue_advance(q);
}

void part_detach(struct commit_part *part)
{
    part->queue = NULL;
    if (part->state != PART_FLIGHT && part->state != PART_PROBING)
        part_free(part);
}
