/* params.c - see params.h. */
#include "gateway/api/params.h"

#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/utf8.h"
#include "gateway/http/uri.h"

enum { PARAM_ABSENT = 1 };

/* 0, PARAM_ABSENT, or <0: malformed. */
static int get(const struct api_request *req, const char *name, struct buf *out)
{
    int r = uri_query_get(http_request_query(&req->ex->request), name, out);

    return r == URI_ABSENT ? PARAM_ABSENT : r;
}

static bool refuse(struct api_request *req, enum error_code code, const char *name)
{
    api_reply_error(req, code, slice_str(name));
    return false;
}

bool api_param_number(struct api_request *req, struct json_writer *w, const char *name,
                      uint64_t min, uint64_t max, enum error_code code)
{
    AUTO_BUF text = BUF_INIT;
    uint64_t v = 0;
    int r = get(req, name, &text);

    if (r == PARAM_ABSENT)
        return true;
    if (r < 0 || text.len == 0 || text.len > 18)
        return refuse(req, code, name);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return refuse(req, code, name);
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (v < min || v > max)
        return refuse(req, code, name);
    json_field_u64(w, name, v);
    return true;
}

bool api_param_time(struct api_request *req, struct json_writer *w, const char *name)
{
    AUTO_BUF text = BUF_INIT;
    int64_t us;
    int r = get(req, name, &text);

    if (r == PARAM_ABSENT)
        return true;
    if (r < 0 || time_parse(buf_slice(&text), &us) < 0)
        return refuse(req, ERROR_bad_request, name);
    json_field_str(w, name, buf_slice(&text));
    return true;
}

bool api_param_text(struct api_request *req, struct json_writer *w, const char *name,
                    size_t max)
{
    AUTO_BUF text = BUF_INIT;
    int r = get(req, name, &text);

    if (r == PARAM_ABSENT)
        return true;
    if (r < 0 || text.len > max || !utf8_is_valid(buf_slice(&text)) ||
        (text.len > 0 && memchr(text.data, 0, text.len)))
        return refuse(req, ERROR_bad_request, name);
    json_field_str(w, name, buf_slice(&text));
    return true;
}

bool api_param_room(struct api_request *req, struct json_writer *w, const char *name)
{
    const char *pinned = req->admission.token.room;
    AUTO_BUF text = BUF_INIT;
    int r = get(req, name, &text);

    if (r == PARAM_ABSENT) {
        if (pinned[0])
            json_field_str(w, name, slice_str(pinned));
        return true;
    }
    if (r < 0 || !ident_is_valid(buf_slice(&text)))
        return refuse(req, ERROR_invalid_id, name);
    if (!api_may_use_room(req, buf_slice(&text)))
        return false;
    json_field_str(w, name, buf_slice(&text));
    return true;
}

bool api_param_bool(struct api_request *req, const char *name, bool *ret)
{
    AUTO_BUF text = BUF_INIT;
    int r = get(req, name, &text);
    struct slice value = buf_slice(&text);

    *ret = slice_eq_str(value, "true") || slice_eq_str(value, "1");
    if (r == PARAM_ABSENT ||
        (r == 0 && (*ret || slice_eq_str(value, "false") || slice_eq_str(value, "0"))))
        return true;
    return refuse(req, ERROR_bad_request, name);
}

void api_call_any_with(struct api_request *req, enum call_op op, const char *name,
                       const char *value)
{
    char *params = NULL;

    if (json_object_set_new(req->body, name, json_string(value)) == 0)
        params = json_dumps(req->body, JSON_COMPACT);
    if (params)
        api_call_any(req, op, slice_str(params));
    else
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    free(params);
}

bool api_query_room(struct api_request *req, const char *name, struct buf *out)
{
    if (get(req, name, out) != 0 || !ident_is_valid(buf_slice(out)))
        return refuse(req, ERROR_invalid_id, name);
    return api_may_use_room(req, buf_slice(out));
}
