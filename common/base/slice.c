/* slice.c - the one slice function that is not worth inlining. */
#include "common/base/slice.h"

#include <stdlib.h>

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
