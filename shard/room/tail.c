/*
 * tail.c - see tail.h. Slots in one array that doubles up to max_len, linked by
 * touch, listed by seq, chained by dedupe key (already a good hash, so its first
 * bytes choose the bucket).
 */
#include "shard/room/tail.h"

#include <assert.h>
#include <stdlib.h>

#define TAIL_FIRST_CAP 16

void tail_init(struct tail *tail, size_t max_len, size_t max_bytes, uint64_t floor,
               uint64_t seq_floor)
{
    assert(max_len > 0);
    *tail = (struct tail){.max_len = max_len,
                          .max_bytes = max_bytes,
                          .floor = floor,
                          .seq_floor = seq_floor,
                          .max_seq = seq_floor,
                          .oldest = TAIL_NONE,
                          .newest = TAIL_NONE,
                          .free = TAIL_NONE};
}

/* ---- chains of equal buckets ---- */

static uint32_t *bucket_of(const struct tail *tail, const uint8_t *dedupe)
{
    uint32_t hash;

    memcpy(&hash, dedupe, sizeof(hash));
    return &tail->buckets[hash & (tail->cap - 1)];
}

static void chain_add(struct tail *tail, uint32_t slot)
{
    uint32_t *bucket = bucket_of(tail, tail->slots[slot].entry->dedupe);

    tail->slots[slot].chain = *bucket;
    *bucket = slot;
}

static void chain_remove(struct tail *tail, uint32_t slot)
{
    uint32_t *at = bucket_of(tail, tail->slots[slot].entry->dedupe);

    while (*at != slot)
        at = &tail->slots[*at].chain;
    *at = tail->slots[slot].chain;
}

/* ---- order by touch ---- */

static void touch_remove(struct tail *tail, uint32_t slot)
{
    struct tail_slot *s = &tail->slots[slot];

    if (s->prev == TAIL_NONE)
        tail->oldest = s->next;
    else
        tail->slots[s->prev].next = s->next;
    if (s->next == TAIL_NONE)
        tail->newest = s->prev;
    else
        tail->slots[s->next].prev = s->prev;
}

static void touch_add(struct tail *tail, uint32_t slot)
{
    struct tail_slot *s = &tail->slots[slot];

    s->prev = tail->newest;
    s->next = TAIL_NONE;
    if (tail->newest == TAIL_NONE)
        tail->oldest = slot;
    else
        tail->slots[tail->newest].next = slot;
    tail->newest = slot;
}

/* ---- order by seq ---- */

struct entry *tail_at(const struct tail *tail, size_t i)
{
    assert(i < tail->count);
    return tail->slots[tail->order[i]].entry;
}

