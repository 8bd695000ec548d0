/*
 * messages_change.c - PATCH and DELETE /messages/{id} and its reactions. The
 * path names a message and no room: any shard says which room it is in, then
 * that room's owner makes the change (docs/protocol-client.md).
 */
#include "gateway/api/request.h"
#include "gateway/http/uri.h"

static void on_located(struct api_request *req, struct slice body)
{
    AUTO(json_free) json_t *json = NULL;
    struct slice room;

    if (json_load_object(body, LINK_MESSAGE_MAX, &json) != 0) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    room = json_slice(json_object_get(json, "roomId"));
    if (api_may_use_room(req, room))
        api_call_room(req, req->next_op, room, buf_slice(&req->next_params));
}

void api_call_message(struct api_request *req, enum call_op op)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    req->next_op = op;
    req->then = on_located;
    json_write_object(&w);
    json_field_i64(&w, "messageId", req->message);
    json_write_object_end(&w);
    if (buf_failed(&params) || buf_failed(&req->next_params))
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    else
        api_call_any(req, CALL_MESSAGE_LOCATE, buf_slice(&params));
}

void api_patch_message(struct api_request *req)
{
    const json_t *content = json_object_get(req->body, "content");
    struct json_writer w = json_writer(&req->next_params);

    if (!json_is_string(content)) {
        api_reply_error(req, ERROR_invalid_content, SLICE_LIT("content must be a string"));
        return;
    }
    json_write_object(&w);
    json_field_i64(&w, "messageId", req->message);
    json_field_str(&w, "content", json_slice(content));
    json_write_object_end(&w);
    api_call_message(req, CALL_MESSAGE_EDIT);
}

/* ?hard=true|1|false|0. False: answered. */
static bool take_hard(struct api_request *req, bool *ret_hard)
{
    AUTO_BUF text = BUF_INIT;
    int r = uri_query_get(http_request_query(&req->ex->request), "hard", &text);
    struct slice value = buf_slice(&text);

    *ret_hard = slice_eq_str(value, "true") || slice_eq_str(value, "1");
    if (r == URI_ABSENT ||
        (r == 0 && (*ret_hard || slice_eq_str(value, "false") || slice_eq_str(value, "0"))))
        return true;
    api_reply_error(req, ERROR_bad_request, SLICE_LIT("hard must be true or false"));
    return false;
}

void api_delete_message(struct api_request *req)
{
    struct json_writer w = json_writer(&req->next_params);
    bool is_hard;

    if (!take_hard(req, &is_hard))
        return;
    json_write_object(&w);
    json_field_i64(&w, "messageId", req->message);
    json_field_bool(&w, "hard", is_hard);
    json_write_object_end(&w);
    api_call_message(req, CALL_MESSAGE_DELETE);
}

static void react(struct api_request *req, enum call_op op, struct slice what)
{
    const json_t *emoji = json_object_get(req->body, "emoji");
    struct json_writer w = json_writer(&req->next_params);

    if (!json_is_string(emoji)) {
        api_reply_error(req, ERROR_invalid_emoji, SLICE_LIT("emoji must be a string"));
        return;
    }
    json_write_object(&w);
    json_field_i64(&w, "messageId", req->message);
    json_field_str(&w, "emoji", json_slice(emoji));
    json_field_str(&w, "op", what);
    json_write_object_end(&w);
    api_call_message(req, op);
}

void api_post_reaction(struct api_request *req)
{
    react(req, CALL_REACTION_ADD, SLICE_LIT("add"));
}

void api_delete_reaction(struct api_request *req)
{
    react(req, CALL_REACTION_REMOVE, SLICE_LIT("remove"));
}
