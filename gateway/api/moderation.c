/*
 * moderation.c - /admin/mute and its like, reports, the audit log, blocks
 * (docs/protocol-client.md). Who may do what is decided in the room.
 */
#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/api/params.h"

/* The room that the body names, with the body as parameters. */
static void call_room_of_body(struct api_request *req, enum call_op op, const char *action)
{
    struct json_fields f = json_fields(req->body);
    struct slice room = json_get_id(&f, "roomId", ERROR_invalid_id);
    char *params = NULL;

    if (!api_fields_ok(req, &f) || !api_may_use_room(req, room))
        return;
    if (!action || json_object_set_new(req->body, "action", json_string(action)) == 0)
        params = json_dumps(req->body, JSON_COMPACT);
    if (params)
        api_call_room(req, op, room, slice_str(params));
    else
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    free(params);
}

void api_post_mute(struct api_request *req)
{
    call_room_of_body(req, CALL_MODERATE, "mute");
}

void api_post_unmute(struct api_request *req)
{
    call_room_of_body(req, CALL_MODERATE, "unmute");
}

void api_post_ban(struct api_request *req)
{
    call_room_of_body(req, CALL_MODERATE, "ban");
}

void api_post_unban(struct api_request *req)
{
    call_room_of_body(req, CALL_MODERATE, "unban");
}

/* The author is who asks, whatever userId says. */
void api_post_announcement(struct api_request *req)
{
    call_room_of_body(req, CALL_ANNOUNCE, NULL);
}

void api_post_reports(struct api_request *req)
{
    call_room_of_body(req, CALL_REPORT, NULL);
}

static void list(struct api_request *req, enum call_op op)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    if (!api_param_number(req, &w, "limit", 1, REPORTS_MAX, ERROR_invalid_limit) ||
        !api_param_text(req, &w, "action", ID_MAX) || !api_param_room(req, &w, "roomId"))
        return;
    json_write_object_end(&w);
    api_call_any(req, op, buf_slice(&params));
}

void api_get_reports(struct api_request *req)
{
    list(req, CALL_REPORTS_LIST);
}

void api_get_audit(struct api_request *req)
{
    list(req, CALL_AUDIT_LIST);
}

/* ---- blocks: of the caller, in all rooms ---- */

static void set_block(struct api_request *req, struct slice user, bool is_on)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_str(&w, "userId", user);
    json_field_bool(&w, "blocked", is_on);
    json_write_object_end(&w);
    api_call_any(req, CALL_BLOCK_SET, buf_slice(&params));
}

void api_get_blocks(struct api_request *req)
{
    if (api_may_use_room(req, slice_of(NULL, 0)))
        api_call_any(req, CALL_BLOCKS_LIST, SLICE_LIT("{}"));
}

void api_post_blocks(struct api_request *req)
{
    struct json_fields f = json_fields(req->body);
    struct slice user = json_get_id(&f, "userId", ERROR_invalid_id);

    if (api_fields_ok(req, &f) && api_may_use_room(req, slice_of(NULL, 0)))
        set_block(req, user, true);
}

void api_delete_block(struct api_request *req)
{
    set_block(req, slice_str(req->member), false);
}
