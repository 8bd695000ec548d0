/*
 * generations.h - of which numbers a room counts, and which cursors name them.
 *
 * When another database server than before answers (failover, restore), the end
 * of what the room once was may be missing there, and its numbers are given out
 * again. So the room goes on in a new generation, which has everything up to
 * `forked_at` in common with the one before. Clients send back generation and
 * seq. Pure.
 */
#pragma once

#include "common/base/slice.h"

#define GENERATION_TEXT_MAX 20u

struct generations {
    uint64_t forked_at;
    uint8_t current_len, before_len; /* before: 0, there is none */
    char current[GENERATION_TEXT_MAX], before[GENERATION_TEXT_MAX];
};

/* The opaque text of a generation, as clients see it. */
struct slice generation_format(uint64_t generation, char ret[GENERATION_TEXT_MAX]);
/* forked_from 0: none. */
void generations_set(struct generations *g, uint64_t generation, uint64_t forked_from,
                     uint64_t forked_at);
static inline struct slice generations_current(const struct generations *g)
{
    return slice_of(g->current, g->current_len);
}
/* May a client go on from there? A cursor without a generation is believed. */
bool generations_know(const struct generations *g, struct slice generation, uint64_t seq);
