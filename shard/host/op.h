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
    bool is_done;          /* answer is ready */
    bool is_committing;    /* the committer holds it: freed when it comes back */
    struct buf answer;     /* link messages, while one before it is not settled */
    struct slice frame_id; /* points into bytes */
    char bytes[];
};

/* Adds an op for frame n at the end of the attach's list. NULL: out of memory. */
struct op *op_new(struct attach *attach, uint64_t n, bool is_resent, struct slice frame_id);
/* The attach goes or starts over: its ops have nobody to answer to any more. */
void ops_orphan(struct attach *attach);
/* Settles with one frame for the socket (empty: none), or with two; frees the op. */
void op_settle(struct op *op, struct slice first, struct slice second);
/* Will never be settled here: the gateway sends the frame again to the new owner. Frees the op.
 */
void op_drop(struct op *op);
