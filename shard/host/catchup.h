/*
 * catchup.h - gives a socket what it has missed: the snapshot on connect, the
 * replay of a cursor, or the missed live frames after a re-attach; from the
 * tail where it reaches, else from the store, a page at a time, the next only
 * when the socket has drained.
 */
#pragma once

#include "shard/host/attach.h"

struct op;

/* On connect, by the attach's flags. Ends in attach_become_live(). -ENOMEM. */
int catchup_start(struct attach *attach) MUST_CHECK;
/* For a `resume` frame of a live socket: settles the op with the last page. Begins when what
 * was sent before it is settled. -ENOMEM: the op is not touched. */
int catchup_resume(struct attach *attach, struct op *op, uint64_t last_seq,
                   struct slice generation) MUST_CHECK;
/* A frame of the attach has been settled. */
void catchup_on_settled(struct attach *attach);
/* The socket has drained. */
void catchup_more(struct catchup *catchup);
/* The attach goes or starts over. */
void catchup_cancel(struct attach *attach);
