/*
 * timers.h - one-shot timers in a heap, pure: time comes in as an argument.
 * The event loop (or the simulator) asks timers_next() how long to wait and
 * calls timers_run(). A timer is embedded in its owner, who cancels it before
 * going away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/macros.h"

struct timer;
typedef void (*timer_fn)(struct timer *timer, void *arg);

struct timer {
    uint64_t due_ms; /* on the monotonic clock */
    uint64_t order;  /* equal due times run in the order in which they were set */
    size_t slot;     /* heap index + 1; 0 = not armed */
    timer_fn fn;
    void *arg;
};

struct timers {
    struct timer **heap;
    size_t count, cap;
    uint64_t order;
    uint64_t
        floor_ms; /* now_ms of the newest timers_run(); an earlier due time counts as this */
};

void timers_init(struct timers *timers);
void timers_deinit(struct timers *timers); /* disarms all */
void timer_init(struct timer *timer, timer_fn fn, void *arg);
bool timer_is_armed(const struct timer *timer);
/* Arms or re-arms for an absolute monotonic time. -ENOMEM: not armed. */
int timer_set(struct timers *timers, struct timer *timer, uint64_t due_ms) MUST_CHECK;
void timer_cancel(struct timers *timers, struct timer *timer); /* not armed: nothing */
/* When the earliest timer is due; UINT64_MAX without one. */
uint64_t timers_next(const struct timers *timers);
/* Runs at most max timers that are due at now_ms; a timer re-armed from its own callback for a
 * time <= now_ms waits for the next call. Returns how many ran. */
size_t timers_run(struct timers *timers, uint64_t now_ms, size_t max);
