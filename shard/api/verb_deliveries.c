/* verb_deliveries.c - MESSAGE_DELIVERED and DELIVERIES_LIST: to whom a message has come. See
 * docs/protocol-client.md.
 */
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "common/wire/msg.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/metrics.h"

/* The message that the call names, in its newest image, when the caller may see it; NULL: the
 * call has been answered, or its handler runs again. */
static struct entry *named_message(struct call *call, struct room_host *room, int64_t id)
{
    struct actor actor = call_actor(call, room);
    struct entry *e = NULL;
    enum found found = find_in_memory(room, id, &e);

    if (rules_enter(&actor) != ENTER_YES) {
        call_refuse(call, ERROR_message_not_found, "", 0); /* does not say that it exists */
        return NULL;
    }
    if (found == FOUND_UNKNOWN) {
        found = call->verb.found;
        e = call->verb.named;
    }
    if (found == FOUND_UNKNOWN) {
        call_find_message(call, room, id);
        return NULL;
    }
    if (found == FOUND_YES && entry_is_live(e, room_now_us(room)) &&
        entry_is_visible(e, call->user))
        return e;
    call_refuse(call, ERROR_message_not_found, "", 0);
    return NULL;
}

static int64_t message_id(const struct call *call, struct json_fields *f)
{
    *f = json_fields(call->params);
    return json_get_int(f, "messageId", 1, MESSAGE_ID_MAX, ERROR_bad_request);
}

/* ---- MESSAGE_DELIVERED ---- */

static void reply_delivered(struct call *call, int64_t id)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_i64(&w, "messageId", id);
    json_field_str(&w, "userId", call->user);
    json_field_str(&w, "status", SLICE_LIT("delivered"));
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* To those who may see the message; as with receipts, not in a room of many. */
static void show(struct call *call, struct room_host *room, int64_t id, struct slice visible_to)
{
    struct entry about = {.kind = ENTRY_MESSAGE, .visible_to = visible_to};
    struct buf *json = &call->host->json;

    if (room->roster.n_users > PRESENCE_LIST_MAX)
        return;
    buf_clear(json);
    frame_delivery(json, room->id, call->user, id);
    if (room_show(room, &about, 0, EVENT_EPHEMERAL) < 0)
        call->host->metrics->ephemerals_dropped++;
}

static void on_delivered(struct call *call, const struct query_rows *rows)
{
    struct room_host *room = room_find(call->host, call->project, call->room_id);
    struct json_fields f;
    int64_t id = message_id(call, &f);

    if (rows->n_rows > 0 && room && room->state == ROOM_ACTIVE)
        show(call, room, id, query_cell(rows, 0, 0));
    reply_delivered(call, id);
}

void verb_message_delivered(struct call *call, struct room_host *room)
{
    struct store_query q = query_of(call, SQL_QUERY_delivered);
    struct json_fields f;
    int64_t id = message_id(call, &f);
    struct entry *e;

    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    e = named_message(call, room, id);
    if (!e)
        return;
    if (slice_eq(e->user, call->user)) {
        reply_delivered(call, id); /* one's own is where it came from */
        return;
    }
    query_int(&q, id);
    query_text(&q, call->user);
    call->is_writing = true;
    call_query(call, &q, on_delivered);
}

/* ---- DELIVERIES_LIST ---- */

static void on_deliveries(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);
    size_t n = MIN(rows->n_rows, (size_t)call->verb.limit);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "deliveries");
    for (size_t i = 0; i < n; i++)
        json_write_raw(&w, query_cell(rows, i, 0));
    json_write_array_end(&w);
    json_field_bool(&w, "hasMore", rows->n_rows > n);
    if (rows->n_rows > n)
        json_field_str(&w, "nextCursor", query_cell(rows, n - 1, 1));
    else
        json_field_null(&w, "nextCursor");
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_deliveries_list(struct call *call, struct room_host *room)
{
    struct store_query q = query_of(call, SQL_QUERY_deliveries);
    struct json_fields f;
    int64_t id = message_id(call, &f);
    struct slice cursor = json_get_id_opt(&f, "cursor", ERROR_invalid_cursor);

    call->verb.limit =
        json_get_int_opt(&f, "limit", MEMBERS_PAGE, 1, MEMBERS_PAGE, ERROR_invalid_limit);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (!named_message(call, room, id))
        return;
    query_int(&q, id);
    query_text(&q, cursor.data ? cursor : SLICE_LIT(""));
    query_int(&q, call->verb.limit + 1);
    call_query(call, &q, on_deliveries);
}
