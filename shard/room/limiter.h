/*
 * limiter.h - message rates of the users of one room: a token bucket per user
 * and way in; changes of messages (by either way) have one of their own. Pure, time is an
 * argument. A user who has not written for long costs nothing.
 */
#pragma once

#include "common/base/map.h"
#include "common/base/ratelim.h"

enum limiter_way { LIMITER_SOCKET, LIMITER_REST, LIMITER_CHANGE, LIMITER_WAYS };

struct limiter {
    struct map by_user;
    struct ratelim_rule rule;
};

/* per_minute: messages a user may send in a minute, all of them at once. 0: no limit. */
void limiter_init(struct limiter *limiter, uint64_t per_minute);
void limiter_deinit(struct limiter *limiter);
/* Another rate from now on. Who has to wait does not wait longer than a minute because of it.
 */
void limiter_set_rate(struct limiter *limiter, uint64_t per_minute);

/* One message in so many seconds; 0: no limit. */
void limiter_set_pause(struct limiter *limiter, uint32_t seconds);

/* Takes a token. 0: done; > 0: none left, milliseconds until there is one. Out of memory lets
 * it pass. */
uint64_t limiter_take(struct limiter *limiter, struct slice user, enum limiter_way way,
                      uint64_t now_ms);
/* Gives a token back: what it was taken for turned out to be a repeat. */
void limiter_refund(struct limiter *limiter, struct slice user, enum limiter_way way,
                    uint64_t now_ms);
/* Forgets users whose buckets are full again. */
void limiter_prune(struct limiter *limiter, uint64_t now_ms);
