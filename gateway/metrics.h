/*
 * metrics.h - the counters of a gateway: plain numbers in one struct that main
 * owns and every part borrows. The admin port turns metrics.def into text.
 */
#pragma once

#include <stdint.h>

#define CALL_OP_SLOTS 32 /* call numbers are below this; see calls.def */

struct gateway_metrics {
#define METRIC(field, kind, name, labels, help) uint64_t field;
#include "gateway/metrics.def"
#undef METRIC
    /* Per operation of calls.def: fluxy_calls_total, fluxy_call_errors_total (status >= 500),
     * fluxy_call_ms_total. */
    struct {
        uint64_t done, errors, ms;
    } calls[CALL_OP_SLOTS];
};
