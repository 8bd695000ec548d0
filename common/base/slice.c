/* slice.c - the slice functions that are not worth inlining. */
#include "common/base/slice.h"

#include <stdlib.h>

bool slice_list_has(struct slice list, struct slice word)
{
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;

        if (slice_eq(slice_of(list.data, len), word))
            return true;
        list = comma ? slice_of(comma + 1, list.len - len - 1) : slice_of(NULL, 0);
    }
    return false;
}

char *slice_dup(struct slice s)
{
    char *copy;

    if (s.len == SIZE_MAX)
        return NULL;
    copy = malloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}
