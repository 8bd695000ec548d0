/*
 * calls.h - requests to shards: REST and look-ups. A call goes to the owner of
 * its object (or to any shard), is looked up again when the owner has moved or
 * the link breaks, always with the same idempotency key, and ends exactly once:
 * with the shard's reply or, at its deadline, with an error made here.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"
#include "common/wire/msg.h"

struct call;
struct calls;
struct gateway_metrics;
struct link_pool;

/* Answer of calls_start(): as many calls are pending as may be; 503 `overloaded`. */
enum calls_answer { CALLS_OVERLOADED = 1 };

/* Everything is copied. */
struct call_params {
    enum call_op op;
    struct slice object; /* ring name of the owner, or empty: any shard */
    struct slice project, user;
    struct slice roles;               /* comma-separated */
    struct slice key;                 /* idempotency key; empty: one of our own is made */
    struct slice params;              /* JSON object */
    struct slice data;                /* of operations that have some */
    struct slice client_key, request; /* see MSG CALL */
    struct slice trace;
    uint32_t deadline_ms; /* 0: CALL_DEADLINE_MS */
    bool once; /* what it does must not be done twice and nothing remembers that it was: not
                  sent again when the link breaks, its outcome is unknown then */
};

struct call_reply {
    unsigned status; /* HTTP status, never 421 */
    struct slice
        body; /* JSON of the shard, valid during the callback; empty when error is set */
    struct slice data;       /* likewise, of operations that have some */
    const char *error;       /* NULL, or the word of errors.def when the answer was made here:
                              * unavailable (never sent) or outcome_unknown (sent, unanswered) */
    uint32_t retry_after_ms; /* 0: none */
    bool replayed;           /* see MSG REPLY */
};

/* Called exactly once, never before calls_start() has returned; the call is gone afterwards. */
typedef void (*call_done_fn)(void *arg, const struct call_reply *reply);

/* env, pool and metrics are borrowed and outlive the calls. Takes the call side of the pool's
 * events. */
int calls_new(struct env *env, struct link_pool *pool, struct gateway_metrics *metrics,
              struct calls **ret_calls) MUST_CHECK;
void calls_free(
    struct calls *calls); /* NULL does nothing; pending calls are dropped without a callback */
DEFINE_AUTO(struct calls, calls_free)

/* 0; CALLS_OVERLOADED; -ENOMEM. *ret_call is for call_cancel() and valid until fn is called. */
int calls_start(struct calls *calls, const struct call_params *params, call_done_fn fn,
                void *arg, struct call **ret_call) MUST_CHECK;
/* fn will not be called; what the shard does with it is unknown. NULL does nothing. */
void call_cancel(struct call *call);
size_t calls_pending(const struct calls *calls);
