/* outq.c - queue of blob references: see outq.h. */
#include "common/net/outq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct blob **outq_ring(struct outq *q)
{
    return q->slots ? q->slots : q->few;
}

static struct blob *outq_at(const struct outq *q, uint32_t i)
{
    uint32_t slot = (q->head + i) & (q->cap - 1);

    return q->slots ? q->slots[slot] : q->few[slot];
}

void outq_init(struct outq *q)
{
    *q = (struct outq){.cap = OUTQ_INLINE};
}

static void outq_reset(struct outq *q)
{
    free(q->slots);
    outq_init(q);
}

void outq_deinit(struct outq *q)
{
    for (uint32_t i = 0; i < q->count; i++)
        blob_unref(outq_at(q, i));
    outq_reset(q);
}

static int outq_grow(struct outq *q)
{
    uint32_t cap = q->cap * 4;
    struct blob **slots;

    if (cap < q->cap)
        return -ENOMEM;
    slots = malloc(cap * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = 0; i < q->count; i++)
        slots[i] = outq_at(q, i);
    free(q->slots);
    q->slots = slots;
    q->cap = cap;
    q->head = 0;
    return 0;
}

int outq_push(struct outq *q, struct blob *blob)
{
    if (blob->len == 0)
        return 0;
    if (q->count == q->cap) {
        int r = outq_grow(q);

        if (r < 0)
            return r;
    }
    outq_ring(q)[(q->head + q->count) & (q->cap - 1)] = blob_ref(blob);
    q->count++;
    return 0;
}

int outq_peek(const struct outq *q, struct iovec *iov, int max, size_t *ret_bytes)
{
    size_t bytes = 0;
    int n = 0;

    for (; n < max && (uint32_t)n < q->count; n++) {
        struct blob *blob = outq_at(q, (uint32_t)n);
        uint32_t skip = n == 0 ? q->sent : 0;

        iov[n].iov_base = blob->data + skip;
        iov[n].iov_len = blob->len - skip;
        bytes += iov[n].iov_len;
    }
    *ret_bytes = bytes;
    return n;
}

void outq_advance(struct outq *q, size_t bytes)
{
    while (bytes > 0) {
        struct blob *blob = outq_at(q, 0);
        size_t left = blob->len - q->sent;

        assert(q->count > 0);
        if (bytes < left) {
            q->sent += (uint32_t)bytes;
            return;
        }
        bytes -= left;
        q->sent = 0;
        q->head = (q->head + 1) & (q->cap - 1);
        q->count--;
        blob_unref(blob);
    }
    if (q->count == 0 && q->slots)
        outq_reset(q);
}
