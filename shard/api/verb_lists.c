/* verb_lists.c - ROOMS_LIST: rooms with what is unread in them, newest first, page by page. See
 * docs/protocol-client.md.
 */
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"

/* The place behind a room: "<created, microseconds>.<room id>". */
static void read_cursor(struct json_fields *f, int64_t *ret_us, struct slice *ret_room)
{
    struct slice text = json_get_str_opt(f, "cursor", 1, ID_MAX + 24, ERROR_invalid_cursor);
    const char *dot = text.len ? memchr(text.data, '.', text.len) : NULL;
    size_t digits = dot ? (size_t)(dot - text.data) : 0;
    int64_t us = 0;

    *ret_us = 0;
    *ret_room = slice_of(NULL, 0);
    if (!text.data)
        return;
    for (size_t i = 0; i < digits && digits <= 17; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            digits = 0;
        else
            us = us * 10 + (text.data[i] - '0');
    }
    if (digits == 0 || digits > 17 ||
        !ident_is_valid(slice_of(dot + 1, text.len - digits - 1))) {
        json_fields_fail(f, ERROR_invalid_cursor, "cursor");
        return;
    }
    *ret_us = us;
    *ret_room = slice_of(dot + 1, text.len - digits - 1);
}

static void write_cursor(struct json_writer *w, const struct query_rows *rows, size_t last)
{
    char text[ID_MAX + 24];
    struct slice us = query_cell(rows, last, 1), room = query_cell(rows, last, 2);
    int len = snprintf(text, sizeof(text), "%.*s.%.*s", (int)us.len, us.data, (int)room.len,
                       room.data);

    json_field_str(w, "nextCursor", slice_of(text, (size_t)len));
}

static void on_rooms(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);
    size_t n = MIN(rows->n_rows, (size_t)call->verb.limit);
    bool has_more = rows->n_rows > n;

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "rooms");
    for (size_t i = 0; i < n; i++)
        json_write_raw(&w, query_cell(rows, i, 0));
    json_write_array_end(&w);
    json_field_bool(&w, "hasMore", has_more);
    if (has_more)
        write_cursor(&w, rows, n - 1);
    else
        json_field_null(&w, "nextCursor");
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_rooms_list(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice type = json_get_str_opt(&f, "type", 1, ID_MAX, ERROR_invalid_type);
    struct slice user = json_get_id_opt(&f, "userId", ERROR_invalid_id);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    bool is_admin = call->project_roles & (PROJECT_OWNER | PROJECT_ADMIN);
    bool all = is_admin && !user.data;
    struct store_query q = query_of(call, all ? SQL_QUERY_rooms_all : SQL_QUERY_rooms_of);
    struct slice cursor_room;
    int64_t cursor_us;

    (void)room;
    call->verb.limit =
        (size_t)json_get_int_opt(&f, "limit", ROOMS_PAGE, 1, ROOMS_PAGE, ERROR_invalid_limit);
    read_cursor(&f, &cursor_us, &cursor_room);
    if (!json_fields_failed(&f) && type.data && room_type_parse(type) == ROOM_TYPE_NONE)
        json_fields_fail(&f, ERROR_invalid_type,
                         "type must be dm, group, public or announcement");
    if (!json_fields_failed(&f) && user.data && !is_admin && !slice_eq(user, call->user))
        json_fields_fail(&f, ERROR_forbidden, "another user's rooms");
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, user.data ? user : call->user);
    query_text(&q, type);
    query_text(&q, only);
    query_time(&q, cursor_us);
    query_text(&q, cursor_room);
    query_int(&q, call->verb.limit + 1);
    call_query(call, &q, on_rooms);
}
