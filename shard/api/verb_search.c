/* verb_search.c - SEARCH_MESSAGES, SEARCH_CONVERSATIONS. See docs/protocol-client.md. */
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/room/snippet.h"

/* Ranks travel as whole millionths, so that a cursor compares exactly. */
#define RANK_SCALE 1000000

static bool sees_all_rooms(const struct call *call)
{
    return call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN);
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

/* ---- SEARCH_MESSAGES ---- */

struct search_cursor {
    bool is_given;
    int64_t rank, created_us, id;
};

static bool read_part(struct slice *s, char end, int64_t *ret)
{
    int64_t v = 0;
    size_t i = 0;

    for (; i < s->len && s->data[i] >= '0' && s->data[i] <= '9' && i < 18; i++)
        v = v * 10 + (s->data[i] - '0');
    if (i == 0 || (end ? i == s->len || s->data[i] != end : i != s->len))
        return false;
    *s = slice_of(s->data + i + (end != 0), s->len - i - (end != 0));
    *ret = v;
    return true;
}

/* "<rank>-<createdAt in us>-<id>" of the last row of a page; opaque to clients. */
static struct search_cursor get_cursor(struct json_fields *f)
{
    struct slice text = json_get_str_opt(f, "cursor", 1, 64, ERROR_invalid_cursor);
    struct search_cursor c = {.is_given = text.data != NULL};

    if (c.is_given && (!read_part(&text, '-', &c.rank) ||
                       !read_part(&text, '-', &c.created_us) || !read_part(&text, 0, &c.id)))
        json_fields_fail(f, ERROR_invalid_cursor, "cursor");
    return c;
}

enum message_column {
    COL_OK,
    COL_BANNED,
    COL_ID,
    COL_ROOM,
    COL_ROOM_NAME,
    COL_USER,
    COL_CONTENT,
    COL_CREATED,
    COL_RANK,
    COL_CREATED_US
};

/* A decimal number, without the locale. */
static void write_rank(struct json_writer *w, int64_t millionths)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld.%06lld", (long long)(millionths / RANK_SCALE),
                       (long long)(millionths % RANK_SCALE));

    json_field_raw(w, "rank", slice_of(text, (size_t)len));
}

static void write_result(struct call *call, struct json_writer *w,
                         const struct query_rows *rows, size_t i)
{
    struct buf *snippet = &call->host->json2;

    buf_clear(snippet);
    snippet_write(snippet, query_cell(rows, i, COL_CONTENT),
                  json_slice(json_object_get(call->params, "q")));
    json_write_object(w);
    json_field_i64(w, "id", query_cell_int(rows, i, COL_ID));
    json_field_str(w, "roomId", query_cell(rows, i, COL_ROOM));
    json_field_str(w, "roomName", query_cell(rows, i, COL_ROOM_NAME));
    json_field_str(w, "userId", query_cell(rows, i, COL_USER));
    json_field_str(w, "content", query_cell(rows, i, COL_CONTENT));
    json_field_str(w, "createdAt", query_cell(rows, i, COL_CREATED));
    json_field_str(w, "snippet", buf_slice(snippet));
    write_rank(w, query_cell_int(rows, i, COL_RANK));
    json_write_object_end(w);
}

/* The form of the first servers. */
static void write_message(struct json_writer *w, const struct query_rows *rows, size_t i)
{
    json_write_object(w);
    json_field_i64(w, "id", query_cell_int(rows, i, COL_ID));
    json_field_str(w, "room_id", query_cell(rows, i, COL_ROOM));
    json_field_str(w, "user_id", query_cell(rows, i, COL_USER));
    json_field_str(w, "content", query_cell(rows, i, COL_CONTENT));
    json_field_str(w, "created_at", query_cell(rows, i, COL_CREATED));
    json_write_object_end(w);
}

static void write_next(struct json_writer *w, const struct query_rows *rows, size_t n)
{
    char text[64];
    int len;

    if (n == 0 || n == rows->n_rows) {
        json_field_null(w, "nextCursor");
        return;
    }
    len = snprintf(text, sizeof(text), "%lld-%lld-%lld",
                   (long long)query_cell_int(rows, n - 1, COL_RANK),
                   (long long)query_cell_int(rows, n - 1, COL_CREATED_US),
                   (long long)query_cell_int(rows, n - 1, COL_ID));
    json_field_str(w, "nextCursor", slice_of(text, (size_t)len));
}

static void on_messages(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);
    size_t n = 0;

    if (rows->n_rows == 0 || !query_cell_bool(rows, 0, COL_OK)) {
        call_refuse(call,
                    rows->n_rows > 0 && query_cell_bool(rows, 0, COL_BANNED) ? ERROR_banned
                                                                             : ERROR_forbidden,
                    "", 0);
        return;
    }
    if (query_cell(rows, 0, COL_ID).data) /* else the one row says only that he may search */
        n = MIN(rows->n_rows, (size_t)call->verb.limit);
    buf_clear(w.out);
    json_write_object(&w);
    json_field_str(&w, "query", json_slice(json_object_get(call->params, "q")));
    json_field_str(&w, "mode", SLICE_LIT("text"));
    json_field_array(&w, "results");
    for (size_t i = 0; i < n; i++)
        write_result(call, &w, rows, i);
    json_write_array_end(&w);
    json_field_array(&w, "messages");
    for (size_t i = 0; i < n; i++)
        write_message(&w, rows, i);
    json_write_array_end(&w);
    write_next(&w, rows, n);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_search_messages(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice text = json_get_str(&f, "q", 1, SEARCH_QUERY_MAX, ERROR_bad_request);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    int64_t from_us = get_time(&f, "from"), to_us = get_time(&f, "to");
    int64_t limit =
        json_get_int_opt(&f, "limit", SEARCH_DEFAULT, 1, SEARCH_MAX, ERROR_invalid_limit);
    struct search_cursor cursor = get_cursor(&f);
    struct store_query q = query_of(call, SQL_QUERY_search_messages);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    call->verb.limit = limit;
    query_text(&q, call->user);
    query_bool(&q, sees_all_rooms(call));
    query_text(&q, only);
    query_text(&q, text);
    query_time(&q, from_us);
    query_time(&q, to_us);
    query_int(&q, limit + 1);
    query_int(&q, cursor.is_given ? cursor.rank : INT64_MAX);
    query_time(&q, cursor.created_us);
    query_int(&q, cursor.id);
    call_query(call, &q, on_messages);
}

/* ---- SEARCH_CONVERSATIONS ---- */

static void on_conversations(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "rooms");
    for (size_t i = 0; i < rows->n_rows; i++) {
        json_write_object(&w);
        json_field_str(&w, "room_id", query_cell(rows, i, 0));
        json_field_str(&w, "room_name", query_cell(rows, i, 1));
        json_field_i64(&w, "matches", query_cell_int(rows, i, 2));
        json_field_str(&w, "lastMessage", query_cell(rows, i, 3));
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_search_conversations(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice text = json_get_str(&f, "q", 1, SEARCH_QUERY_MAX, ERROR_bad_request);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    int64_t limit =
        json_get_int_opt(&f, "limit", SEARCH_ROOMS_DEFAULT, 1, SEARCH_MAX, ERROR_invalid_limit);
    struct store_query q = query_of(call, SQL_QUERY_search_conversations);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_bool(&q, sees_all_rooms(call));
    query_text(&q, only);
    query_text(&q, text);
    query_int(&q, limit);
    call_query(call, &q, on_conversations);
}
