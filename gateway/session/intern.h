/*
 * intern.h - one copy of a text that many sessions share: project ids, role
 * lists. Reference-counted; the last release forgets it.
 */
#pragma once

#include "common/base/map.h"

struct intern_text {
    struct map_node node;
    struct map *map;
    uint32_t refs;
    uint32_t len;
    char data[];
};

/* One more reference to the text, or NULL: out of memory. */
struct intern_text *intern_get(struct map *map, struct slice text);
void intern_put(struct intern_text *text); /* NULL does nothing */

static inline struct slice intern_slice(const struct intern_text *text)
{
    return slice_of(text->data, text->len);
}
