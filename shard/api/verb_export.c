/*
 * verb_export.c - EXPORT_START and EXPORT_PAGE: what an export covers, and its
 * pages, one short read each. The gateway asks for one after the other, as fast
 * as its client takes them; any shard answers. Whether the caller may read the
 * room is asked anew for every page. See docs/protocol-client.md.
 */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/room/export.h"

static bool sees_all_rooms(const struct call *call)
{
    return call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN);
}

/* First columns of both statements: may he; is he banned. False: answered. */
static bool is_allowed(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows > 0 && query_cell_bool(rows, 0, 0))
        return true;
    call_refuse(
        call, rows->n_rows > 0 && query_cell_bool(rows, 0, 1) ? ERROR_banned : ERROR_forbidden,
        "", 0);
    return false;
}

static enum export_format get_format(struct call *call, struct json_fields *f)
{
    enum export_format format =
        export_format_parse(json_get_str(f, "format", 1, ID_MAX, ERROR_bad_request));

    if (format == EXPORT_NONE)
        json_fields_fail(f, ERROR_bad_request, "format");
    else if (format == EXPORT_COMPLIANCE && !sees_all_rooms(call))
        json_fields_fail(f, ERROR_forbidden, "a compliance export needs an administrator");
    return format;
}

/* ---- EXPORT_START ---- */

enum start_column {
    COL_NAME = 2,
    COL_TYPE,
    COL_CREATED,
    COL_AFTER,
    COL_END,
    COL_TOTAL,
    COL_KNOWS_ID,
    COL_MEMBERS,
    COL_N_MEMBERS
};

static void on_start(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);

    if (!is_allowed(call, rows))
        return;
    if (!query_cell_bool(rows, 0, COL_KNOWS_ID)) {
        call_refuse(call, ERROR_invalid_cursor, "afterId names no message of this room", 0);
        return;
    }
    buf_clear(w.out);
    json_write_object(&w);
    json_field_str(&w, "name", query_cell(rows, 0, COL_NAME));
    json_field_str(&w, "type", query_cell(rows, 0, COL_TYPE));
    json_field_str(&w, "createdAt", query_cell(rows, 0, COL_CREATED));
    json_field_i64(&w, "afterSeq", query_cell_int(rows, 0, COL_AFTER));
    json_field_i64(&w, "endSeq", query_cell_int(rows, 0, COL_END));
    json_field_i64(&w, "total", query_cell_int(rows, 0, COL_TOTAL));
    json_field_i64(&w, "memberCount", query_cell_int(rows, 0, COL_N_MEMBERS));
    json_field_raw(&w, "members", query_cell(rows, 0, COL_MEMBERS));
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

/* An instant; 0 when it is not given. */
static int64_t get_time(struct json_fields *f, const char *name)
{
    struct slice text = json_get_str_opt(f, name, 1, 64, ERROR_bad_request);
    int64_t us = 0;

    if (text.data && time_parse(text, &us) < 0)
        json_fields_fail(f, ERROR_bad_request, "%s must be a time", name);
    return us;
}

void verb_export_start(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    enum export_format format = get_format(call, &f);
    struct slice id = json_get_id(&f, "roomId", ERROR_invalid_id);
    int64_t from_us = get_time(&f, "from"), to_us = get_time(&f, "to");
    int64_t after_seq = json_get_int_opt(&f, "afterSeq", 0, 0, INT64_MAX, ERROR_invalid_cursor);
    int64_t after_id = json_get_int_opt(&f, "afterId", 0, 1, INT64_MAX, ERROR_invalid_cursor);
    struct store_query q = query_of(call, SQL_QUERY_export_start);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_bool(&q, sees_all_rooms(call));
    query_text(&q, id);
    query_time(&q, from_us);
    query_time(&q, to_us);
    query_int(&q, after_seq);
    query_int(&q, after_id);
    query_int(&q, format == EXPORT_COMPLIANCE ? MEMBERS_PAGE : 0);
    call_query(call, &q, on_start);
}

/* ---- EXPORT_PAGE ---- */

static int64_t param_int(const struct call *call, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(call->params, name));
}

/* What is beyond the end of the export is left to the next one; what would make the page too
 * large for one turn, to the next page. */
static void write_page(struct call *call, const struct page *page)
{
    enum export_format format =
        export_format_parse(json_slice(json_object_get(call->params, "format")));
    struct slice room = json_slice(json_object_get(call->params, "roomId"));
    uint64_t end = (uint64_t)param_int(call, "endSeq"), last = end;
    struct buf *data = &call->host->json2;
    struct json_writer w = json_writer(&call->host->json);
    size_t n = 0;

    buf_clear(data);
    for (size_t i = 0; i < page->n_entries && page->entries[i]->seq <= end; i++) {
        if (data->len > PAGE_MAX_BYTES) {
            last = page->entries[i - 1]->seq;
            break;
        }
        if (page->more)
            last = page->entries[i]->seq;
        if (!entry_is_visible(page->entries[i], call->user))
            continue; /* a whisper to others, in an export of everything */
        export_write(data, format, room, page->entries[i], call->user, n == 0);
        n++;
    }
    buf_clear(w.out);
    json_write_object(&w);
    json_field_u64(&w, "lastSeq", last);
    json_field_u64(&w, "count", n);
    json_write_object_end(&w);
    if (buf_failed(data) || buf_failed(w.out))
        call_refuse(call, ERROR_overloaded, "", 0);
    else
        call_reply_page(call, buf_slice(w.out), buf_slice(data));
}

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct call *call = arg;

    if (!call_release(call))
        return;
    if (result == STORE_NOT_FOUND)
        call_refuse(call, ERROR_forbidden, "", 0);
    else if (result != STORE_OK)
        call_refuse(call, ERROR_unavailable, "", 0);
    else
        write_page(call, page);
}

static void on_access(struct call *call, const struct query_rows *rows)
{
    struct store *store = call->host->store;
    enum export_format format =
        export_format_parse(json_slice(json_object_get(call->params, "format")));
    struct page_query query = {.project = call->project,
                               .room = json_slice(json_object_get(call->params, "roomId")),
                               .kind = PAGE_AFTER_SEQ,
                               .seq = (uint64_t)param_int(call, "afterSeq"),
                               .limit = EXPORT_PAGE,
                               .live_messages_only = export_is_live_only(format),
                               .viewer = call->user};

    if (!is_allowed(call, rows))
        return;
    call_hold(call);
    if (store->ops->page(store, &query, on_page, call) < 0 && call_release(call))
        call_refuse(call, ERROR_unavailable, "", 0);
}

void verb_export_page(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice id = json_get_id(&f, "roomId", ERROR_invalid_id);
    struct store_query q = query_of(call, SQL_QUERY_export_access);

    (void)room;
    (void)get_format(call, &f);
    (void)json_get_int(&f, "afterSeq", 0, INT64_MAX, ERROR_invalid_cursor);
    (void)json_get_int(&f, "endSeq", 0, INT64_MAX, ERROR_invalid_cursor);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_bool(&q, sees_all_rooms(call));
    query_text(&q, id);
    call_query(call, &q, on_access);
}
