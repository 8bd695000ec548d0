/*
 * newest.h - collects the newest live messages of a room for a snapshot, from
 * the newest backwards, bounded in number and in bytes; further down, within
 * wider bounds, where a hole is to be closed.
 */
#pragma once

#include "shard/limits.h"
#include "shard/room/tail.h"

struct newest {
    struct entry *entries[SNAPSHOT_REACH_MAX]; /* borrowed; at the end, oldest first */
    size_t n, limit;
    bool has_reach; /* messages above `reach` are wanted beyond the limit */
    uint64_t reach;
    struct slice viewer;     /* whispers to others are passed by */
    int64_t now_us;          /* what has expired by then, too */
    const struct tail *tail; /* where a newer image of an entry may be; NULL: nowhere */
    size_t bytes;
    bool is_cut; /* there are older ones that did not fit */
};

/* Oldest first, n of them. */
static inline struct entry *const *newest_entries(const struct newest *newest)
{
    return newest->entries + (SNAPSHOT_REACH_MAX - newest->n);
}
/* True when it wants nothing below this seq any more. */
bool newest_is_full(const struct newest *newest, uint64_t seq);
/* Adds the next older entry, in its newest image; one that is no live message, or not the
 * viewer's to see, is passed by. False: full. */
bool newest_add(struct newest *newest, struct entry *e);
/* From the tail, down to (but without) seq `above`. */
void newest_from_tail(struct newest *newest, const struct tail *tail, uint64_t above);
