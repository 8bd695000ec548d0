/*
 * pg_fair.h - requests that wait for a connection: tenants in turn, each with a
 * bounded number out at a time, so that what one asks for is never a queue for
 * another. Pure.
 *
 * A tenant is a number (a hash of the project); those that fall into one slot
 * share its turn. Which do differs from process to process.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/macros.h"

#define PG_FAIR_SLOTS 256

/* Part of what waits. */
struct pg_fair_item {
    struct list link; /* slot.queue; free for others while it does not wait */
    uint64_t tenant;
};

struct pg_fair {
    struct list ring; /* struct pg_fair_slot: something waits, and may go out */
    struct pg_fair_slot {
        struct list in_ring, queue;
        unsigned out;
    } slots[PG_FAIR_SLOTS];
    unsigned share; /* how many of one slot may be out; 0: any number */
    size_t n;       /* that wait */
};

void pg_fair_init(struct pg_fair *fair, unsigned share);

static inline bool pg_fair_is_empty(const struct pg_fair *fair)
{
    return fair->n == 0;
}
/* One of this tenant may go out now. */
bool pg_fair_may_go(const struct pg_fair *fair, uint64_t tenant);
void pg_fair_push(struct pg_fair *fair, struct pg_fair_item *item);
/* The next that may go out, which waits no more; NULL: none. */
struct pg_fair_item *pg_fair_pop(struct pg_fair *fair);
/* Waits no more: it has come to its deadline. */
void pg_fair_remove(struct pg_fair *fair, struct pg_fair_item *item);
/* One of this tenant goes out; has come back. */
void pg_fair_out(struct pg_fair *fair, uint64_t tenant);
void pg_fair_back(struct pg_fair *fair, uint64_t tenant);
/* Nothing is out any more: the connection is lost. */
void pg_fair_reset(struct pg_fair *fair);
/* All that wait, out of the queue and into this list (by their links). */
void pg_fair_drain(struct pg_fair *fair, struct list *ret_items);
/* The oldest of each slot, one after the other. */
void pg_fair_each_first(struct pg_fair *fair, void (*fn)(struct pg_fair_item *item, void *arg),
                        void *arg);
