/* timers.c - binary heap of one-shot timers, ordered by (due_ms, order); see timers.h. */
#include "common/base/timers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define TIMERS_FIRST_CAP 16

void timers_init(struct timers *timers)
{
    *timers = (struct timers){0};
}

void timers_deinit(struct timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->slot = 0;
    free(timers->heap);
    timers_init(timers);
}

void timer_init(struct timer *timer, timer_fn fn, void *arg)
{
    *timer = (struct timer){.fn = fn, .arg = arg};
}

bool timer_is_armed(const struct timer *timer)
{
    return timer->slot != 0;
}

static bool timer_is_before(const struct timer *a, const struct timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void timers_place(struct timers *timers, size_t at, struct timer *timer)
{
    timers->heap[at] = timer;
    timer->slot = at + 1;
}

/* Moves the timer from the hole at `at` to where it belongs, up or down. */
static void timers_sift(struct timers *timers, size_t at, struct timer *timer)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (!timer_is_before(timer, timers->heap[parent]))
            break;
        timers_place(timers, at, timers->heap[parent]);
        at = parent;
    }
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timer_is_before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!timer_is_before(timers->heap[child], timer))
            break;
        timers_place(timers, at, timers->heap[child]);
        at = child;
    }
    timers_place(timers, at, timer);
}

static int timers_make_room(struct timers *timers)
{
    size_t cap = timers->cap ? 2 * timers->cap : TIMERS_FIRST_CAP;
    struct timer **heap;

    if (timers->count < timers->cap)
        return 0;
    heap = reallocarray(timers->heap, cap, sizeof(struct timer *));
    if (!heap)
        return -ENOMEM;
    timers->heap = heap;
    timers->cap = cap;
    return 0;
}

int timer_set(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
    size_t at;
    int r;

    if (timer->slot != 0) {
        at = timer->slot - 1;
    } else {
        r = timers_make_room(timers);
        if (r < 0)
            return r;
        at = timers->count++;
    }
    /* Not before now: else a timer that re-arms itself for the past would always be the first
     * one. */
    timer->due_ms = MAX(due_ms, timers->floor_ms);
    timer->order = timers->order++;
    timers_sift(timers, at, timer);
    return 0;
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    struct timer *last;
    size_t at;

    if (timer->slot == 0)
        return;
    at = timer->slot - 1;
    assert(at < timers->count && timers->heap[at] == timer);
    timer->slot = 0;
    last = timers->heap[--timers->count];
    if (last != timer)
        timers_sift(timers, at, last);
}

uint64_t timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->due_ms : UINT64_MAX;
}

size_t timers_run(struct timers *timers, uint64_t now_ms, size_t max)
{
    uint64_t first_new = timers->order; /* set during this call: next time */
    size_t n = 0;

    timers->floor_ms = MAX(timers->floor_ms, now_ms);
    while (n < max && timers->count > 0) {
        struct timer *timer = timers->heap[0];

        if (timer->due_ms > now_ms || timer->order >= first_new)
            break;
        timer_cancel(timers, timer);
        n++;
        timer->fn(timer, timer->arg); /* may free the timer */
    }
    return n;
}
