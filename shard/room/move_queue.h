/*
 * move_queue.h - which rooms of a shard go when: those that wait, the busiest
 * first, and those that are on their way, at most so many at a time. Pure.
 *
 *            add                next                 done, or remove
 *   (out) --------> WAITING ----------> (out), a place taken ----------> place free
 *
 * A place is held by a number, not by the room: it outlives the room until the
 * new owner has it, or until its time is over.
 *
 * How many places there are follows what moves take (move_queue_pace()): one
 * more for each that is fast, half of them when one is slow. Every room stands
 * still for as long as its own move takes, and where claims are the bottleneck
 * more at a time only make each of them slower.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"

/* Rooms within a factor of two go in the order in which they came. */
#define MOVE_RANKS 33
#define MOVE_PLACES_MAX 64

struct move_place {
    uint64_t number; /* 0: free */
    uint64_t since_ms;
};

struct move_queue {
    struct list ranks[MOVE_RANKS]; /* the coldest first */
    size_t n_waiting, n_taken;
    size_t n_places, least, most;
    uint64_t cut_at; /* `count` when places were taken away last */
    uint64_t count;  /* numbers places */
    struct move_place places[MOVE_PLACES_MAX];
};

struct move_node {
    struct list link; /* move_queue.ranks, while it waits */
};

/* 1 <= least <= most <= MOVE_PLACES_MAX. Begins with the least. */
void move_queue_init(struct move_queue *queue, size_t least, size_t most);
void move_node_init(struct move_node *node);
static inline bool move_is_waiting(const struct move_node *node)
{
    return list_linked(&node->link);
}
/* heat: how busy it is. One that waits already keeps its place in the queue. */
void move_queue_add(struct move_queue *queue, struct move_node *node, uint32_t heat);
/* It stays after all, or has ended by itself. Does nothing when it does not wait. */
void move_queue_remove(struct move_queue *queue, struct move_node *node);
/* The busiest one that waits, taken off the queue, and the number of its place. NULL: nobody
 * waits, or every place is taken. */
struct move_node *move_queue_next(struct move_queue *queue, uint64_t now_ms,
                                  uint64_t *ret_number);
/* The place is free again. Answers since when it was taken, or UINT64_MAX when it is not (any
 * more). */
uint64_t move_queue_done(struct move_queue *queue, uint64_t number);
/* The move with this number was fast, or slow. What was sent off before places were last taken
 * away takes none away again. */
void move_queue_pace(struct move_queue *queue, uint64_t number, bool is_fast);
/* Nothing is known of how fast moves are any more. */
void move_queue_forget_pace(struct move_queue *queue);
/* A place that was taken at that time or before, or 0. */
uint64_t move_queue_overdue(const struct move_queue *queue, uint64_t before_ms);
/* When the oldest place was taken; UINT64_MAX: all are free. */
uint64_t move_queue_oldest_ms(const struct move_queue *queue);
