/* move_queue.c - see move_queue.h. */
#include "shard/room/move_queue.h"

#include <assert.h>

void move_queue_init(struct move_queue *queue, size_t least, size_t most)
{
    assert(least > 0 && least <= most && most <= MOVE_PLACES_MAX);
    *queue = (struct move_queue){.least = least, .most = most, .n_places = least};
    for (size_t i = 0; i < MOVE_RANKS; i++)
        list_init(&queue->ranks[i]);
}

void move_node_init(struct move_node *node)
{
    list_init(&node->link);
}

static size_t rank_of(uint32_t heat)
{
    return heat ? 32 - (size_t)__builtin_clz(heat) : 0;
}

void move_queue_add(struct move_queue *queue, struct move_node *node, uint32_t heat)
{
    if (move_is_waiting(node))
        return;
    list_add_tail(&queue->ranks[rank_of(heat)], &node->link);
    queue->n_waiting++;
}

void move_queue_remove(struct move_queue *queue, struct move_node *node)
{
    if (!move_is_waiting(node))
        return;
    list_del(&node->link);
    queue->n_waiting--;
}

static uint64_t take_place(struct move_queue *queue, uint64_t now_ms)
{
    for (size_t i = 0; i < queue->most; i++) {
        struct move_place *place = &queue->places[i];

        if (place->number)
            continue;
        *place = (struct move_place){++queue->count, now_ms};
        queue->n_taken++;
        return place->number;
    }
    return 0;
}

struct move_node *move_queue_next(struct move_queue *queue, uint64_t now_ms,
                                  uint64_t *ret_number)
{
    if (queue->n_waiting == 0 || queue->n_taken >= queue->n_places)
        return NULL;
    for (size_t i = MOVE_RANKS; i-- > 0;) {
        struct move_node *node;

        if (list_empty(&queue->ranks[i]))
            continue;
        node = list_first(&queue->ranks[i], struct move_node, link);
        move_queue_remove(queue, node);
        *ret_number = take_place(queue, now_ms);
        return node;
    }
    return NULL;
}

uint64_t move_queue_done(struct move_queue *queue, uint64_t number)
{
    for (size_t i = 0; number && i < queue->most; i++) {
        struct move_place *place = &queue->places[i];
        uint64_t since_ms = place->since_ms;

        if (place->number != number)
            continue;
        *place = (struct move_place){0};
        queue->n_taken--;
        return since_ms;
    }
    return UINT64_MAX;
}

void move_queue_pace(struct move_queue *queue, uint64_t number, bool is_fast)
{
    if (is_fast) {
        queue->n_places += queue->n_places < queue->most;
    } else if (number > queue->cut_at) {
        queue->cut_at = queue->count;
        queue->n_places /= 2;
        if (queue->n_places < queue->least)
            queue->n_places = queue->least;
    }
}

void move_queue_forget_pace(struct move_queue *queue)
{
    queue->n_places = queue->least;
}

uint64_t move_queue_overdue(const struct move_queue *queue, uint64_t before_ms)
{
    for (size_t i = 0; i < queue->most; i++)
        if (queue->places[i].number && queue->places[i].since_ms <= before_ms)
            return queue->places[i].number;
    return 0;
}

uint64_t move_queue_oldest_ms(const struct move_queue *queue)
{
    uint64_t oldest_ms = UINT64_MAX;

    for (size_t i = 0; i < queue->most; i++)
        if (queue->places[i].number && queue->places[i].since_ms < oldest_ms)
            oldest_ms = queue->places[i].since_ms;
    return oldest_ms;
}
