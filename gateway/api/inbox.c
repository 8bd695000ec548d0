/* inbox.c - /inbox, its snoozes and follow-ups, /notifications (docs/protocol-client.md). */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/api/params.h"

/* ---- the inbox ---- */

void api_get_inbox(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    if (!api_param_room(req, &w, "roomId") || !api_param_text(req, &w, "where", ID_MAX) ||
        !api_param_number(req, &w, "limit", 1, INBOX_PAGE_MAX, ERROR_invalid_limit))
        return;
    json_write_object_end(&w);
    api_call_any(req, CALL_INBOX, buf_slice(&params));
}

void api_put_snooze(struct api_request *req)
{
    (void)json_object_del(req->body, "ends"); /* the method says it */
    api_call_any_with(req, CALL_SNOOZE, "roomId", req->room);
}

void api_delete_snooze(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_str(&w, "roomId", slice_str(req->room));
    json_field_bool(&w, "ends", true);
    json_write_object_end(&w);
    api_call_any(req, CALL_SNOOZE, buf_slice(&params));
}

/* ---- follow-ups ---- */

void api_post_follow_ups(struct api_request *req)
{
    const char *pinned = req->admission.token.room;

    if (pinned[0])
        api_call_any_with(req, CALL_FOLLOW_UP_ADD, "roomId", pinned);
    else
        api_call_any(req, CALL_FOLLOW_UP_ADD, buf_slice(&req->ex->body));
}

/* The only room for which the token is good, if there is one. */
static void write_pinned(const struct api_request *req, struct json_writer *w)
{
    if (req->admission.token.room[0])
        json_field_str(w, "roomId", slice_str(req->admission.token.room));
}

void api_patch_follow_up(struct api_request *req)
{
    const char *pinned = req->admission.token.room;

    (void)json_object_del(req->body, "roomId"); /* the token says it */
    if (pinned[0] && json_object_set_new(req->body, "roomId", json_string(pinned)) < 0) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    api_call_any_with(req, CALL_FOLLOW_UP_UPDATE, "id", req->room);
}

void api_delete_follow_up(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_str(&w, "id", slice_str(req->room));
    write_pinned(req, &w);
    json_write_object_end(&w);
    api_call_any(req, CALL_FOLLOW_UP_REMOVE, buf_slice(&params));
}

/* ---- notifications ---- */

void api_get_notifications(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);
    bool given;

    json_write_object(&w);
    if (!api_param_room(req, &w, "roomId") ||
        !api_param_number(req, &w, "limit", 1, INBOX_PAGE_MAX, ERROR_invalid_limit) ||
        !api_param_text(req, &w, "cursor", CURSOR_TEXT_MAX) ||
        !api_param_bool(req, "unread", &given))
        return;
    json_field_bool(&w, "unread", given);
    json_write_object_end(&w);
    api_call_any(req, CALL_NOTIFICATIONS_LIST, buf_slice(&params));
}

void api_post_notification_read(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_i64(&w, "id", req->message);
    write_pinned(req, &w);
    json_write_object_end(&w);
    api_call_any(req, CALL_NOTIFICATIONS_READ, buf_slice(&params));
}

void api_post_notifications_read(struct api_request *req)
{
    api_call_any(req, CALL_NOTIFICATIONS_READ, SLICE_LIT("{}"));
}
