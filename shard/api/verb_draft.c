/* verb_draft.c - DRAFT_GET and DRAFT_PUT: what a member is about to write in a room. Kept by
 * the database alone, so any shard answers. See docs/protocol-client.md.
 */
#include "common/base/limits.h"
#include "common/base/utf8.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"

struct draft {
    struct slice content, reply_to, updated_at; /* as texts */
};

/* NULL: there is none. */
static void reply_draft(struct call *call, const struct draft *draft)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    if (draft) {
        json_field_object(&w, "draft");
        json_field_str(&w, "content", draft->content);
        json_field_raw(&w, "replyToId",
                       draft->reply_to.len ? draft->reply_to : SLICE_LIT("null"));
        json_field_str(&w, "updatedAt", draft->updated_at);
        json_write_object_end(&w);
    } else {
        json_field_null(&w, "draft");
    }
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static struct store_query query_draft(const struct call *call, enum sql_id id,
                                      struct slice room)
{
    struct store_query q = query_of(call, id);

    query_text(&q, call->user);
    query_text(&q, room);
    return q;
}

/* ---- DRAFT_GET ---- */

static void on_draft(struct call *call, const struct query_rows *rows)
{
    struct draft draft;

    if (rows->n_rows == 0) {
        call_refuse(call, ERROR_not_a_member, "", 0);
        return;
    }
    draft =
        (struct draft){query_cell(rows, 0, 0), query_cell(rows, 0, 1), query_cell(rows, 0, 2)};
    reply_draft(call, draft.content.data ? &draft : NULL);
}

void verb_draft_get(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice id = json_get_id(&f, "roomId", ERROR_invalid_id);
    struct store_query q = query_draft(call, SQL_QUERY_draft_get, id);

    (void)room;
    if (json_fields_failed(&f))
        call_refuse_fields(call, &f);
    else
        call_query(call, &q, on_draft);
}

/* ---- DRAFT_PUT ---- */

static void on_cleared(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_not_a_member, "", 0);
    else
        reply_draft(call, NULL);
}

static void on_put(struct call *call, const struct query_rows *rows)
{
    struct json_fields f = json_fields(call->params);
    struct draft draft = {.content = json_slice(json_object_get(call->params, "content"))};
    int64_t reply_to =
        json_get_int_opt(&f, "replyToId", 0, 1, MESSAGE_ID_MAX, ERROR_bad_request);
    char text[24];

    if (rows->n_rows == 0) {
        call_refuse(call, ERROR_not_a_member, "", 0);
        return;
    }
    if (reply_to)
        draft.reply_to =
            slice_of(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)reply_to));
    draft.updated_at = query_cell(rows, 0, 0);
    reply_draft(call, &draft);
}

/* A draft is kept as it is typed, with its spaces; only a blank one is none. */
void verb_draft_put(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice id = json_get_id(&f, "roomId", ERROR_invalid_id);
    struct slice content =
        json_get_str(&f, "content", 0, CONTENT_MAX_CHARS, ERROR_invalid_content);
    int64_t reply_to =
        json_get_int_opt(&f, "replyToId", 0, 1, MESSAGE_ID_MAX, ERROR_bad_request);
    bool is_blank = utf8_trim(content).len == 0;
    struct store_query q =
        query_draft(call, is_blank ? SQL_QUERY_draft_clear : SQL_QUERY_draft_put, id);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    call->is_writing = true;
    if (is_blank) {
        call_query(call, &q, on_cleared);
        return;
    }
    query_text(&q, content);
    if (reply_to)
        query_int(&q, reply_to);
    else
        query_null(&q);
    call_query(call, &q, on_put);
}
