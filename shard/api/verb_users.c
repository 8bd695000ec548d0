/* verb_users.c - USER_EVENT, CONNECTIONS_CLOSE, CONNECTION_TERMINATE: calls about the sockets
 * of one user, wherever they are. See docs/protocol-client.md. */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/host/gather.h"
#include "shard/host/host.h"
#include "shard/host/user_channel.h"
#include "shard/room/event.h"

#define CLOSE_TERMINATED 4001

static bool is_admin(const struct call *call)
{
    return call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN);
}

/* What is about a user is for himself and for admins. */
static bool may_act_for(const struct call *call, struct slice user)
{
    return slice_eq(call->user, user) || is_admin(call);
}

/* The question has been put to the gateways, or the call is answered. */
static void wait_or_refuse(struct call *call, int r)
{
    if (r != 0) {
        call->verb.gather = NULL;
        call_refuse(call, ERROR_overloaded, "", 0);
    }
}

/* ---- USER_EVENT ---- */

static void reply_delivered(struct call *call, size_t n_rooms)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "userId", call->room_id);
    json_field_object(&w, "delivered");
    json_field_u64(&w, "userChannel", call->verb.n_delivered);
    json_field_u64(&w, "rooms", n_rooms);
    json_write_object_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void on_rooms_given(void *arg, const struct gather_result *result)
{
    struct call *call = arg;

    call->verb.gather = NULL;
    reply_delivered(call, result->n_rooms);
}

/* fanoutRooms: true (rooms stays empty: all that he is in), or a list of rooms. */
static bool read_fanout(struct json_fields *f, struct buf *rooms)
{
    const json_t *value = json_object_get(f->object, "fanoutRooms");
    const json_t *list;

    if (!value || json_is_null(value) || json_is_boolean(value))
        return json_is_true(value);
    list = json_get_array_opt(f, "fanoutRooms", EVENT_ROOMS_MAX, ERROR_bad_request);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct slice room = json_slice(json_array_get(list, i));

        if (!ident_is_valid(room)) {
            json_fields_fail(f, ERROR_invalid_id, "fanoutRooms[%zu] is no room id", i);
            return false;
        }
        if (i > 0)
            buf_put_char(rooms, ',');
        buf_put_slice(rooms, room);
    }
    return json_array_size(list) > 0;
}

/* members: user_event_write(). */
static void give_to_channel(struct call *call, struct slice except, struct slice members)
{
    struct buf *json = &call->host->json2;

    buf_clear(json);
    buf_put_slice(json, SLICE_LIT("{\"type\":\"user_event\","));
    buf_put_slice(json, members);
    if (!buf_failed(json))
        call->verb.n_delivered = user_channel_deliver(call->host, call->project, call->room_id,
                                                      except, buf_slice(json));
}

static bool write_members(struct call *call, const struct event *event, struct buf *out)
{
    struct buf *data = &call->host->json2;

    buf_clear(data);
    event_put_json(data, event->data);
    if (buf_failed(data))
        return false;
    user_event_write(out, call->host, call->room_id, event->name, buf_slice(data));
    return !buf_failed(out);
}

/* call->room_id is the user, by the object's name. */
void verb_user_event(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice except = json_get_str_opt(&f, "excludeSocketId", 1, ID_MAX, ERROR_bad_request);
    AUTO_BUF rooms = BUF_INIT;
    AUTO_BUF members = BUF_INIT;
    struct event event;
    bool is_for_rooms;

    (void)room;
    if (!may_act_for(call, call->room_id)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    event_read_user(&f, &event);
    is_for_rooms = read_fanout(&f, &rooms);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (buf_failed(&rooms) || !write_members(call, &event, &members)) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    give_to_channel(call, except, buf_slice(&members));
    if (!is_for_rooms) {
        reply_delivered(call, 0);
        return;
    }
    wait_or_refuse(call, gather_user_rooms(call->host,
                                           &(struct user_rooms){.project = call->project,
                                                                .user = call->room_id,
                                                                .rooms = buf_slice(&rooms),
                                                                .except_socket_id = except,
                                                                .json = buf_slice(&members)},
                                           on_rooms_given, call, &call->verb.gather));
}

/* ---- CONNECTIONS_CLOSE ---- */

static void on_closed(void *arg, const struct gather_result *result)
{
    struct call *call = arg;
    struct json_writer w = json_writer(&call->host->json);

    call->verb.gather = NULL;
    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "userId", call->verb.target);
    json_field_object(&w, "closed");
    json_field_u64(&w, "userChannel", result->user_sockets);
    json_field_u64(&w, "roomSockets", result->room_sockets);
    json_write_object_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_connections_close(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct kick kick = {.project = call->project,
                        .user = json_get_id(&f, "userId", ERROR_invalid_id),
                        .code = CLOSE_TERMINATED,
                        .reason = SLICE_LIT("connections_closed")};

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (!ident_is_valid(call->project) || !may_act_for(call, kick.user)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    call->verb.target = kick.user;
    wait_or_refuse(call, gather_kick(call->host, &kick, on_closed, call, &call->verb.gather));
}

/* ---- CONNECTION_TERMINATE ---- */

static void on_terminated(void *arg, const struct gather_result *result)
{
    struct call *call = arg;

    call->verb.gather = NULL;
    if (result->room_sockets > 0)
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
    else if (result->answered < result->asked)
        call_refuse(call, ERROR_unavailable, "a gateway has not answered", 0);
    else
        call_refuse(call, ERROR_not_found, "no such socket in the room", 0);
}

/* The gateways know their sockets also when the room has just been woken by this call. */
void verb_connection_terminate(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    struct kick kick = {.project = call->project,
                        .room = call->room_id,
                        .socket_id = json_get_str(&f, "socketId", 1, ID_MAX, ERROR_bad_request),
                        .code = CLOSE_TERMINATED};
    struct slice reason =
        json_get_str_opt(&f, "reason", 1, CLOSE_REASON_MAX, ERROR_bad_request);

    if (!rules_is_moderator(&actor)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    if (reason.len > CLOSE_REASON_MAX)
        json_fields_fail(&f, ERROR_bad_request, "reason must have at most %u bytes",
                         CLOSE_REASON_MAX);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    kick.reason = reason.data ? reason : SLICE_LIT("terminated");
    wait_or_refuse(call,
                   gather_kick(call->host, &kick, on_terminated, call, &call->verb.gather));
}
