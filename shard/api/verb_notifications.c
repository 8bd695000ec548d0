/* verb_notifications.c - NOTIFICATIONS_LIST and NOTIFICATIONS_READ: the messages in which a
 * user was named, one by one. See docs/protocol-client.md.
 */
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/cursor.h"
#include "shard/api/query.h"
#include "shard/host/host.h"

/* ---- NOTIFICATIONS_LIST ---- */

/* The page is kept until its head is known: how many are not read. */
static void on_unread(struct call *call, const struct query_rows *rows)
{
    struct buf *page = &call->verb.page;
    struct json_writer w = {.out = page, .need_comma = true};

    json_field_i64(&w, "unread_count", query_cell_int(rows, 0, 0));
    json_write_object_end(&w);
    call_reply_buf(call, page);
}

static void on_page(struct call *call, const struct query_rows *rows)
{
    struct json_writer w = json_writer(&call->verb.page);
    struct json_fields f = json_fields(call->params);
    struct store_query q = query_of(call, SQL_QUERY_notifications_unread);
    size_t n = MIN(rows->n_rows, (size_t)call->verb.limit);
    struct slice none = slice_of(NULL, 0);
    bool more = rows->n_rows > n;

    buf_clear(w.out);
    json_write_object(&w);
    json_field_array(&w, "notifications");
    for (size_t i = 0; i < n; i++)
        json_write_raw(&w, query_cell(rows, i, 0));
    json_write_array_end(&w);
    cursor_write(&w, more ? query_cell(rows, n - 1, 1) : none,
                 more ? query_cell(rows, n - 1, 2) : none);
    query_text(&q, call->user);
    query_text(&q, json_get_id_opt(&f, "roomId", ERROR_invalid_id));
    call_query(call, &q, on_unread);
}

void verb_notifications_list(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id), id;
    bool unread = json_get_bool_opt(&f, "unread", false);
    struct store_query q = query_of(call, SQL_QUERY_notifications);
    int64_t us;

    (void)room;
    call->verb.limit =
        json_get_int_opt(&f, "limit", INBOX_PAGE, 1, INBOX_PAGE_MAX, ERROR_invalid_limit);
    cursor_read(&f, &us, &id);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_text(&q, only);
    query_time(&q, us);
    if (us)
        query_int(&q, strtoll(id.data, NULL, 10)); /* what is no number ends where it ends */
    else
        query_null(&q);
    query_int(&q, call->verb.limit + 1);
    query_bool(&q, unread);
    call_query(call, &q, on_page);
}

/* ---- NOTIFICATIONS_READ ---- */

static void on_read(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_not_found, "", 0);
    else
        call_reply(call, 200, SLICE_LIT("{\"ok\":true}"));
}

void verb_notifications_read(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    int64_t id = json_get_int_opt(&f, "id", 0, 1, MESSAGE_ID_MAX, ERROR_invalid_id);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    struct store_query q =
        query_of(call, id ? SQL_QUERY_notification_read : SQL_QUERY_notifications_read_all);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    if (id) {
        query_int(&q, id);
        query_text(&q, only);
    }
    call_query(call, &q, on_read);
}
