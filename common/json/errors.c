/* errors.c - error words, their statuses and their JSON body; see errors.h. */
#include "common/json/errors.h"

#include <stdio.h>

#include "common/base/macros.h"
#include "common/json/json_write.h"

static const struct error_info infos[] = {
#define ERR(code, status, retryable, title) [ERROR_##code] = {#code, title, status, retryable},
#include "common/json/errors.def"
#undef ERR
};

const struct error_info *error_info(enum error_code code)
{
    if ((unsigned)code >= ARRAY_LEN(infos) || !infos[code].code)
        return &infos[ERROR_internal_error];
    return &infos[code];
}

enum error_code error_code_parse(struct slice word)
{
    for (size_t i = 1; i < ARRAY_LEN(infos); i++)
        if (slice_eq_str(word, infos[i].code))
            return (enum error_code)i;
    return ERROR_NONE;
}

/* Empty: the service had no text of its own for it. */
static struct slice old_text(enum error_code code, struct slice detail)
{
    switch (code) {
    case ERROR_muted:
        return SLICE_LIT("You are muted and cannot send messages right now.");
    case ERROR_banned:
        return SLICE_LIT("You have been banned from this room.");
    case ERROR_message_not_found:
        return SLICE_LIT("message not found");
    case ERROR_invalid_json:
        return SLICE_LIT("Invalid message format or internal error");
    case ERROR_bad_request:
        return detail;
    default:
        return slice_of(NULL, 0);
    }
}

struct slice error_frame_text(char text[ERROR_TEXT_MAX], enum error_code code,
                              struct slice detail, uint64_t retry_after_ms)
{
    const char *word = error_info(code)->code;
    struct slice old = old_text(code, detail);
    int len;

    if (old.len > 0)
        return old;
    if (retry_after_ms > 0)
        len = snprintf(text, ERROR_TEXT_MAX, "%s: retry in %llus", word,
                       (unsigned long long)(retry_after_ms + 999) / 1000);
    else
        len = snprintf(text, ERROR_TEXT_MAX, "%s%s%.*s", word, detail.len > 0 ? ": " : "",
                       (int)detail.len, detail.len > 0 ? detail.data : "");
    return slice_of(text, MIN((size_t)len, (size_t)ERROR_TEXT_MAX - 1));
}

void error_body_write(struct buf *out, enum error_code code, struct slice detail,
                      struct slice trace_id)
{
    const struct error_info *info = error_info(code);
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "error", slice_str(info->code));
    json_field_str_opt(&w, "traceId", trace_id);
    /* RFC 9457 section 3.1.1: a name that need not resolve. */
    json_write_key(&w, "type");
    buf_put_str(out, "\"urn:fluxychat:error:");
    buf_put_str(out, info->code);
    buf_put_char(out, '"');
    w.need_comma = true;
    json_field_str(&w, "title", slice_str(info->title));
    json_field_u64(&w, "status", info->status);
    json_field_str(&w, "detail", detail.len > 0 ? detail : slice_str(info->title));
    json_write_object_end(&w);
}

void error_body_add_trace(struct buf *out, struct slice body, struct slice trace_id)
{
    size_t start = out->len;
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    if (!json_write_members(&w, body)) {
        out->len = MIN(start, out->len);
        buf_put_slice(out, body);
        return;
    }
    json_field_str_opt(&w, "traceId", trace_id);
    json_write_object_end(&w);
}
