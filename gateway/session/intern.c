/* intern.c - shared texts; see intern.h. */
#include "gateway/session/intern.h"

#include <stdlib.h>

static bool text_eq(const struct map_node *node, const void *key)
{
    return slice_eq(intern_slice(container_of(node, struct intern_text, node)),
                    *(const struct slice *)key);
}

struct intern_text *intern_get(struct map *map, struct slice text)
{
    uint64_t hash = hash_slice(text);
    struct map_node *node = map_find(map, hash, text_eq, &text);
    struct intern_text *t;

    if (node) {
        t = container_of(node, struct intern_text, node);
        t->refs++;
        return t;
    }
    if (text.len > UINT32_MAX)
        return NULL;
    t = malloc(sizeof(*t) + text.len);
    if (!t)
        return NULL;
    t->map = map;
    t->refs = 1;
    t->len = (uint32_t)text.len;
    if (text.len > 0)
        memcpy(t->data, text.data, text.len);
    if (map_insert(map, &t->node, hash) < 0) {
        free(t);
        return NULL;
    }
    return t;
}

void intern_put(struct intern_text *text)
{
    if (!text || --text->refs > 0)
        return;
    map_remove(text->map, &text->node);
    free(text);
}
