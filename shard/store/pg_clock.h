/*
 * pg_clock.h - how far PostgreSQL's clock is ahead of ours. A question and its answer tell it
 * to half the time that they took, which on a busy machine is more than most messages are
 * apart, so the quickest of them counts until another might be as good: both clocks drift.
 * (The rule is that of NTP's clock filter, RFC 5905 section 10.)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shard/limits.h"

/* All zero: nothing known. Microseconds. */
struct pg_clock {
    int64_t offset_us; /* the server's clock minus ours */
    int64_t error_us;  /* it was so, plus or minus this; 0: not known */
    int64_t at_us;     /* by our clock */
};

/* Asked at asked_us, answered with theirs_us, heard at now_us. True: the offset is taken over.
 */
static inline bool pg_clock_take(struct pg_clock *clock, int64_t asked_us, int64_t theirs_us,
                                 int64_t now_us)
{
    int64_t took_us = now_us > asked_us ? now_us - asked_us : 0;
    int64_t error_us = took_us / 2 + 1;
    int64_t drift_us = (now_us - clock->at_us) / (1000000 / PG_CLOCK_DRIFT_PPM);

    if (clock->error_us > 0 && error_us > clock->error_us + drift_us)
        return false;
    *clock = (struct pg_clock){.offset_us = theirs_us - (asked_us + took_us / 2),
                               .error_us = error_us,
                               .at_us = now_us};
    return true;
}
