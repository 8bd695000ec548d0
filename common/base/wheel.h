/*
 * wheel.h - coarse timeouts for very many connections: one shared timer, whole
 * ticks, 40 bytes per entry. For the ends of idleness and silence, where a
 * second more does not matter and a heap timer per connection would cost memory.
 */
#pragma once

#include "common/base/env.h"

#define WHEEL_SLOTS 128
#define WHEEL_TICK_MS 500u

struct wheel_entry;
typedef void (*wheel_fn)(struct wheel_entry *entry);

struct wheel_entry {
    struct list link;
    wheel_fn fn;
    uint64_t due; /* tick */
};

struct wheel {
    struct env *env;
    struct timer timer;
    uint64_t tick; /* since wheel_init(), those already run */
    uint64_t started_ms;
    struct list slots[WHEEL_SLOTS];
};

int wheel_init(struct wheel *wheel, struct env *env) MUST_CHECK;
void wheel_deinit(struct wheel *wheel); /* entries still linked must not be used any more */

void wheel_entry_init(struct wheel_entry *entry, wheel_fn fn);
/* Arms or re-arms: fn runs once, at the earliest in delay_ms, at the latest a tick and a turn
 * later. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t delay_ms);
void wheel_cancel(struct wheel_entry *entry);
static inline bool wheel_is_set(const struct wheel_entry *entry)
{
    return list_linked(&entry->link);
}
