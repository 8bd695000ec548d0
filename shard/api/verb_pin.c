/* verb_pin.c - ROOM_PIN. See docs/protocol-client.md. */
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/host/pin.h"

/* seq 0: it was so already. */
static void reply_pinned(struct call *call, int64_t id, uint64_t seq)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "roomId", call->room_id);
    if (id)
        json_field_i64(&w, "pinnedMessageId", id);
    else
        json_field_null(&w, "pinnedMessageId");
    if (seq)
        json_field_u64(&w, "seq", seq);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* 0: null was given. */
static int64_t read_id(const struct call *call, struct json_fields *f)
{
    const json_t *id = json_object_get(call->params, "messageId");

    if (json_is_null(id))
        return 0;
    return json_get_int(f, "messageId", 1, MESSAGE_ID_MAX, ERROR_bad_request);
}

static void on_pinned(struct change_wait *wait, enum change_outcome outcome,
                      enum error_code error)
{
    struct call *call = container_of(wait, struct call, change_wait);
    struct json_fields f = json_fields(call->params);

    if (call_changed(call, outcome, error))
        reply_pinned(call, read_id(call, &f), wait->seq);
}

static void pin(struct call *call, struct room_host *room, int64_t id)
{
    call->change_wait.fn = on_pinned;
    if (room->facts.pinned_id == id)
        reply_pinned(call, id, 0);
    else if (pin_start(room, call->user, id, &call->change_wait) < 0)
        call_refuse(call, ERROR_unavailable, "", 0);
    else
        call->is_writing = true;
}

/* Everybody learns what is pinned: it must be there for everybody. */
static void pin_message(struct call *call, struct room_host *room, int64_t id)
{
    struct entry *e = NULL;
    enum found found = find_in_memory(room, id, &e);

    if (found == FOUND_UNKNOWN) {
        found = call->verb.found;
        e = call->verb.named;
    }
    if (found == FOUND_UNKNOWN)
        call_find_message(call, room, id);
    else if (found == FOUND_NO || !entry_is_live(e, room_now_us(room)) ||
             !entry_is_visible(e, call->user))
        call_refuse(call, ERROR_message_not_found, "", 0);
    else if (e->visible_to.len > 0)
        call_refuse(call, ERROR_conflict, "a whisper cannot be pinned", 0);
    else
        pin(call, room, id);
}

void verb_room_pin(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    enum error_code why = rules_refuse_write(&actor);
    int64_t id = read_id(call, &f);

    if (json_fields_failed(&f))
        call_refuse_fields(call, &f);
    else if (why != ERROR_NONE)
        call_refuse(call, why, "", 0);
    else if (id == 0)
        pin(call, room, 0);
    else
        pin_message(call, room, id);
}
