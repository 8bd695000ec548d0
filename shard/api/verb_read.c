/* verb_read.c - ROOM_READ and ROOM_UNREAD. See docs/protocol-client.md. */
#include "common/base/limits.h"
#include "shard/api/query.h"
#include "shard/host/host.h"

/* ---- ROOM_READ ---- */

static void on_read(struct read_wait *wait, enum read_outcome outcome, enum error_code error)
{
    struct call *call = container_of(wait, struct call, read_wait);

    call->is_writing = false;
    switch (outcome) {
    case READ_DONE:
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
        return;
    case READ_NOT_FOUND:
    case READ_FAILED:
        call_refuse(call, error, "", 0);
        return;
    case READ_MOVED:
        call_moved(call);
        return;
    }
}

void verb_room_read(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct actor actor = call_actor(call, room);
    int64_t id = json_get_int(&f, "messageId", 1, MESSAGE_ID_MAX, ERROR_bad_request);
    enum error_code error;

    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    switch (rules_enter(&actor)) {
    case ENTER_YES:
        break;
    case ENTER_JOIN:
        call_refuse(call, ERROR_not_member, "", 0);
        return;
    case ENTER_NO:
        call_refuse(call, rules_refuse_read(&actor), "", 0);
        return;
    }
    call->read_wait.fn = on_read;
    error = reads_put(room, call->user, id, &call->read_wait);
    if (error == ERROR_NONE)
        call->is_writing = true;
    else
        call_refuse(call, error, "", 0);
}

/* ---- ROOM_UNREAD ---- */

static void on_unread(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows > 0)
        call_reply(call, 200, query_cell(rows, 0, 0));
    else
        call_refuse(call, ERROR_forbidden, "", 0); /* deleted meanwhile */
}

void verb_room_unread(struct call *call, struct room_host *room)
{
    struct store_query q = query_of(call, SQL_QUERY_unread);
    struct actor actor = call_actor(call, room);
    int64_t pending = reads_pending(room, call->user);

    if (!rules_may_read(&actor)) {
        call_refuse(call, rules_refuse_read(&actor), "", 0);
        return;
    }
    query_text(&q, call->room_id);
    query_text(&q, call->user);
    if (pending)
        query_int(&q, pending);
    else
        query_null(&q);
    call_query(call, &q, on_unread);
}
