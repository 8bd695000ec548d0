/* room_members.c - /rooms/{id}/members (docs/protocol-client.md). */
#include "common/base/limits.h"
#include "gateway/api/params.h"

void api_get_members(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    if (!api_param_number(req, &w, "limit", 1, MEMBERS_PAGE, ERROR_invalid_limit) ||
        !api_param_text(req, &w, "cursor", ID_MAX))
        return;
    json_write_object_end(&w);
    api_call_room(req, CALL_MEMBERS_LIST, slice_str(req->room), buf_slice(&params));
}

void api_post_members(struct api_request *req)
{
    api_call_room(req, CALL_MEMBER_ADD, slice_str(req->room), buf_slice(&req->ex->body));
}

void api_delete_member(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_str(&w, "userId", slice_str(req->member));
    json_write_object_end(&w);
    api_call_room(req, CALL_MEMBER_REMOVE, slice_str(req->room), buf_slice(&params));
}

void api_patch_preferences(struct api_request *req)
{
    api_call_room(req, CALL_MEMBER_PREFERENCES, slice_str(req->room),
                  buf_slice(&req->ex->body));
}
