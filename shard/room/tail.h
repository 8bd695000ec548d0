/*
 * tail.h - the newest part of a room's timeline: what most reads are answered
 * from. Bounded in number and in bytes; holds released (committed) entries only,
 * each in its newest image.
 *
 * It is kept in two orders. By seq: what a page of history or a snapshot needs;
 * without a hole above seq_floor. By touch, that is by updated_seq: what a
 * resuming client has missed; without a hole above floor. The entry that was
 * touched longest ago is the first to go.
 *
 *   by touch   floor | 12  13  11*  15  9*  |          * changed since: touched later than made
 *   by seq  seq_floor| (9) 11  12  13  15 |            9 is older than seq_floor, and extra
 */
#pragma once

#include "shard/room/entry.h"

#define TAIL_NONE UINT32_MAX

struct tail_slot {
    struct entry *entry; /* owned reference */
    uint32_t prev, next; /* by touch; TAIL_NONE at the ends */
    uint32_t chain;      /* next slot with the same bucket; next free slot */
};

struct tail {
    struct tail_slot *slots;
    uint32_t *buckets; /* by dedupe key: first slot of each */
    uint32_t *order;   /* slots by seq; count of them */
    size_t cap;        /* of slots, buckets and order; a power of two, or 0 */
    uint32_t oldest, newest, free;
    size_t count;
    size_t bytes;
    size_t max_len, max_bytes;
    uint64_t floor;     /* every entry with floor < updated_seq is here */
    uint64_t seq_floor; /* every entry with seq_floor < seq is here */
    uint64_t max_seq;   /* largest seq that was ever put in */
};

/* An empty tail: nothing above the floors exists yet. max_len > 0. */
void tail_init(struct tail *tail, size_t max_len, size_t max_bytes, uint64_t floor,
               uint64_t seq_floor);
void tail_deinit(struct tail *tail);

/* The entry in its newest image (takes a reference): a new one, or one that has changed,
 * whether it was here or not. Its updated_seq is the largest so far. Drops the oldest over the
 * bounds. Out of memory: the tail forgets everything, so that reads go to the store; never a
 * hole. */
void tail_put(struct tail *tail, struct entry *e);

/* ---- by seq ---- */

/* The i-th entry, i < count. */
struct entry *tail_at(const struct tail *tail, size_t i);
/* Index of the first entry with seq > after; count when there is none. */
size_t tail_index_after(const struct tail *tail, uint64_t after);
/* True when no entry with seq > after is missing. */
bool tail_has_seqs(const struct tail *tail, uint64_t after);
struct entry *tail_find_seq(const struct tail *tail, uint64_t seq); /* or NULL */
/* Ids rise with seq. */
struct entry *tail_find_id(const struct tail *tail, int64_t id); /* or NULL */

/* ---- by touch ---- */

/* True when no entry touched after this seq is missing. */
bool tail_covers(const struct tail *tail, uint64_t after);
/* The first entry touched after this seq, and the one after that; TAIL_NONE: no more. */
uint32_t tail_touched_after(const struct tail *tail, uint64_t after);
static inline uint32_t tail_next(const struct tail *tail, uint32_t at)
{
    return tail->slots[at].next;
}
static inline struct entry *tail_touched(const struct tail *tail, uint32_t at)
{
    return tail->slots[at].entry;
}

/* The entry with this dedupe key, or NULL. */
struct entry *tail_find(const struct tail *tail, const uint8_t dedupe[DEDUPE_LEN]);
