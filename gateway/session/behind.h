/*
 * behind.h - a socket that reads too slowly for its room. Its live frames are not
 * queued any more; once the queue has drained its shard catches it up from the
 * log, like after a move. Inside gateway/session only.
 *
 *         over the mark            queue has drained, room for a page
 *   LIVE --------------> BEHIND ------------------------------------> WAITING -> CATCHING ->
 * LIVE |                                                       (caught up)
 *                          +-- takes nothing, or takes too long: closed, slow_consumer
 *
 * To its shard it is live until then: what its client says goes on, and what is
 * answered waits here, so that an answer never precedes the event that it is about.
 */
#pragma once

#include "common/base/buf.h"
#include "common/wire/msg.h"

struct attach;

/* From the first event that was not queued until the socket is live again, also while its room
 * moves. */
struct behind {
    uint64_t since_ms;
    uint64_t progress_ms; /* the client has last taken something */
    size_t queued;        /* as of the last look */
    struct buf held;      /* answers in the client's framing */
    bool is_full;         /* one could not be held: none is from then on */
};

void behind_free(struct behind *behind); /* NULL does nothing */

/* Of a live attach. The client is told, if it is native. The attach may be gone afterwards. */
void behind_mark(struct attach *attach);
/* Something for this one socket, of a shard that takes it for live. False: it is not kept, and
 * the frame that it answers, if it does, stays unsettled, to be sent again. */
bool behind_hold(struct attach *attach, const struct msg_TO_ATTACH *in);
/* The catch-up begins if the queue has drained. */
void behind_start(struct attach *attach);
/* It is live: what was held goes out. The attach may be gone afterwards. */
void behind_end(struct attach *attach);
/* Asks for pages: the client has made room. */
void behind_on_progress(struct attach *attach);
/* False: it has been behind too long, and has been closed. */
bool behind_sweep(struct attach *attach, uint64_t now_ms);
