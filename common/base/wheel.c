/* wheel.c - slot = due tick modulo WHEEL_SLOTS; entries of a later round stay in their slot. */
#include "common/base/wheel.h"

#include <assert.h>

/* Entries may set or cancel themselves and others while the slot is walked: it is emptied into
 * a list of its own. */
static void run_slot(struct wheel *wheel)
{
    struct list *slot = &wheel->slots[wheel->tick % WHEEL_SLOTS];
    struct list batch;

    list_init(&batch);
    list_splice_tail(&batch, slot);
    while (!list_empty(&batch)) {
        struct wheel_entry *entry = list_first(&batch, struct wheel_entry, link);

        list_del(&entry->link);
        if (entry->due > wheel->tick)
            list_add_tail(slot, &entry->link);
        else
            entry->fn(entry);
    }
}

static void wheel_on_tick(struct timer *timer, void *arg)
{
    struct wheel *wheel = arg;
    uint64_t ticks_by_now = (env_now_ms(wheel->env) - wheel->started_ms) / WHEEL_TICK_MS;
    /* After a long stall each slot is looked at once; due times are compared with the tick
     * reached. */
    uint64_t behind = ticks_by_now - wheel->tick;

    if (behind > WHEEL_SLOTS)
        wheel->tick = ticks_by_now - WHEEL_SLOTS;
    while (wheel->tick < ticks_by_now) {
        wheel->tick++;
        run_slot(wheel);
    }
    /* The heap has just given up this timer's place, so arming it again cannot lack memory. */
    int r = env_timer(wheel->env, timer, WHEEL_TICK_MS);
    assert(r == 0);
}

int wheel_init(struct wheel *wheel, struct env *env)
{
    *wheel = (struct wheel){.env = env, .started_ms = env_now_ms(env)};
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    timer_init(&wheel->timer, wheel_on_tick, wheel);
    return env_timer(env, &wheel->timer, WHEEL_TICK_MS);
}

void wheel_deinit(struct wheel *wheel)
{
    env_timer_cancel(wheel->env, &wheel->timer);
}

void wheel_entry_init(struct wheel_entry *entry, wheel_fn fn)
{
    list_init(&entry->link);
    entry->fn = fn;
    entry->due = 0;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t delay_ms)
{
    uint64_t at_ms = env_now_ms(wheel->env) - wheel->started_ms + delay_ms;

    list_del(&entry->link);
    entry->due = at_ms / WHEEL_TICK_MS + 1;
    list_add_tail(&wheel->slots[entry->due % WHEEL_SLOTS], &entry->link);
}

void wheel_cancel(struct wheel_entry *entry)
{
    list_del(&entry->link);
}
