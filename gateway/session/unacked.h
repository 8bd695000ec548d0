/*
 * unacked.h - the client frames of one attach that its shard has not settled
 * yet, oldest first. Pure: no link, no clock.
 *
 *   frames:  n=7  n=8  n=9  -    -         "-": never sent, no number yet
 *                      ^next               first one not sent on the present link
 *
 * A frame gets its number when it is sent for the first time and keeps it: the
 * number is part of its idempotency key.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/macros.h"
#include "common/base/slice.h"

struct unacked_frame {
    struct list link;
    uint64_t n;        /* 0: never sent */
    uint64_t since_ms; /* when the client sent it */
    uint32_t len;
    char json[];
};

struct unacked {
    struct list frames;
    struct unacked_frame *next; /* NULL: all have been sent on this link */
    uint32_t count;
    uint32_t bytes;
};

struct unacked *unacked_new(void);    /* NULL: out of memory */
void unacked_free(struct unacked *u); /* NULL does nothing */
DEFINE_AUTO(struct unacked, unacked_free)

int unacked_push(struct unacked *u, struct slice json,
                 uint64_t now_ms) MUST_CHECK; /* -ENOMEM */
/* Forgets every sent frame with a number up to n. */
void unacked_settle(struct unacked *u, uint64_t n);
/* A new link: everything is to be sent again. */
void unacked_rewind(struct unacked *u);
/* The frame to be sent next has been sent under this number. */
void unacked_sent(struct unacked *u, uint64_t n);
/* The oldest frame, if it came before that time; else NULL. */
struct unacked_frame *unacked_oldest(struct unacked *u, uint64_t before_ms);
void unacked_drop_oldest(struct unacked *u);

/* Over UNACKED_MAX_*: the socket is not read until it has room again (half of them: no
 * flutter). */
bool unacked_is_over(const struct unacked *u);
bool unacked_has_room(const struct unacked *u);

static inline bool unacked_is_empty(const struct unacked *u)
{
    return list_empty(&u->frames);
}
static inline struct slice unacked_json(const struct unacked_frame *frame)
{
    return slice_of(frame->json, frame->len);
}
