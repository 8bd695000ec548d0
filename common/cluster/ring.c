/* ring.c - the consistent hash ring: see ring.h. */
#include "common/cluster/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct ring_point {
    uint64_t hash;
    uint32_t member;
};

struct ring {
    uint32_t refs;
    struct ring_identity identity;
    struct buf encoded; /* the members' slices point into it */
    struct ring_member *members;
    size_t n_members;
    struct ring_point *points; /* in the order of hashes */
    size_t n_points;
};

int ring_identity_compare(struct ring_identity a, struct ring_identity b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    if (a.hash != b.hash)
        return a.hash < b.hash ? -1 : 1;
    return 0;
}

static uint64_t ring_hash(struct slice s)
{
    return XXH3_64bits_withSeed(s.len ? s.data : "", s.len, RING_SEED);
}

/* ---- members ---- */

static bool ring_id_is_valid(struct slice id)
{
    if (id.len == 0 || id.len > NODE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

static bool ring_address_is_valid(struct slice address)
{
    if (address.len == 0 || address.len > LINK_ADDRESS_MAX)
        return false;
    for (size_t i = 0; i < address.len; i++) {
        if (address.data[i] <= ' ' || address.data[i] > '~')
            return false;
    }
    return true;
}

int ring_compare_ids(struct slice a, struct slice b)
{
    size_t len = MIN(a.len, b.len);
    int order = len ? memcmp(a.data, b.data, len) : 0;

    if (order != 0)
        return order;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static int ring_compare_members(const void *a, const void *b)
{
    const struct ring_member *x = a, *y = b;

    return ring_compare_ids(x->id, y->id);
}

/* The members must be in order already. */
static int ring_check(const struct ring_member *members, size_t n)
{
    size_t weight = 0;

    for (size_t i = 0; i < n; i++) {
        const struct ring_member *m = &members[i];

        if (!ring_id_is_valid(m->id) || !ring_address_is_valid(m->address) || m->weight < 1 ||
            m->weight > RING_WEIGHT_MAX)
            return -EINVAL;
        if (i > 0 && ring_compare_ids(members[i - 1].id, m->id) >= 0)
            return -EINVAL;
        weight += m->weight;
    }
    return weight > RING_TOTAL_WEIGHT_MAX ? -E2BIG : 0;
}

/* ---- encoding ---- */

static void ring_put_number(struct buf *buf, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buf_put_char(buf, (char)(v >> (8 * i)));
}

static void ring_encode(struct buf *buf, const struct ring_member *members, size_t n)
{
    ring_put_number(buf, n, 2);
    for (size_t i = 0; i < n; i++) {
        const struct ring_member *m = &members[i];

        ring_put_number(buf, m->id.len, 1);
        buf_put_slice(buf, m->id);
        ring_put_number(buf, m->address.len, 2);
        buf_put_slice(buf, m->address);
        ring_put_number(buf, m->incarnation, 8);
        ring_put_number(buf, m->weight, 1);
        ring_put_number(buf, m->draining, 1);
    }
}

/* What is left of an encoding; taking more than there is sticks. */
struct ring_cursor {
    struct slice rest;
    bool bad;
};

static struct slice ring_take(struct ring_cursor *c, size_t len)
{
    struct slice s = {c->rest.data, len};

    if (c->bad || len > c->rest.len) {
        c->bad = true;
        return (struct slice){"", 0};
    }
    c->rest.data += len;
    c->rest.len -= len;
    return s;
}

static uint64_t ring_take_number(struct ring_cursor *c, size_t bytes)
{
    struct slice s = ring_take(c, bytes);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++)
        v |= (uint64_t)(unsigned char)s.data[i] << (8 * i);
    return v;
}

/* Fills members, whose slices point into encoded. */
static int ring_parse(struct slice encoded, struct ring_member *members, size_t max,
                      size_t *ret_n)
{
    struct ring_cursor c = {.rest = encoded};
    uint64_t n = ring_take_number(&c, 2);

    if (c.bad || n > max)
        return -EBADMSG;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t draining;

        members[i].id = ring_take(&c, ring_take_number(&c, 1));
        members[i].address = ring_take(&c, ring_take_number(&c, 2));
        members[i].incarnation = ring_take_number(&c, 8);
        members[i].weight = (uint32_t)ring_take_number(&c, 1);
        draining = ring_take_number(&c, 1);
        if (c.bad || draining > 1)
            return -EBADMSG;
        members[i].draining = draining == 1;
    }
    *ret_n = n;
    return c.rest.len == 0 ? 0 : -EBADMSG;
}

/* ---- points ---- */

static int ring_compare_points(const void *a, const void *b)
{
    const struct ring_point *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->member < y->member ? -1 : x->member > y->member;
}

static bool ring_all_drain(const struct ring *ring)
{
    for (size_t i = 0; i < ring->n_members; i++) {
        if (!ring->members[i].draining)
            return false;
    }
    return true;
}

static int ring_build_points(struct ring *ring)
{
    bool all = ring_all_drain(ring);
    size_t n = 0;

    for (size_t i = 0; i < ring->n_members; i++)
        n += (size_t)ring->members[i].weight * RING_POINTS;
    if (n == 0)
        return 0;
    ring->points = malloc(n * sizeof(*ring->points));
    if (!ring->points)
        return -ENOMEM;
    for (size_t i = 0; i < ring->n_members; i++) {
        const struct ring_member *m = &ring->members[i];

        if (m->draining && !all)
            continue;
        for (uint32_t v = 0; v < m->weight * RING_POINTS; v++) {
            char name[NODE_ID_MAX + 12];
            int len = snprintf(name, sizeof(name), "%.*s#%u", (int)m->id.len, m->id.data, v);

            ring->points[ring->n_points++] =
                (struct ring_point){ring_hash(slice_of(name, (size_t)len)), (uint32_t)i};
        }
    }
    qsort(ring->points, ring->n_points, sizeof(*ring->points), ring_compare_points);
    return 0;
}

/* ---- making one ---- */

/* members: sorted and checked; they are encoded, and read back so that their slices point into
 * the ring. */
static int ring_build(uint64_t epoch, const struct ring_member *members, size_t n,
                      struct ring **ret_ring)
{
    AUTO(ring_unref) struct ring *ring = calloc(1, sizeof(*ring));
    int r;

    if (!ring)
        return -ENOMEM;
    ring->refs = 1;
    ring->encoded = BUF_INIT;
    ring_encode(&ring->encoded, members, n);
    ring->members = calloc(MAX(n, (size_t)1), sizeof(*ring->members));
    if (buf_failed(&ring->encoded) || !ring->members)
        return -ENOMEM;
    r = ring_parse(buf_slice(&ring->encoded), ring->members, n, &ring->n_members);
    assert(r == 0);
    ring->identity = (struct ring_identity){epoch, ring_hash(buf_slice(&ring->encoded))};
    r = ring_build_points(ring);
    if (r < 0)
        return r;
    *ret_ring = TAKE(ring);
    return 0;
}

int ring_new(uint64_t epoch, const struct ring_member *members, size_t n,
             struct ring **ret_ring)
{
    struct ring_member sorted[RING_MEMBERS_MAX];
    int r;

    if (n > RING_MEMBERS_MAX)
        return -E2BIG;
    if (epoch > RING_EPOCH_MAX)
        return -EINVAL;
    if (n > 0)
        memcpy(sorted, members, n * sizeof(*members));
    qsort(sorted, n, sizeof(*sorted), ring_compare_members);
    r = ring_check(sorted, n);
    return r < 0 ? r : ring_build(epoch, sorted, n, ret_ring);
}

int ring_decode(uint64_t epoch, struct slice encoded, struct ring **ret_ring)
{
    struct ring_member members[RING_MEMBERS_MAX];
    size_t n;
    int r;

    r = ring_parse(encoded, members, RING_MEMBERS_MAX, &n);
    if (r < 0 || epoch > RING_EPOCH_MAX || ring_check(members, n) < 0)
        return -EBADMSG;
    return ring_build(epoch, members, n, ret_ring);
}

struct ring *ring_ref(const struct ring *ring)
{
    struct ring *shared =
        (struct ring *)(uintptr_t)ring; /* the count is not part of what is immutable */

    shared->refs++;
    return shared;
}

void ring_unref(struct ring *ring)
{
    if (!ring || --ring->refs > 0)
        return;
    buf_deinit(&ring->encoded);
    free(ring->members);
    free(ring->points);
    free(ring);
}

/* ---- looking ---- */

struct ring_identity ring_identity(const struct ring *ring)
{
    return ring->identity;
}

size_t ring_count(const struct ring *ring)
{
    return ring->n_members;
}

const struct ring_member *ring_at(const struct ring *ring, size_t i)
{
    assert(i < ring->n_members);
    return &ring->members[i];
}

const struct ring_member *ring_find(const struct ring *ring, struct slice id)
{
    for (size_t i = 0; i < ring->n_members; i++) {
        if (slice_eq(ring->members[i].id, id))
            return &ring->members[i];
    }
    return NULL;
}

const struct ring_member *ring_owner(const struct ring *ring, struct slice object)
{
    uint64_t hash = ring_hash(object);
    size_t low = 0, high = ring->n_points;

    if (ring->n_points == 0)
        return NULL;
    while (low < high) { /* the first point at or after hash */
        size_t mid = low + (high - low) / 2;

        if (ring->points[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    return &ring->members[ring->points[low == ring->n_points ? 0 : low].member];
}

struct slice ring_encoded(const struct ring *ring)
{
    return buf_slice(&ring->encoded);
}
