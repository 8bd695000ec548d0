/* ratelim.c - token bucket as one instant; see ratelim.h. */
#include "common/base/ratelim.h"

#include <assert.h>

#include "common/base/macros.h"

struct ratelim_rule ratelim_rule(uint64_t count, uint64_t window_ms)
{
    uint64_t interval_us;

    if (count == 0)
        return (struct ratelim_rule){0};
    interval_us = window_ms * 1000 / count;
    return (struct ratelim_rule){
        .interval_us = interval_us ? interval_us : 1,
        .burst = count,
    };
}

/* How much of the bucket is used up, as time until it is full; never more than a whole bucket.
 */
static uint64_t used_us(const struct ratelim *limit, const struct ratelim_rule *rule,
                        uint64_t now_us)
{
    if (limit->full_us <= now_us)
        return 0;
    return MIN(limit->full_us - now_us, rule->interval_us * rule->burst);
}

bool ratelim_take(struct ratelim *limit, const struct ratelim_rule *rule, uint64_t now_ms,
                  uint64_t n, uint64_t *ret_retry_ms)
{
    uint64_t now_us = now_ms * 1000;
    uint64_t used, want, size;

    if (rule->interval_us == 0)
        return true;
    assert(n <= rule->burst);
    size = rule->interval_us * rule->burst;
    used = used_us(limit, rule, now_us);
    want = used + n * rule->interval_us;
    if (want > size) {
        limit->full_us = now_us + used; /* forgets a clock that was ahead */
        if (ret_retry_ms)
            *ret_retry_ms = (want - size + 999) / 1000;
        return false;
    }
    limit->full_us = now_us + want;
    return true;
}

uint64_t ratelim_left(const struct ratelim *limit, const struct ratelim_rule *rule,
                      uint64_t now_ms)
{
    uint64_t used;

    if (rule->interval_us == 0)
        return UINT64_MAX;
    used = used_us(limit, rule, now_ms * 1000);
    return rule->burst - (used + rule->interval_us - 1) / rule->interval_us;
}

bool ratelim_is_idle(const struct ratelim *limit, uint64_t now_ms)
{
    return limit->full_us <= now_ms * 1000;
}
