/*
 * tail.h - the newest entries of a room, in seq order: what most reads are
 * answered from. Bounded in number and in bytes; holds released (committed)
 * entries only. Finds entries by their dedupe key.
 */
#pragma once

#include "shard/room/entry.h"

struct tail_slot {
    struct entry *entry;
    uint32_t next; /* next slot with the same bucket, + 1; 0: none */
};

struct tail {
    struct tail_slot *slots; /* ring of cap slots */
    uint32_t *buckets;       /* first slot of a bucket, + 1 */
    size_t cap;              /* power of two, or 0 */
    size_t first, count;
    size_t bytes;
    size_t max_len, max_bytes;
    uint64_t floor; /* every entry with floor < seq <= head is here */
};

/* An empty tail above seq `floor`. max_len > 0. */
void tail_init(struct tail *tail, size_t max_len, size_t max_bytes, uint64_t floor);
void tail_deinit(struct tail *tail);

/* Appends the entry (takes a reference) and drops the oldest over the bounds. Its seq is one
 * above the last. Out of memory: the tail forgets everything, so that reads go to the store;
 * never a hole. */
void tail_push(struct tail *tail, struct entry *e);

/* The i-th entry from the oldest, i < count. */
struct entry *tail_at(const struct tail *tail, size_t i);
/* Index of the first entry with seq > after; count when there is none. */
size_t tail_index_after(const struct tail *tail, uint64_t after);
/* True when no entry above `after` is missing. */
bool tail_covers(const struct tail *tail, uint64_t after);
/* The entry with this dedupe key, or NULL. */
struct entry *tail_find(const struct tail *tail, const uint8_t dedupe[DEDUPE_LEN]);
