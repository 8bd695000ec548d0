/*
 * idempotency.h - a call with a client's Idempotency-Key is run once: the key
 * is written down before it begins, the answer of a success before it is sent,
 * and who comes again within a day gets that answer. A refusal has changed
 * nothing, so its key is free again.
 *
 * The gateway's own retries of one call (a move, a broken link) bear the same
 * CALL.key, by which they are told from a client's. When a shard dies between
 * the commit and the kept answer, the key is taken over after a while, and the
 * change is recognised by its own key in the room, which is made of the
 * client's (call_new()).
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/slice.h"

struct call;

enum idempotency_state {
    IDEMPOTENCY_NONE,     /* no key */
    IDEMPOTENCY_CHECKING, /* asking who has used it */
    IDEMPOTENCY_RUNNING,  /* ours: the handler runs */
    IDEMPOTENCY_ENDING,   /* the answer is there and is being written down */
    IDEMPOTENCY_ENDED,
};

struct idempotency {
    enum idempotency_state state;
    struct slice client_key, request, own_key; /* point into the call */
    bool replayed;
    /* ENDING: the answer */
    unsigned status;
    uint64_t retry_after_ms;
    struct buf body;
};

/* Runs the call (call_run()), or answers it with what is known of the key. */
void idempotency_begin(struct call *call);
/* The call has an answer. True: it is taken, and call_send() comes later. */
bool idempotency_take(struct call *call, unsigned status, struct slice body,
                      uint64_t retry_after_ms);
