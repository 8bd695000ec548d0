/*
 * tail.c - see tail.h. A ring of slots that doubles up to max_len, with chains
 * by dedupe key (already a good hash, so its first bytes choose the bucket).
 */
#include "shard/room/tail.h"

#include <assert.h>
#include <stdlib.h>

#define TAIL_FIRST_CAP 16

void tail_init(struct tail *tail, size_t max_len, size_t max_bytes, uint64_t floor)
{
    assert(max_len > 0);
    *tail = (struct tail){.max_len = max_len, .max_bytes = max_bytes, .floor = floor};
}

static size_t slot_of(const struct tail *tail, size_t i)
{
    return (tail->first + i) & (tail->cap - 1);
}

static uint32_t *bucket_of(const struct tail *tail, const uint8_t *dedupe)
{
    uint32_t hash;

    memcpy(&hash, dedupe, sizeof(hash));
    return &tail->buckets[hash & (tail->cap - 1)];
}

static void chain_add(struct tail *tail, size_t slot)
{
    uint32_t *bucket = bucket_of(tail, tail->slots[slot].entry->dedupe);

    tail->slots[slot].next = *bucket;
    *bucket = (uint32_t)slot + 1;
}

static void chain_remove(struct tail *tail, size_t slot)
{
    uint32_t *at = bucket_of(tail, tail->slots[slot].entry->dedupe);

    while (*at != slot + 1)
        at = &tail->slots[*at - 1].next;
    *at = tail->slots[slot].next;
}

static void drop_oldest(struct tail *tail)
{
    struct entry *e = tail->slots[tail->first].entry;

    chain_remove(tail, tail->first);
    tail->floor = e->seq;
    tail->bytes -= entry_size(e);
    tail->first = (tail->first + 1) & (tail->cap - 1);
    tail->count--;
    entry_unref(e);
}

void tail_deinit(struct tail *tail)
{
    while (tail->count > 0)
        drop_oldest(tail);
    free(tail->slots);
    free(tail->buckets);
    tail->slots = NULL;
    tail->buckets = NULL;
    tail->cap = 0;
}

static int grow(struct tail *tail)
{
    size_t cap = tail->cap ? tail->cap * 2 : TAIL_FIRST_CAP;
    struct tail_slot *slots = calloc(cap, sizeof(*slots));
    uint32_t *buckets = calloc(cap, sizeof(*buckets));
    size_t count = tail->count;

    if (!slots || !buckets) {
        free(slots);
        free(buckets);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        slots[i].entry = tail->slots[slot_of(tail, i)].entry;
    free(tail->slots);
    free(tail->buckets);
    tail->slots = slots;
    tail->buckets = buckets;
    tail->cap = cap;
    tail->first = 0;
    for (size_t i = 0; i < count; i++)
        chain_add(tail, i);
    return 0;
}

void tail_push(struct tail *tail, struct entry *e)
{
    size_t slot;

    while (tail->count > 0 &&
           (tail->count >= tail->max_len || tail->bytes + entry_size(e) > tail->max_bytes))
        drop_oldest(tail);
    if (tail->count == tail->cap && grow(tail) < 0) {
        while (tail->count > 0)
            drop_oldest(tail);
        tail->floor = e->seq;
        return;
    }
    slot = slot_of(tail, tail->count);
    tail->slots[slot].entry = entry_ref(e);
    tail->count++;
    tail->bytes += entry_size(e);
    chain_add(tail, slot);
}

struct entry *tail_at(const struct tail *tail, size_t i)
{
    assert(i < tail->count);
    return tail->slots[slot_of(tail, i)].entry;
}

size_t tail_index_after(const struct tail *tail, uint64_t after)
{
    uint64_t first_seq;

    if (tail->count == 0)
        return 0;
    first_seq = tail_at(tail, 0)->seq; /* seqs in the ring have no gaps */
    if (after < first_seq)
        return 0;
    return MIN((size_t)(after - first_seq + 1), tail->count);
}

bool tail_covers(const struct tail *tail, uint64_t after)
{
    return after >= tail->floor;
}

struct entry *tail_find(const struct tail *tail, const uint8_t dedupe[DEDUPE_LEN])
{
    uint32_t at;

    if (tail->count == 0)
        return NULL;
    for (at = *bucket_of(tail, dedupe); at != 0; at = tail->slots[at - 1].next) {
        struct entry *e = tail->slots[at - 1].entry;

        if (memcmp(e->dedupe, dedupe, DEDUPE_LEN) == 0)
            return e;
    }
    return NULL;
}
