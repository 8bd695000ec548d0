/*
 * trace.h - the id that follows a request through gateway and shard. Taken
 * from the request (X-Trace-Id, or the trace id of a W3C traceparent), else
 * made from random bytes. Pure.
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/slice.h"

struct trace {
    char id[TRACE_ID_MAX + 1];
};

/* [A-Za-z0-9_.-]{1,64}: nothing that could break a log line or a header. */
bool trace_id_is_valid(struct slice s);
/* The 32 hex digits of the trace id in a traceparent header (W3C Trace Context, version 00 and
 * later). */
bool traceparent_parse(struct slice header, struct slice *ret_trace_id);
/* Either header may be empty or nonsense; x_trace_id goes first. random: used when neither
 * gives an id. */
void trace_begin(struct trace *trace, struct slice x_trace_id, struct slice traceparent,
                 const uint8_t random[16]);

static inline struct slice trace_slice(const struct trace *trace)
{
    return slice_str(trace->id);
}