size_t tail_index_after(const struct tail *tail, uint64_t after)
{
    size_t low = 0, high = tail->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tail_at(tail, middle)->seq <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void order_insert(struct tail *tail, size_t i, uint32_t slot)
{
    memmove(&tail->order[i + 1], &tail->order[i], (tail->count - i) * sizeof(tail->order[0]));
    tail->order[i] = slot;
    tail->count++;
}

static void order_remove(struct tail *tail, uint64_t seq)
{
    size_t i = tail_index_after(tail, seq) - 1;

    tail->count--;
    memmove(&tail->order[i], &tail->order[i + 1], (tail->count - i) * sizeof(tail->order[0]));
}

/* ---- dropping ---- */

static void drop_oldest(struct tail *tail)
{
    uint32_t slot = tail->oldest;
    struct entry *e = tail->slots[slot].entry;

    touch_remove(tail, slot);
    chain_remove(tail, slot);
    order_remove(tail, e->seq);
    tail->floor = e->updated_seq;
    tail->seq_floor = MAX(tail->seq_floor, e->seq);
    tail->bytes -= entry_size(e);
    tail->slots[slot].chain = tail->free;
    tail->free = slot;
    entry_unref(e);
}

static void forget_all(struct tail *tail, const struct entry *newest)
{
    while (tail->count > 0)
        drop_oldest(tail);
    tail->floor = newest->updated_seq;
    tail->seq_floor = tail->max_seq;
}

void tail_deinit(struct tail *tail)
{
    while (tail->count > 0)
        drop_oldest(tail);
    free(tail->slots);
    free(tail->buckets);
    free(tail->order);
    tail->slots = NULL;
    tail->buckets = NULL;
    tail->order = NULL;
    tail->cap = 0;
    tail->free = TAIL_NONE;
}

/* ---- putting ---- */

static int grow(struct tail *tail)
{
    size_t cap = tail->cap ? tail->cap * 2 : TAIL_FIRST_CAP;
    struct tail_slot *slots = calloc(cap, sizeof(*slots));
    uint32_t *buckets = malloc(cap * sizeof(*buckets));
    uint32_t *order = calloc(cap, sizeof(*order));

    if (!slots || !buckets || !order) {
        free(slots);
        free(buckets);
        free(order);
        return -1;
    }
    if (tail->cap > 0) {
        memcpy(slots, tail->slots, tail->cap * sizeof(*slots));
        memcpy(order, tail->order, tail->count * sizeof(*order));
    }
    for (size_t i = tail->cap; i < cap; i++) {
        slots[i].chain = tail->free;
        tail->free = (uint32_t)i;
    }
    memset(buckets, 0xff, cap * sizeof(*buckets)); /* TAIL_NONE */
    free(tail->slots);
    free(tail->buckets);
    free(tail->order);
    tail->slots = slots;
    tail->buckets = buckets;
    tail->order = order;
    tail->cap = cap;
    for (size_t i = 0; i < tail->count; i++)
        chain_add(tail, tail->order[i]);
    return 0;
}

/* The newer image of an entry that is here. */
static void replace(struct tail *tail, uint32_t slot, struct entry *e)
{
    struct entry *old = tail->slots[slot].entry;

    tail->bytes = tail->bytes - entry_size(old) + entry_size(e);
    tail->slots[slot].entry = entry_ref(e); /* the key stays the same, so the chain does too */
    entry_unref(old);
    touch_remove(tail, slot);
    touch_add(tail, slot);
}

static void insert(struct tail *tail, size_t i, struct entry *e)
{
    uint32_t slot = tail->free;

    tail->free = tail->slots[slot].chain;
    tail->slots[slot].entry = entry_ref(e);
    tail->bytes += entry_size(e);
    chain_add(tail, slot);
    touch_add(tail, slot);
    order_insert(tail, i, slot);
}

static void put_new(struct tail *tail, struct entry *e)
{
    while (tail->count > 0 &&
           (tail->count >= tail->max_len || tail->bytes + entry_size(e) > tail->max_bytes))
        drop_oldest(tail);
    if (tail->count == tail->cap && grow(tail) < 0)
        forget_all(tail, e);
    else
        insert(tail, tail_index_after(tail, e->seq), e);
}

void tail_put(struct tail *tail, struct entry *e)
{
    size_t i = tail_index_after(tail, e->seq);

    tail->max_seq = MAX(tail->max_seq, e->seq);
    if (i == 0 || tail_at(tail, i - 1)->seq != e->seq) {
        put_new(tail, e);
        return;
    }
    replace(tail, tail->order[i - 1], e);
    while (tail->count > 1 && tail->bytes > tail->max_bytes)
        drop_oldest(tail);
}

/* ---- finding ---- */

bool tail_has_seqs(const struct tail *tail, uint64_t after)
{
    return after >= tail->seq_floor;
}

bool tail_covers(const struct tail *tail, uint64_t after)
{
    return after >= tail->floor;
}

struct entry *tail_find_seq(const struct tail *tail, uint64_t seq)
{
    size_t i = tail_index_after(tail, seq);

    return i > 0 && tail_at(tail, i - 1)->seq == seq ? tail_at(tail, i - 1) : NULL;
}

struct entry *tail_find_id(const struct tail *tail, int64_t id)
{
    size_t low = 0, high = tail->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tail_at(tail, middle)->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tail->count && tail_at(tail, low)->id == id ? tail_at(tail, low) : NULL;
}

uint32_t tail_touched_after(const struct tail *tail, uint64_t after)
{
    uint32_t at = TAIL_NONE, before = tail->newest;

    while (before != TAIL_NONE && tail_touched(tail, before)->updated_seq > after) {
        at = before;
        before = tail->slots[before].prev;
    }
    return at;
}

struct entry *tail_find(const struct tail *tail, const uint8_t dedupe[DEDUPE_LEN])
{
    uint32_t at;

    if (tail->count == 0)
        return NULL;
    for (at = *bucket_of(tail, dedupe); at != TAIL_NONE; at = tail->slots[at].chain) {
        if (memcmp(tail->slots[at].entry->dedupe, dedupe, DEDUPE_LEN) == 0)
            return tail->slots[at].entry;
    }
    return NULL;
}
