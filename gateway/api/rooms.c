/* rooms.c - GET and POST /rooms, GET /rooms/{id}, and the member list of a room
 * (docs/protocol-client.md).
 */
#include <stdlib.h>

#include "common/base/ident.h"
#include "gateway/api/request.h"
#include "gateway/http/uri.h"

/* ---- rooms ---- */

/* A token for one room sees that room in the list and no other. */
static bool keep_pinned_room(struct api_request *req, struct slice body, struct buf *out)
{
    AUTO(json_free) json_t *json = NULL;
    const json_t *rooms;
    struct json_writer w = json_writer(out);

    if (!req->admission.token.room[0])
        return false;
    if (json_load_object(body, LINK_MESSAGE_MAX, &json) != 0)
        json = NULL;
    rooms = json_object_get(json, "rooms");
    json_write_object(&w);
    json_field_array(&w, "rooms");
    for (size_t i = 0; i < json_array_size(rooms); i++) {
        const json_t *room = json_array_get(rooms, i);

        if (slice_eq_str(json_slice(json_object_get(room, "id")), req->admission.token.room)) {
            char *text = json_dumps(room, JSON_COMPACT);

            if (text)
                json_write_raw(&w, slice_str(text));
            free(text);
        }
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return true;
}

void api_get_rooms(struct api_request *req)
{
    AUTO_BUF type = BUF_INIT;
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);
    int r = uri_query_get(http_request_query(&req->ex->request), "type", &type);

    if (r < 0) {
        api_reply_error(req, ERROR_invalid_type, SLICE_LIT("type"));
        return;
    }
    json_write_object(&w);
    json_field_str_opt(&w, "type", buf_slice(&type));
    json_write_object_end(&w);
    req->rewrite = keep_pinned_room;
    api_call_any(req, CALL_ROOMS_LIST, buf_slice(&params));
}

/* The id is the caller's when it is a valid one, else ours (docs/protocol-client.md). */
static void choose_id(struct api_request *req)
{
    struct slice wanted = json_slice(json_object_get(req->body, "id"));
    uint8_t random[16];

    if (ident_copy(wanted, req->room))
        return;
    api_random_for_key(req, random);
    uuid_format(random, req->room);
}

void api_post_rooms(struct api_request *req)
{
    char *params = NULL;

    choose_id(req);
    if (!api_may_use_room(req, slice_str(req->room)))
        return;
    if (json_object_set_new(req->body, "id", json_string(req->room)) == 0)
        params = json_dumps(req->body, JSON_COMPACT);
    if (!params) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    api_call_room(req, CALL_ROOM_CREATE, slice_str(req->room), slice_str(params));
    free(params);
}

void api_get_room(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_GET, slice_str(req->room), SLICE_LIT("{}"));
}

void api_get_live(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_LIVE, slice_str(req->room), SLICE_LIT("{}"));
}

/* ---- members ---- */

void api_get_members(struct api_request *req)
{
    api_call_room(req, CALL_MEMBERS_LIST, slice_str(req->room), SLICE_LIT("{}"));
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
