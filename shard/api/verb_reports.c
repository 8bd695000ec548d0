/*
 * verb_reports.c - REPORT, REPORTS_LIST, AUDIT_LIST, BLOCKS_LIST, BLOCK_SET. A
 * report is a note for those in office: it changes nothing in the room, and
 * touches no mute or ban. See docs/protocol-client.md.
 */
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/room/limiter.h"

/* Their JSON as it is, or null. */
static void write_cell_json(struct json_writer *w, const char *name, struct slice json)
{
    if (json.data)
        json_field_raw(w, name, json);
    else
        json_field_null(w, name);
}

static void write_cell(struct json_writer *w, const char *name, struct slice text)
{
    if (text.data)
        json_field_str(w, name, text);
    else
        json_field_null(w, name);
}

/* ---- REPORT ---- */

static void on_reported(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_message_not_found, "messageId", 0);
    else
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
}

void verb_report(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    int64_t id = json_get_int(&f, "messageId", 1, INT64_MAX, ERROR_bad_request);
    struct slice reason = json_get_str_opt(&f, "reason", 0, REASON_MAX, ERROR_bad_request);
    struct store_query q = query_of(call, SQL_QUERY_report);
    struct actor actor = call_actor(call, room);
    uint64_t wait_ms;

    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (rules_enter(&actor) != ENTER_YES) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    wait_ms =
        limiter_take(&room->report_limiter, call->user, LIMITER_REST, env_now_ms(call->env));
    if (wait_ms > 0) {
        call_refuse(call, ERROR_rate_limit_exceeded, "reports", wait_ms);
        return;
    }
    query_text(&q, call->room_id);
    query_text(&q, call->user);
    query_int(&q, id);
    query_text(&q, reason.len ? reason : slice_of(NULL, 0));
    call->is_writing = true;
    call_query(call, &q, on_reported);
}

/* ---- REPORTS_LIST ---- */

static bool sees_project(const struct call *call)
{
    return call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN | PROJECT_MODERATOR);
}

static void on_reports(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);

    if (!sees_project(call) && (rows->n_rows == 0 || !query_cell_bool(rows, 0, 0))) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "reports");
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (!query_cell(rows, i, 1).data)
            continue; /* no report: the row says only that the caller has an office */
        json_write_object(&w);
        json_field_i64(&w, "id", query_cell_int(rows, i, 1));
        json_field_str(&w, "project_id", call->project);
        json_field_str(&w, "room_id", query_cell(rows, i, 2));
        json_field_str(&w, "user_id", query_cell(rows, i, 3));
        json_field_str(&w, "action", SLICE_LIT("report"));
        write_cell(&w, "reason", query_cell(rows, i, 4));
        json_field_i64(&w, "target_message_id", query_cell_int(rows, i, 5));
        json_field_str(&w, "created_at", query_cell(rows, i, 6));
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_reports_list(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    int64_t limit =
        json_get_int_opt(&f, "limit", REPORTS_DEFAULT, 1, REPORTS_MAX, ERROR_invalid_limit);
    struct store_query q = query_of(call, SQL_QUERY_reports);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_bool(&q, sees_project(call));
    query_text(&q, only);
    query_int(&q, limit);
    call_query(call, &q, on_reports);
}

/* ---- AUDIT_LIST ---- */

/* What was acted on: a message, a user, or, when nothing is named, the room. */
static struct slice target_type(const struct query_rows *rows, size_t i)
{
    struct slice action = query_cell(rows, i, 1);

    if (action.len > 8 && memcmp(action.data, "message.", 8) == 0)
        return SLICE_LIT("message");
    return query_cell(rows, i, 4).len > 0 ? SLICE_LIT("user") : SLICE_LIT("room");
}

static struct slice target(const struct query_rows *rows, size_t i)
{
    return query_cell(rows, i, 4).len > 0 ? query_cell(rows, i, 4) : query_cell(rows, i, 3);
}

static void on_audit(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "events");
    for (size_t i = 0; i < rows->n_rows; i++) {
        json_write_object(&w);
        json_field_i64(&w, "id", query_cell_int(rows, i, 0));
        json_field_str(&w, "project_id", call->project);
        json_field_str(&w, "action", query_cell(rows, i, 1));
        json_field_str(&w, "actor_user_id", query_cell(rows, i, 2));
        write_cell(&w, "room_id", query_cell(rows, i, 3));
        json_field_str(&w, "target_type", target_type(rows, i));
        write_cell(&w, "target_id", target(rows, i));
        write_cell(&w, "metadata_json", query_cell(rows, i, 5));
        write_cell_json(&w, "metadata", query_cell(rows, i, 5));
        json_field_str(&w, "created_at", query_cell(rows, i, 6));
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_audit_list(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice action = json_get_str_opt(&f, "action", 1, ID_MAX, ERROR_bad_request);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    int64_t limit =
        json_get_int_opt(&f, "limit", REPORTS_DEFAULT, 1, REPORTS_MAX, ERROR_invalid_limit);
    struct store_query q = query_of(call, SQL_QUERY_audit);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    if (!(call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN))) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    query_text(&q, action);
    query_text(&q, only);
    query_int(&q, limit);
    call_query(call, &q, on_audit);
}

/* ---- blocks ---- */

static void on_blocks(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "blocks");
    for (size_t i = 0; i < rows->n_rows; i++) {
        json_write_object(&w);
        json_field_str(&w, "userId", query_cell(rows, i, 0));
        json_field_str(&w, "createdAt", query_cell(rows, i, 1));
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_blocks_list(struct call *call, struct room_host *room)
{
    struct store_query q = query_of(call, SQL_QUERY_blocks);

    (void)room;
    query_text(&q, call->user);
    query_int(&q, BLOCKS_MAX);
    call_query(call, &q, on_blocks);
}

static void on_block_set(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_bad_request, "no more users can be blocked", 0);
    else
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
}

void verb_block_set(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice user = json_get_id(&f, "userId", ERROR_invalid_id);
    bool is_on = json_get_bool_opt(&f, "blocked", true);
    struct store_query q = query_of(call, is_on ? SQL_QUERY_block_add : SQL_QUERY_block_remove);

    (void)room;
    if (!json_fields_failed(&f) && is_on && slice_eq(user, call->user))
        json_fields_fail(&f, ERROR_bad_request, "userId: nobody blocks himself");
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_text(&q, user);
    if (is_on)
        query_int(&q, BLOCKS_MAX);
    call->is_writing = true;
    call_query(call, &q, on_block_set);
}
