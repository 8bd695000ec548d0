/* verb_lists.c - ROOMS_LIST: rooms with what is unread in them, newest first, page by page. See
 * docs/protocol-client.md.
 */
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/cursor.h"
#include "shard/api/query.h"
#include "shard/host/host.h"

static void on_rooms(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->host->json);
    size_t n = MIN(rows->n_rows, (size_t)call->verb.limit);
    struct slice none = slice_of(NULL, 0);
    bool has_more = rows->n_rows > n;

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "rooms");
    for (size_t i = 0; i < n; i++)
        json_write_raw(&w, query_cell(rows, i, 0));
    json_write_array_end(&w);
    cursor_write(&w, has_more ? query_cell(rows, n - 1, 1) : none,
                 has_more ? query_cell(rows, n - 1, 2) : none);
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
    cursor_read(&f, &cursor_us, &cursor_room);
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
