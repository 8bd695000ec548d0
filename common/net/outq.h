/*
 * outq.h - the output of one stream: references to blobs in order, and how
 * much of the first one has gone out. Two references fit without allocation,
 * which is all that an idle or quick connection ever needs; more live in a
 * heap array that is given back when the queue runs empty.
 *
 * Pure: moves no bytes to the kernel, only says which are next.
 */
#pragma once

#include <sys/uio.h>

#include "common/base/blob.h"

#define OUTQ_INLINE 2 /* power of two */

struct outq {
    struct blob **slots; /* ring of cap references; NULL: few[] is the ring */
    struct blob *few[OUTQ_INLINE];
    uint32_t head;  /* index of the first in use */
    uint32_t count; /* references in use */
    uint32_t cap;   /* power of two */
    uint32_t sent;  /* bytes of the first that are gone */
};

void outq_init(struct outq *q);
void outq_deinit(struct outq *q);                            /* drops what is queued */
int outq_push(struct outq *q, struct blob *blob) MUST_CHECK; /* takes a reference; -ENOMEM */
static inline bool outq_empty(const struct outq *q)
{
    return q->count == 0;
}
/* Fills iov with what is next, at most max entries; returns how many, and their bytes. */
int outq_peek(const struct outq *q, struct iovec *iov, int max, size_t *ret_bytes);
void outq_advance(struct outq *q, size_t bytes); /* these bytes are gone */
