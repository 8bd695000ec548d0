/*
 * call_turn.h - calls with large answers, which are made from memory, take turns:
 * so many bytes in one turn of the loop, and not more than a gateway reads
 * (shard/host/pace.h), tenants one after the other. Without it
 * hundreds of history pages that arrive together would be one long turn, and one
 * tenant's would stand before another's.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/fair.h"

struct call;
struct host;
struct pace;

struct call_turns {
    struct env *env;
    struct pace *pace;   /* says when a gateway has read its answers */
    struct fair waiting; /* struct call.turn */
    size_t bytes;        /* of answers in this turn */
    struct later end_of_turn;
    struct timer go_on;
};

void call_turns_init(struct call_turns *turns, struct host *host); /* which lives longer */
void call_turns_stop(struct call_turns *turns);                    /* nothing waits any more */

/* Runs the call: now, or when it is its turn. */
void call_turn_enter(struct call *call);
/* It is over. */
void call_turn_leave(struct call *call);
/* Bytes of its answer. */
void call_turn_given(struct call *call, size_t bytes);
