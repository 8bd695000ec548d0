/* room_reads.c - how far the caller has read in a room, and what he is about to write
 * (docs/protocol-client.md).
 */
#include "gateway/api/params.h"

void api_post_read(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_READ, slice_str(req->room), buf_slice(&req->ex->body));
}

void api_get_unread(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_UNREAD, slice_str(req->room), SLICE_LIT("{}"));
}

void api_get_draft(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_str(&w, "roomId", slice_str(req->room));
    json_write_object_end(&w);
    api_call_any(req, CALL_DRAFT_GET, buf_slice(&params));
}

void api_put_draft(struct api_request *req)
{
    api_call_any_with(req, CALL_DRAFT_PUT, "roomId", req->room);
}
