/*
 * generations.h - of which numbers a room counts, and which cursors name them.
 *
 * When another database server than before answers (failover, restore), the end
 * of what the room once was may be missing there, and its numbers are given out
 * again. So the room goes on in a new generation, which has everything up to
 * `forked_at` in common with the one before. Clients send back generation and
 * seq. A cursor between two pages of a catch-up says so in its text: below it
 * may be what the next page would have brought, because it had changed; when a
 * failover takes that change back, no page brings it any more. Pure.
 */
#pragma once

#include "common/base/slice.h"

#define GENERATION_TEXT_MAX 20u

struct generations {
    uint64_t forked_at;
    uint8_t current_len, before_len;   /* before: 0, there is none */
    char current[GENERATION_TEXT_MAX]; /* GENERATION_PARTIAL is behind it */
    char before[GENERATION_TEXT_MAX];
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
/* The text for a cursor between two pages. */
static inline struct slice generations_partial(const struct generations *g)
{
    return slice_of(g->current, g->current_len + 1u);
}
/* Is it ours, in either form? */
bool generations_is_current(const struct generations *g, struct slice generation);
/* May a client go on from there? A cursor without a generation is believed. */
bool generations_know(const struct generations *g, struct slice generation, uint64_t seq);
