/*
 * slice.h - a borrowed run of bytes. Never owns, never ends in NUL; whoever
 * hands one out says how long it stays valid.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data; /* may be NULL when len is 0 */
    size_t len;
};

#define SLICE_LIT(s) ((struct slice){(s), sizeof(s) - 1})

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){(const char *)data, len};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

/* Whether a list of words with commas between them has the word. */
bool slice_list_has(struct slice list, struct slice word);

/* A fresh NUL-terminated copy, or NULL when out of memory. */
char *slice_dup(struct slice s);
