/* verb_events.c - EVENT_TRIGGER: an event over REST for everybody in a room, not stored. See
 * docs/protocol-client.md. */
#include "common/base/limits.h"
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/host/signal.h"

/* {name, data?} or {event}. False: f says what is wrong. */
static bool write_frame(struct call *call, struct room_host *room, struct json_fields *f)
{
    struct buf *json = &call->host->json;
    const json_t *raw = event_read_raw(f);
    struct event event;

    buf_clear(json);
    if (raw) {
        frame_raw_event(json, room->id, call->user, raw);
        return true;
    }
    event_read_server(f, &event);
    if (json_fields_failed(f))
        return false;
    frame_server_event(json, room->id, call->user, &event);
    return true;
}

void verb_event_trigger(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    struct slice except = json_get_str_opt(&f, "excludeSocketId", 1, ID_MAX, ERROR_bad_request);
    enum error_code code = signal_check(room, call->user, call->project_roles);

    /* Reading may be open to all; sending is for those who are in. */
    if (rules_enter(&actor) != ENTER_YES)
        code = ERROR_forbidden;
    if (code != ERROR_NONE) {
        call_refuse(call, code, "", 0);
        return;
    }
    if (!write_frame(call, room, &f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (buf_failed(&call->host->json)) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    signal_send(room, except, buf_slice(&call->host->json));
    call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
}
