/*
 * fair.h - what waits for a connection or for its time: tenants in turn, each with a
 * bounded number out at a time, so that what one asks for is never a queue for
 * another. Pure.
 *
 * A tenant is a number (a hash of the project); those that fall into one slot
 * share its turn. Which do differs from process to process.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/macros.h"

#define FAIR_SLOTS 256

/* Part of what waits. */
struct fair_item {
    struct list link; /* slot.queue; free for others while it does not wait */
    uint64_t tenant;
};

struct fair {
    struct list ring; /* struct fair_slot: something waits, and may go out */
    struct fair_slot {
        struct list in_ring, queue;
        unsigned out;
    } slots[FAIR_SLOTS];
    unsigned share; /* how many of one slot may be out; 0: any number */
    size_t n;       /* that wait */
};

void fair_init(struct fair *fair, unsigned share);

static inline bool fair_is_empty(const struct fair *fair)
{
    return fair->n == 0;
}
/* One of this tenant may go out now. */
bool fair_may_go(const struct fair *fair, uint64_t tenant);
void fair_push(struct fair *fair, struct fair_item *item);
/* The next that may go out, which waits no more; NULL: none. */
struct fair_item *fair_pop(struct fair *fair);
/* Waits no more: it has come to its deadline. */
void fair_remove(struct fair *fair, struct fair_item *item);
/* One of this tenant goes out; has come back. */
void fair_out(struct fair *fair, uint64_t tenant);
void fair_back(struct fair *fair, uint64_t tenant);
/* Nothing is out any more: the connection is lost. */
void fair_reset(struct fair *fair);
/* All that wait, out of the queue and into this list (by their links). */
void fair_drain(struct fair *fair, struct list *ret_items);
/* The oldest of each slot, one after the other. */
void fair_each_first(struct fair *fair, void (*fn)(struct fair_item *item, void *arg),
                     void *arg);
