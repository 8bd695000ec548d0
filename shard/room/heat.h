/*
 * heat.h - how busy a room is: a count of what happens in it that fades, by half
 * every HEAT_HALF_MS. Says which rooms go first when a shard hands over. Pure.
 */
#pragma once

#include <stdint.h>

#define HEAT_HALF_MS 2000u
/* One event; what is left of it after a while is still a whole number. */
#define HEAT_UNIT 256u

struct heat {
    uint64_t at_ms; /* as of then, */
    uint32_t value; /* so much */
};

static inline uint32_t heat_now(const struct heat *heat, uint64_t now_ms)
{
    uint64_t halves = now_ms > heat->at_ms ? (now_ms - heat->at_ms) / HEAT_HALF_MS : 0;

    return halves >= 32 ? 0 : heat->value >> halves;
}

static inline void heat_add(struct heat *heat, uint64_t now_ms)
{
    uint64_t past_ms = now_ms > heat->at_ms ? now_ms - heat->at_ms : 0;
    uint32_t left = heat_now(heat, now_ms);

    /* The rest of a half is not lost: it counts with the next one. */
    heat->at_ms += past_ms - past_ms % HEAT_HALF_MS;
    heat->value = left > UINT32_MAX - HEAT_UNIT ? UINT32_MAX : left + HEAT_UNIT;
}
