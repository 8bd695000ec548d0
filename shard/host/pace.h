/*
 * pace.h - whose catch-up goes on next, and when. Thousands of sockets that come at once must
 * not hold up those who are here:
 *
 *   - a turn of the loop gives PACE_TURN_BYTES of catch-ups, then it is the turn of live
 * traffic;
 *   - a link has at most PACE_LINK_BYTES of them that its gateway has not read: what happens in
 *     a room lies behind them. A PING marks what went out before it, its PONG says that all of
 *     it has been read;
 *   - in the same way PACE_REPLY_BYTES of large answers to calls (shard/api/call_turn.h), so
 *     that one tenant's pages of history are not before what happens in another's rooms;
 *   - the store reads PACE_READS_MAX pages for them at a time, so that those who ask for
 * history do not wait behind thousands.
 *
 * Within a gateway those who were live before (re-attach after a move or a broken link:
 * somebody may be waiting for an answer) go before those who are only coming; gateways take
 * turns. What fits goes at once, without a queue.
 */
#pragma once

#include "common/base/env.h"

struct catchup;
struct gate;
struct pace;
struct shard_metrics;

#define PACE_MARKS 16

/* Of one gateway. */
struct gate_pace {
    struct list in_turn;    /* pace.gates: may go on, and has something to */
    struct list waiting[2]; /* struct catchup.in_pace: re-attached ones, others */
    uint64_t given, taken;  /* bytes of catch-ups on this link, and those known to be read */
    uint64_t replied, replies_read; /* the same of large answers */
    uint64_t sent;                  /* bytes of everything, for the difference */
    uint64_t pings, pongs;          /* of this link */
    struct {
        uint64_t ping, given, replied; /* what that PING was behind */
    } marks[PACE_MARKS];               /* not answered yet, a ring */
    unsigned first_mark, n_marks;
};

int pace_new(struct env *env, struct shard_metrics *metrics, struct pace **ret_pace) MUST_CHECK;
void pace_stop(struct pace *pace); /* the host goes */
void pace_unref(struct pace *pace);

/* The catch-up has a next step: now or when it is its turn, catchup_run() is called. */
void pace_enter(struct pace *pace, struct catchup *catchup);
/* What was sent on the gate since `sent` was `before` has been for a catch-up. */
void pace_given(struct pace *pace, struct gate *gate, uint64_t before);

/* It wants a page of the store. True: begin to read, and say pace_read_ended() (also when the
 * catch-up is gone; the pace lives until then). False: it is called when there is room. */
bool pace_may_read(struct pace *pace, struct catchup *catchup);
void pace_read_ended(struct pace *pace);

/* One more large answer may go to this gateway; so many bytes of them have. */
bool pace_may_reply(const struct gate *gate);
void pace_replied(struct gate *gate, size_t bytes);
/* fn is called when a gateway to which no more could go has read some, or its link is gone.
 * NULL: nobody asks any more. */
void pace_on_may_reply(struct pace *pace, void (*fn)(void *arg), void *arg);

/* ---- the gate's ---- */

void gate_pace_init(struct gate_pace *gp);
void gate_pace_reset(struct gate_pace *gp); /* another link, or none */
/* Every PING and PONG of the link. */
void pace_on_ping(struct gate *gate);
void pace_on_pong(struct gate *gate);
