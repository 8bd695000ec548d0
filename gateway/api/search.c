/* search.c - GET /search/messages and GET /search/conversations (docs/protocol-client.md). */
#include "common/base/limits.h"
#include "gateway/api/params.h"
#include "gateway/http/uri.h"

/* The text that is looked for. */
static bool put_query(struct api_request *req, struct json_writer *w)
{
    AUTO_BUF text = BUF_INIT;

    if (uri_query_get(http_request_query(&req->ex->request), "q", &text) != 0 ||
        text.len == 0) {
        api_reply_error(req, ERROR_bad_request, SLICE_LIT("q is needed"));
        return false;
    }
    return api_param_text(req, w, "q", SEARCH_QUERY_MAX);
}

void api_get_search_messages(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    if (!put_query(req, &w) || !api_param_room(req, &w, "roomId") ||
        !api_param_time(req, &w, "from") || !api_param_time(req, &w, "to") ||
        !api_param_text(req, &w, "cursor", CLIENT_ID_MAX) ||
        !api_param_number(req, &w, "limit", 1, SEARCH_MAX, ERROR_invalid_limit))
        return;
    json_write_object_end(&w);
    api_call_any(req, CALL_SEARCH_MESSAGES, buf_slice(&params));
}

void api_get_search_conversations(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    if (!put_query(req, &w) || !api_param_room(req, &w, "roomId") ||
        !api_param_number(req, &w, "limit", 1, SEARCH_MAX, ERROR_invalid_limit))
        return;
    json_write_object_end(&w);
    api_call_any(req, CALL_SEARCH_CONVERSATIONS, buf_slice(&params));
}
