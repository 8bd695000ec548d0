/*
 * ratelim.h - token bucket in eight bytes. Pure: time is an argument, integers
 * only. The bucket is kept as the instant at which it would be full again, so
 * nothing has to be refilled by a timer.
 *
 * A clock that goes back (or garbage in the state) costs at most one full
 * bucket of waiting, never a lock-out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ratelim {
    uint64_t full_us; /* when the bucket is full again; 0 = full */
};

struct ratelim_rule {
    uint64_t interval_us; /* one token comes back after this long; 0: no limit */
    uint64_t burst;       /* tokens in a full bucket */
};

/* `count` per window_ms, all of which may come at once. count 0: no limit. */
struct ratelim_rule ratelim_rule(uint64_t count, uint64_t window_ms);
/* Takes n tokens (n <= burst), or none of them: false, and *ret_retry_ms (may be NULL) says
 * after how long they would be there. */
bool ratelim_take(struct ratelim *limit, const struct ratelim_rule *rule, uint64_t now_ms,
                  uint64_t n, uint64_t *ret_retry_ms);
/* Whole tokens that are there now. */
uint64_t ratelim_left(const struct ratelim *limit, const struct ratelim_rule *rule,
                      uint64_t now_ms);
/* True when the bucket is full, that is when its owner may be forgotten. */
bool ratelim_is_idle(const struct ratelim *limit, uint64_t now_ms);
