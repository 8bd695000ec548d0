/* trace.c - trace ids from headers or from randomness; see trace.h. */
#include "common/base/trace.h"

#include "common/base/codec.h"

#define TRACEPARENT_LEN 55 /* vv-(32 hex)-(16 hex)-ff */
#define TRACE_HEX 32
#define SPAN_HEX 16

bool trace_id_is_valid(struct slice s)
{
    if (s.len < 1 || s.len > TRACE_ID_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

static bool is_lower_hex(struct slice s, bool *ret_zero)
{
    bool zero = true;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        zero = zero && c == '0';
    }
    *ret_zero = zero;
    return true;
}

bool traceparent_parse(struct slice header, struct slice *ret_trace_id)
{
    struct slice version, trace_id, span_id, flags;
    bool zero;

    if (header.len < TRACEPARENT_LEN)
        return false;
    version = slice_of(header.data, 2);
    trace_id = slice_of(header.data + 3, TRACE_HEX);
    span_id = slice_of(header.data + 36, SPAN_HEX);
    flags = slice_of(header.data + 53, 2);
    if (header.data[2] != '-' || header.data[35] != '-' || header.data[52] != '-')
        return false;
    if (!is_lower_hex(version, &zero) || slice_eq_str(version, "ff"))
        return false;
    if (header.len > TRACEPARENT_LEN && (zero || header.data[TRACEPARENT_LEN] != '-'))
        return false; /* only later versions go on */
    if (!is_lower_hex(flags, &zero))
        return false;
    if (!is_lower_hex(span_id, &zero) || zero || !is_lower_hex(trace_id, &zero) || zero)
        return false;
    *ret_trace_id = trace_id;
    return true;
}

void trace_begin(struct trace *trace, struct slice x_trace_id, struct slice traceparent,
                 const uint8_t random[16])
{
    struct slice id;

    if (trace_id_is_valid(x_trace_id))
        id = x_trace_id;
    else if (!traceparent_parse(traceparent, &id))
        id = (struct slice){0};
    if (id.len > 0) {
        memcpy(trace->id, id.data, id.len);
        trace->id[id.len] = '\0';
    } else {
        hex_encode(random, 16, trace->id);
    }
}
