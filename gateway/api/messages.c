/* messages.c - POST /messages and GET /api/messages (docs/protocol-client.md). */
#include "common/base/ident.h"
#include "gateway/api/request.h"
#include "gateway/http/uri.h"

void api_post_messages(struct api_request *req)
{
    struct json_fields f = json_fields(req->body);
    struct slice room = json_get_id(&f, "roomId", ERROR_invalid_id);

    if (!api_fields_ok(req, &f) || !api_may_use_room(req, room))
        return;
    if (json_is_string(json_object_get(req->body, "clientMessageId")))
        req->client_key = slice_of(NULL, 0); /* the message has a key of its own */
    api_call_room(req, CALL_MESSAGE_POST, room, buf_slice(&req->ex->body));
}

/* ---- history ---- */

/* A query parameter that must be a whole number in a range. False: answered. */
static bool put_number(struct api_request *req, struct json_writer *w, const char *name,
                       uint64_t min, uint64_t max, enum error_code code, bool *ret_given)
{
    AUTO_BUF text = BUF_INIT;
    uint64_t v = 0;
    int r = uri_query_get(http_request_query(&req->ex->request), name, &text);

    *ret_given = r == 0;
    if (r == URI_ABSENT)
        return true;
    if (r == 0 && (text.len == 0 || text.len > 15))
        r = -1;
    for (size_t i = 0; r == 0 && i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            r = -1;
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (r < 0 || v < min || v > max) {
        api_reply_error(req, code, slice_str(name));
        return false;
    }
    json_field_u64(w, name, v);
    return true;
}

static bool put_before(struct api_request *req, struct json_writer *w, bool *ret_given)
{
    AUTO_BUF text = BUF_INIT;
    int64_t us;
    int r = uri_query_get(http_request_query(&req->ex->request), "before", &text);

    *ret_given = r == 0;
    if (r == URI_ABSENT)
        return true;
    if (r < 0 || time_parse(buf_slice(&text), &us) < 0) {
        api_reply_error(req, ERROR_invalid_cursor, SLICE_LIT("before"));
        return false;
    }
    json_field_str(w, "before", buf_slice(&text));
    return true;
}

static bool put_order(struct api_request *req, struct json_writer *w)
{
    AUTO_BUF text = BUF_INIT;
    int r = uri_query_get(http_request_query(&req->ex->request), "order", &text);

    if (r == URI_ABSENT)
        return true;
    if (r < 0 ||
        (!slice_eq_str(buf_slice(&text), "asc") && !slice_eq_str(buf_slice(&text), "desc"))) {
        api_reply_error(req, ERROR_bad_request, SLICE_LIT("order must be asc or desc"));
        return false;
    }
    json_field_str(w, "order", buf_slice(&text));
    return true;
}

/* False: answered. */
static bool put_history_params(struct api_request *req, struct buf *params)
{
    static const char *const cursors[] = {"beforeSeq", "afterSeq", "aroundSeq"};
    struct json_writer w = json_writer(params);
    unsigned n_cursors = 0;
    bool given;

    json_write_object(&w);
    if (!put_number(req, &w, "limit", 1, SNAPSHOT_MAX, ERROR_invalid_limit, &given) ||
        !put_before(req, &w, &given))
        return false;
    n_cursors += given;
    for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
        if (!put_number(req, &w, cursors[i], 0, UINT64_MAX, ERROR_invalid_cursor, &given))
            return false;
        n_cursors += given;
    }
    if (n_cursors > 1) {
        api_reply_error(req, ERROR_invalid_cursor, SLICE_LIT("more than one cursor"));
        return false;
    }
    if (!put_order(req, &w))
        return false;
    json_write_object_end(&w);
    return true;
}

void api_get_messages(struct api_request *req)
{
    AUTO_BUF room = BUF_INIT;
    AUTO_BUF params = BUF_INIT;

    if (uri_query_get(http_request_query(&req->ex->request), "roomId", &room) != 0 ||
        !ident_is_valid(buf_slice(&room))) {
        api_reply_error(req, ERROR_invalid_id, SLICE_LIT("roomId"));
        return;
    }
    if (api_may_use_room(req, buf_slice(&room)) && put_history_params(req, &params))
        api_call_room(req, CALL_HISTORY, buf_slice(&room), buf_slice(&params));
}
