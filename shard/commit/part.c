/*
 * part.c - what one room contributes to a batch: taking items, numbering them,
 * and the two ways back: committed, or known not to be written.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/commit/commit_priv.h"

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
    free(part->entries);
    free(part->ops);
    free(part);
}

/* A user may change once in a part: the order of two changes would be lost. */
static bool has_op_for(const struct commit_part *part, struct slice user)
{
    const struct commit_item *item;

    list_for_each(item, &part->items, link)
    {
        if (item->has_op && slice_eq(item->entry->user, user))
            return true;
    }
    return false;
}

static bool op_fits(const struct commit_part *part, const struct commit_item *item)
{
    return !item->has_op ||
           (part->n_ops < COMMIT_PART_OPS && !has_op_for(part, item->entry->user));
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
            if (!op_fits(part, item))
                return PART_TAKE_ALL;
            if (rows == max_rows || (rows > 0 && bytes + item->bytes > max_bytes))
                return PART_TAKE_MORE;
            rows++;
            bytes += item->bytes;
            part->n_rows++;
            part->bytes += item->bytes;
            part->n_ops += item->has_op;
        }
        list_del(&item->link);
        list_add_tail(&part->items, &item->link);
        item->part = part;
    }
    return PART_TAKE_ALL;
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
        item->part = NULL;
    } while (!is_last);
}

static void number(struct commit_part *part, struct commit_item *item, int64_t id,
                   int64_t now_us)
{
    struct batch_room *row = &part->row;
    struct entry *e = item->entry;

    e->seq = e->updated_seq = ++row->new_seq;
    e->id = row->last_id = id;
    e->created_us = row->last_created_us = commit_next_created_us(row->last_created_us, now_us);
    part->entries[row->n_entries++] = entry_ref(e);
    if (item->has_op)
        part->ops[row->n_ops++] = (struct member_op){e->user, item->op_role, e->created_us};
}

bool part_build(struct commit_part *part, int64_t now_us)
{
    struct commit_queue *q = part->queue;
    struct batch_room *row = &part->row;
    struct commit_item *item, *tmp;
    int64_t id;

    row->expect_seq = row->new_seq = q->head.last_seq;
    row->last_id = q->head.last_id;
    row->last_created_us = q->head.last_created_us;
    part->entries = calloc(part->n_rows, sizeof(struct entry *));
    part->ops = calloc(part->n_ops + 1, sizeof(*part->ops));
    list_for_each_safe(item, tmp, &part->items, link)
    {
        if (item->state != ITEM_NEW)
            continue;
        if (!part->entries || !part->ops || !ids_take(q->committer, row->last_id, &id)) {
            give_back(part, item);
            break;
        }
        number(part, item, id, now_us);
    }
    part->n_rows = row->n_entries;
    part->n_ops = row->n_ops;
    row->entries = part->entries;
    row->ops = part->ops;
    part->state = PART_WAITING;
    if (part->n_rows > 0)
        return true;
    part_dissolve(part);
    return false;
}

void part_committed(struct commit_part *part)
{
    struct commit_queue *q = part->queue;
    size_t rows = MIN(part->n_rows, q->lone_rows);

    q->head =
        (struct commit_head){part->row.new_seq, part->row.last_id, part->row.last_created_us};
    q->lone_rows -= rows;
    q->lone_limit = q->lone_rows / 2 + 1;
    while (!list_empty(&part->items)) {
        struct commit_item *item = list_first(&part->items, struct commit_item, link);

        /* A repeat follows its first, which is older: by now it is a duplicate. */
        assert(item->state != ITEM_REPEAT && item->state != ITEM_SUSPECT);
        if (item->state == ITEM_NEW)
            item_finish(item, COMMIT_DONE);
        else
            item_finish(item, item->state == ITEM_REFUSED ? COMMIT_REFUSED : COMMIT_DUPLICATE);
    }
    q->part = NULL;
    part_free(part);
    queue_advance(q);
}

void part_dissolve(struct commit_part *part)
{
    struct commit_queue *q = part->queue;
    struct commit_item *item, *tmp;

    if (!list_empty(&part->items))
        give_back(part, list_first(&part->items, struct commit_item, link));
    q->part = NULL;
    part_free(part);
    list_for_each_safe(item, tmp, &q->items, link)
    {
        if (!item->answered) /* the older ones are */
            break;
        item_finish(item,
                    COMMIT_UNAVAILABLE); /* its sender knows nothing, and sends it again */
    }
    queue_advance(q);
}

void part_detach(struct commit_part *part)
{
    part->queue = NULL;
    if (part->state != PART_FLIGHT && part->state != PART_PROBING)
        part_free(part);
}
