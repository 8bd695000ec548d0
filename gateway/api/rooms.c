/* rooms.c - /rooms and /rooms/{id}: lists, making, changing, direct messages
 * (docs/protocol-client.md).
 */
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/wire/dm_room.h"
#include "gateway/api/params.h"

/* ---- the list ---- */

void api_get_rooms(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    if (!api_param_text(req, &w, "type", ID_MAX) ||
        !api_param_text(req, &w, "userId", ID_MAX) ||
        !api_param_number(req, &w, "limit", 1, ROOMS_PAGE, ERROR_invalid_limit) ||
        !api_param_text(req, &w, "cursor", ID_MAX + 24))
        return;
    /* A token for one room sees that room and no other. */
    if (req->admission.token.room[0])
        json_field_str(&w, "roomId", slice_str(req->admission.token.room));
    json_write_object_end(&w);
    api_call_any(req, CALL_ROOMS_LIST, buf_slice(&params));
}

/* ---- making ---- */

/* The other user of a dm, when the body names one. */
static struct slice other_user(const struct api_request *req)
{
    const json_t *list = json_object_get(req->body, "members");
    struct slice me = slice_str(req->admission.token.user), other = {0};

    for (size_t i = 0; i < json_array_size(list); i++) {
        struct slice user = json_slice(json_object_get(json_array_get(list, i), "userId"));

        if (ident_is_valid(user) && !slice_eq(user, me))
            other = user;
    }
    return other;
}

/* The id is the caller's when it is a valid one, for a dm that of the two users, else ours. */
static void choose_id(struct api_request *req)
{
    struct slice wanted = json_slice(json_object_get(req->body, "id"));
    struct slice type = json_slice(json_object_get(req->body, "type"));
    struct slice other = other_user(req);
    uint8_t random[16];

    if (ident_copy(wanted, req->room))
        return;
    if (slice_eq(type, SLICE_LIT("dm")) && other.len > 0 &&
        dm_room_id(slice_str(req->admission.token.user), other, req->room).len > 0)
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

/* ---- direct messages ---- */

static void open_dm(struct api_request *req, struct slice a, struct slice b)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    if (dm_room_id(a, b, req->room).len == 0) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    if (!api_may_use_room(req, slice_str(req->room)))
        return;
    json_write_object(&w);
    json_field_str(&w, "a", a);
    json_field_str(&w, "b", b);
    json_write_object_end(&w);
    api_call_room(req, CALL_DM_OPEN, slice_str(req->room), buf_slice(&params));
}

void api_post_rooms_dm(struct api_request *req)
{
    struct json_fields f = json_fields(req->body);
    struct slice a = json_get_id(&f, "a", ERROR_invalid_id);
    struct slice b = json_get_id(&f, "b", ERROR_invalid_id);

    if (api_fields_ok(req, &f))
        open_dm(req, a, b);
}

/* The form of the original's chat adapter. */
static bool as_thread(struct api_request *req, struct slice body, struct buf *out)
{
    AUTO(json_free) json_t *json = NULL;
    struct json_writer w = json_writer(out);
    struct slice room = slice_str(req->room);

    if (json_load_object(body, LINK_MESSAGE_MAX, &json) != 0)
        return false;
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_object(&w, "thread");
    json_field_str(&w, "id", room);
    json_field_str(&w, "adapterSlug", SLICE_LIT("web"));
    json_field_str(&w, "channelId", room);
    json_field_str(&w, "roomId", room);
    json_field_bool(&w, "created", json_is_true(json_object_get(json, "created")));
    json_write_object_end(&w);
    json_field_object(&w, "room");
    json_field_str(&w, "id", room);
    json_field_str(&w, "type", SLICE_LIT("dm"));
    json_write_object_end(&w);
    json_write_object_end(&w);
    return true;
}

void api_post_open_dm(struct api_request *req)
{
    struct json_fields f = json_fields(req->body);
    struct slice user = json_get_id(&f, "userId", ERROR_invalid_id);

    if (!api_fields_ok(req, &f))
        return;
    req->rewrite = as_thread;
    open_dm(req, slice_str(req->admission.token.user), user);
}

/* ---- one room ---- */

void api_get_room(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_GET, slice_str(req->room), SLICE_LIT("{}"));
}

void api_get_live(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_LIVE, slice_str(req->room), SLICE_LIT("{}"));
}

void api_patch_room(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_UPDATE, slice_str(req->room), buf_slice(&req->ex->body));
}

void api_delete_room(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_DELETE, slice_str(req->room), SLICE_LIT("{}"));
}

void api_patch_pin(struct api_request *req)
{
    api_call_room(req, CALL_ROOM_PIN, slice_str(req->room), buf_slice(&req->ex->body));
}
