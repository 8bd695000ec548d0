/* verb_follow_ups.c - FOLLOW_UP_ADD, FOLLOW_UP_UPDATE, FOLLOW_UP_REMOVE: messages to which a
 * user wants to come back. See docs/protocol-client.md.
 */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/limits.h"

static void reply_follow_up(struct call *call, unsigned status, struct slice follow_up)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_raw(&w, "followUp", follow_up);
    json_write_object_end(&w);
    if (buf_failed(w.out))
        call_refuse(call, ERROR_overloaded, "", 0);
    else
        call_reply(call, status, buf_slice(w.out));
}

/* 0: none, or null. */
static int64_t read_due(struct json_fields *f)
{
    struct slice text = json_get_str_opt(f, "dueAt", 1, TIME_TEXT_MAX, ERROR_bad_request);
    int64_t us = 0;

    if (text.data && time_parse(text, &us) < 0)
        json_fields_fail(f, ERROR_bad_request, "dueAt must be an RFC 3339 time");
    return us;
}

/* ---- FOLLOW_UP_ADD ---- */

static void on_added(struct call *call, const struct query_rows *rows)
{
    struct slice made = query_cell(rows, 0, 1);

    if (!query_cell_bool(rows, 0, 0))
        call_refuse(call, ERROR_message_not_found, "", 0);
    else if (!made.data)
        call_refuse(call, ERROR_too_many_follow_ups, "", 0);
    else
        reply_follow_up(call, 201, made);
}

void verb_follow_up_add(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    int64_t id = json_get_int(&f, "messageId", 1, MESSAGE_ID_MAX, ERROR_bad_request);
    struct slice note = json_get_str_opt(&f, "note", 0, NOTE_MAX_CHARS, ERROR_bad_request);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    int64_t due_us = read_due(&f);
    struct store_query q = query_of(call, SQL_QUERY_follow_up_add);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_int(&q, id);
    query_text(&q, note);
    query_time(&q, due_us);
    query_text(&q, only);
    query_int(&q, FOLLOW_UPS_MAX);
    call_query(call, &q, on_added);
}

/* ---- changes ---- */

/* Ids are texts of digits, as other ids are texts. */
static int64_t read_id(struct json_fields *f)
{
    struct slice text = json_get_str(f, "id", 1, 18, ERROR_invalid_id);
    int64_t id = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            json_fields_fail(f, ERROR_invalid_id, "id");
            return 0;
        }
        id = id * 10 + (text.data[i] - '0');
    }
    return id;
}

static void on_updated(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_not_found, "", 0);
    else
        reply_follow_up(call, 200, query_cell(rows, 0, 0));
}

static void on_removed(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_not_found, "", 0);
    else
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
}

void verb_follow_up_update(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    int64_t id = read_id(&f), due_us = read_due(&f);
    struct slice note = json_get_str_opt(&f, "note", 0, NOTE_MAX_CHARS, ERROR_bad_request);
    const json_t *done = json_object_get(call->params, "done");
    bool is_done = json_get_bool_opt(&f, "done", false);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    struct store_query q = query_of(call, SQL_QUERY_follow_up_update);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_int(&q, id);
    query_bool(&q, json_object_get(call->params, "note") != NULL);
    query_text(&q, note);
    query_bool(&q, json_object_get(call->params, "dueAt") != NULL);
    query_time(&q, due_us);
    if (json_is_boolean(done))
        query_bool(&q, is_done);
    else
        query_null(&q);
    query_text(&q, only);
    call_query(call, &q, on_updated);
}

void verb_follow_up_remove(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct store_query q = query_of(call, SQL_QUERY_follow_up_remove);
    int64_t id = read_id(&f);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_int(&q, id);
    query_text(&q, only);
    call_query(call, &q, on_removed);
}
