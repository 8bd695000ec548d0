/* generations.c - see generations.h. */
#include "shard/room/generations.h"

#include <stdio.h>

#include "common/wire/msg.h"

struct slice generation_format(uint64_t generation, char ret[GENERATION_TEXT_MAX])
{
    int len = snprintf(ret, GENERATION_TEXT_MAX, "g%llx", (unsigned long long)generation);

    return slice_of(ret, (size_t)len);
}

void generations_set(struct generations *g, uint64_t generation, uint64_t forked_from,
                     uint64_t forked_at)
{
    g->forked_at = forked_at;
    g->current_len = (uint8_t)generation_format(generation, g->current).len;
    g->current[g->current_len] = GENERATION_PARTIAL;
    g->before_len =
        forked_from > 0 ? (uint8_t)generation_format(forked_from, g->before).len : 0;
}

bool generations_is_current(const struct generations *g, struct slice generation)
{
    return slice_eq(generation, generations_current(g)) ||
           slice_eq(generation, generations_partial(g));
}

bool generations_know(const struct generations *g, struct slice generation, uint64_t seq)
{
    if (generation.len == 0 || generations_is_current(g, generation))
        return true;
    return g->before_len > 0 && slice_eq(generation, slice_of(g->before, g->before_len)) &&
           seq <= g->forked_at;
}
