/*
 * op.h - one numbered client frame from its arrival to its settlement. The
 * frames of an attach are settled in the order of their numbers, whatever
 * order their answers come in; who is ready early keeps his answer here.
 */
#pragma once

#include "common/base/buf.h"
#include "shard/host/attach.h"
#include "shard/host/publish.h"

struct op {
    struct room_request request;
    struct list in_attach; /* attach.ops */
    struct attach *attach; /* NULL: gone, nobody waits for the answer */
    uint64_t n;
    bool is_resent;
    bool is_done;           /* answer is ready */
    bool is_committing;     /* the committer holds it: freed when it comes back */
    struct buf answer;      /* link messages, while one before it is not settled */
    struct slice frame_id;  /* points into bytes */
    struct slice client_id; /* clientMessageId of a change; points into bytes */
    char bytes[];
};

/* Adds an op for frame n at the end of the attach's list. NULL: out of memory. */
struct op *op_new(struct attach *attach, uint64_t n, bool is_resent, struct slice frame_id,
                  struct slice client_id);
/* The attach goes or starts over: its ops have nobody to answer to any more. */
void ops_orphan(struct attach *attach);
/* Nothing before it is unsettled: what it is answered with goes out at once. */
bool op_is_first(const struct op *op);
/* Settles with one frame for the socket (empty: none), or with two; frees the op. */
void op_settle(struct op *op, struct slice first, struct slice second);
/* The same with any number of frames from 1 on. */
void op_settle_all(struct op *op, const struct slice *frames, size_t n);
/* Nobody waits for it any more, or it comes back as another op. Frees the op. */
void op_drop(struct op *op);
/* Will never be settled here: the room leaves, and the gateway sends the frame again to the new
 * owner. Those behind it may be ready, and are not settled either: that would say that this one
 * is. It goes with its attach. */
void op_strand(struct op *op);
