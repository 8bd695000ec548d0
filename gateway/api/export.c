/*
 * export.c - GET /export/..., GET /rooms/{id}/compliance-export: a room as one
 * answer of any length (docs/protocol-client.md).
 *
 *   EXPORT_START -> headers, opening -> EXPORT_PAGE, write, EXPORT_PAGE... -> closing
 *
 * One page is held at a time: the next one is asked for when the client has
 * room for it. What cannot be finished is cut, so that nobody takes it for the
 * whole; the client goes on with afterSeq.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "gateway/api/params.h"
#include "gateway/api/pdf.h"
#include "gateway/metrics.h"

enum format {
    FORMAT_JSON,
    FORMAT_NDJSON,
    FORMAT_CSV,
    FORMAT_MARKDOWN,
    FORMAT_COMPLIANCE,
    FORMAT_PDF /* set here, from what shards give as NDJSON */
};

static const struct {
    const char *name, *content_type, *suffix;
} formats[] = {
    [FORMAT_JSON] = {"json", "application/json", "json"},
    [FORMAT_NDJSON] = {"ndjson", "application/x-ndjson", "ndjson"},
    [FORMAT_CSV] = {"csv", "text/csv; charset=utf-8; header=present", "csv"},
    [FORMAT_MARKDOWN] = {"markdown", "text/markdown; charset=utf-8", "md"},
    [FORMAT_COMPLIANCE] = {"compliance", "application/json", "json"},
    [FORMAT_PDF] = {"ndjson", "application/pdf", "pdf"},
};

/* api_request.state */
struct export
{
    struct api_request *req;
    enum format format;
    char room[ID_MAX + 1];
    uint64_t first, after, end; /* seqs: asked for behind `first`, written up to `after` */
    uint64_t written;           /* messages */
    struct pdf *pdf;            /* FORMAT_PDF; owned */
    struct timer retry;
    unsigned n_retries;
    bool is_asking; /* a call is under way */
    bool is_gone;   /* so is the client */
};

static void export_free(void *state)
{
    struct export *x = state;
    struct api *api = x->req->api;

    api->n_exports--;
    api->metrics->exports_active--;
    env_timer_cancel(api->env, &x->retry);
    if (x->pdf)
        pdf_deinit(x->pdf);
    free(x->pdf);
    free(x);
}

/* ---- what stands around the pages ---- */

static void put_json_opening(struct buf *out, const struct api_request *req,
                             const json_t *start)
{
    const struct export *x = req->state;
    struct json_writer w = json_writer(out);
    char now[TIME_TEXT_MAX],
        *members = json_dumps(json_object_get(start, "members"), JSON_COMPACT);
    size_t len = time_format(env_wall_us(req->api->env), now);

    json_write_object(&w);
    json_field_object(&w, "room");
    json_field_str(&w, "id", slice_str(x->room));
    json_field_str(&w, "name", json_slice(json_object_get(start, "name")));
    json_field_str(&w, "type", json_slice(json_object_get(start, "type")));
    json_field_str(&w, "created_at", json_slice(json_object_get(start, "createdAt")));
    json_write_object_end(&w);
    json_field_str(&w, "exportedAt", slice_of(now, len));
    json_field_str(&w, "exportedBy", slice_str(req->admission.token.user));
    json_field_u64(&w, "afterSeq", x->first);
    json_field_u64(&w, "endSeq", x->end);
    json_field_i64(&w, "memberCount",
                   (int64_t)json_integer_value(json_object_get(start, "memberCount")));
    json_field_raw(&w, "members", members ? slice_str(members) : SLICE_LIT("[]"));
    json_write_key(&w, "entries");
    buf_put_char(out, '[');
    free(members);
}

/* What the document has ready. */
static void put_pdf(struct buf *out, struct pdf *pdf)
{
    if (pdf_failed(pdf))
        out->failed = true;
    buf_put_slice(out, buf_slice(&pdf->out));
    pdf_taken(pdf);
}

/* One line of NDJSON: a message. False: it is none. */
static bool set_message(struct pdf *pdf, struct slice line)
{
    AUTO(json_free) json_t *message = NULL;
    AUTO_BUF heading = BUF_INIT;

    if (json_load_object(line, LINK_MESSAGE_MAX, &message) != 0)
        return false;
    buf_put_slice(&heading, json_slice(json_object_get(message, "userId")));
    buf_put_str(&heading, "  \xc2\xb7  ");
    buf_put_slice(&heading, json_slice(json_object_get(message, "createdAt")));
    if (json_is_string(json_object_get(message, "editedAt")))
        buf_put_str(&heading, "  \xc2\xb7  edited");
    pdf_put(pdf, PDF_HEADING, buf_slice(&heading));
    pdf_put(pdf, PDF_TEXT, json_slice(json_object_get(message, "content")));
    return !buf_failed(&heading);
}

/* A page of messages, set. */
static bool set_page(struct buf *out, struct pdf *pdf, struct slice lines)
{
    while (lines.len > 0) {
        const char *end = memchr(lines.data, '\n', lines.len);
        size_t len = end ? (size_t)(end - lines.data) : lines.len;

        if (!set_message(pdf, slice_of(lines.data, len)))
            return false;
        len += end != NULL;
        lines = slice_of(lines.data + len, lines.len - len);
    }
    put_pdf(out, pdf);
    return !buf_failed(out);
}

static void put_opening(struct buf *out, const struct api_request *req, const json_t *start)
{
    const struct export *x = req->state;
    struct slice name = json_slice(json_object_get(start, "name"));

    switch (x->format) {
    case FORMAT_JSON:
        buf_put_str(out, "{\"messages\":[");
        return;
    case FORMAT_NDJSON:
        return;
    case FORMAT_CSV:
        if (x->first == 0)
            buf_put_str(out, "id,createdAt,roomId,userId,content,parentId,mentions\r\n");
        return;
    case FORMAT_MARKDOWN:
        if (x->first > 0)
            return;
        buf_put_str(out, "# ");
        for (size_t i = 0; i < name.len; i++) {
            bool is_markup = name.data[i] != 0 && strchr("\\`*_{}[]<>()#+-.!|~&", name.data[i]);

            if (is_markup)
                buf_put_char(out, '\\');
            buf_put_char(out,
                         name.data[i] == '\n' || name.data[i] == '\r' ? ' ' : name.data[i]);
        }
        buf_put_char(out, '\n');
        return;
    case FORMAT_COMPLIANCE:
        put_json_opening(out, req, start);
        return;
    case FORMAT_PDF:
        pdf_put(x->pdf, PDF_TITLE, name);
        put_pdf(out, x->pdf);
        return;
    }
}

static void put_closing(struct buf *out, struct export *x)
{
    switch (x->format) {
    case FORMAT_JSON:
        buf_printf(out, "\n],\"lastSeq\":%llu}\n", (unsigned long long)x->end);
        return;
    case FORMAT_NDJSON:
        buf_printf(out, "{\"end\":true,\"lastSeq\":%llu,\"count\":%llu}\n",
                   (unsigned long long)x->end, (unsigned long long)x->written);
        return;
    case FORMAT_CSV:
    case FORMAT_MARKDOWN:
        return;
    case FORMAT_COMPLIANCE:
        buf_printf(out, "\n],\"lastSeq\":%llu,\"count\":%llu}\n", (unsigned long long)x->end,
                   (unsigned long long)x->written);
        return;
    case FORMAT_PDF:
        pdf_end(x->pdf);
        put_pdf(out, x->pdf);
        return;
    }
}

/* ---- pages ---- */

static void go_on(struct api_request *req);

static void finish(struct api_request *req)
{
    struct export *x = req->state;
    AUTO_BUF closing = BUF_INIT;

    put_closing(&closing, x);
    if (buf_failed(&closing) ||
        (closing.len > 0 && api_reply_part(req, buf_slice(&closing)) < 0)) {
        api_reply_abort(req);
        return;
    }
    req->api->metrics->exports_done++;
    api_reply_end(req);
}

/* The cluster cannot answer at the moment; it soon may. */
static void retry_or_cut(struct api_request *req, const struct call_reply *answer)
{
    struct export *x = req->state;
    bool may_retry = answer->error || answer->status == 503;

    if (may_retry && x->n_retries < EXPORT_RETRIES &&
        env_timer(req->api->env, &x->retry, env_jitter_ms(req->api->env, EXPORT_RETRY_MS)) ==
            0) {
        x->n_retries++;
        return;
    }
    log_warn("an export ended early", L_U64("status", answer->status),
             L_U64("after_seq", x->after), L_STR("trace_id", req->ex->trace.id));
    api_reply_abort(req);
}

/* False: it is not what a shard answers. */
static bool read_page(struct export *x, struct slice body, uint64_t *ret_count)
{
    AUTO(json_free) json_t *json = NULL;
    struct json_fields f;
    int64_t last;

    if (json_load_object(body, LINK_MESSAGE_MAX, &json) != 0)
        return false;
    f = json_fields(json);
    last = json_get_int(&f, "lastSeq", 0, INT64_MAX, ERROR_internal_error);
    *ret_count = (uint64_t)json_get_int(&f, "count", 0, INT64_MAX, ERROR_internal_error);
    if (json_fields_failed(&f) || (uint64_t)last <= x->after)
        return false;
    x->after = (uint64_t)last;
    return true;
}

static void on_page(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;
    struct export *x = req->state;
    bool is_comma =
        (x->format == FORMAT_JSON || x->format == FORMAT_COMPLIANCE) && x->written > 0;
    AUTO_BUF set = BUF_INIT;
    struct slice text;
    uint64_t count;
    int r = 0;

    x->is_asking = false;
    if (x->is_gone) {
        api_reply_abort(req);
        return;
    }
    if (answer->error || answer->status != 200) {
        retry_or_cut(req, answer);
        return;
    }
    if (!read_page(x, answer->body, &count)) {
        api_reply_abort(req);
        return;
    }
    x->n_retries = 0;
    x->written += count;
    req->api->metrics->export_bytes += answer->data.len;
    if (count > 0 && is_comma)
        r = api_reply_part(req, SLICE_LIT(","));
    if (x->pdf && !set_page(&set, x->pdf, answer->data))
        r = -ENOMEM;
    text = x->pdf ? buf_slice(&set) : answer->data;
    if (r >= 0 && text.len > 0)
        r = api_reply_part(req, text);
    if (r < 0)
        api_reply_abort(req);
    else if (r == 0)
        go_on(req);
}

static void go_on(struct api_request *req)
{
    struct export *x = req->state;
    char params[2 * ID_MAX + 160];
    int len;

    if (x->after >= x->end) {
        finish(req);
        return;
    }
    len = snprintf(params, sizeof(params),
                   "{\"roomId\":\"%s\",\"format\":\"%s\",\"afterSeq\":%llu,\"endSeq\":%llu}",
                   x->room, formats[x->format].name, (unsigned long long)x->after,
                   (unsigned long long)x->end);
    x->is_asking = api_ask(req, CALL_EXPORT_PAGE, slice_of(NULL, 0),
                           slice_of(params, (size_t)len), slice_of(NULL, 0), on_page);
    if (!x->is_asking)
        retry_or_cut(req, &(struct call_reply){.status = 503});
}

static void on_retry(struct timer *timer, void *arg)
{
    (void)timer;
    go_on(arg);
}

static void on_writable(void *owner)
{
    struct api_request *req = owner;
    struct export *x = req->state;

    if (!x->is_asking && !timer_is_armed(&x->retry))
        go_on(req);
}

static void on_gone(void *owner)
{
    struct api_request *req = owner;
    struct export *x = req->state;

    x->is_gone = true;
    if (!x->is_asking)
        api_reply_abort(req);
}

static const struct http_stream_events events = {on_writable, on_gone};

/* ---- beginning ---- */

static void begin(struct api_request *req, const json_t *start)
{
    struct export *x = req->state;
    char total[24], cursor[24], disposition[ID_MAX + 64];
    AUTO_BUF opening = BUF_INIT;
    struct http_header headers[] = {
        {"Cache-Control", SLICE_LIT("no-store")},
        {"Content-Disposition", slice_str(disposition)},
        {"X-Total-Messages", slice_str(total)},
        {"X-Export-Cursor", slice_str(cursor)},
    };
    struct http_stream_head head = {.status = 200,
                                    .content_type = formats[x->format].content_type,
                                    .headers = headers,
                                    .n_headers = ARRAY_LEN(headers),
                                    .length = HTTP_LENGTH_UNKNOWN};

    snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s.%s\"", x->room,
             formats[x->format].suffix);
    snprintf(total, sizeof(total), "%lld",
             (long long)json_integer_value(json_object_get(start, "total")));
    snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)x->end);
    for (size_t i = 1; i < ARRAY_LEN(headers); i++)
        headers[i].value.len = strlen(headers[i].value.data);
    put_opening(&opening, req, start);
    if (buf_failed(&opening)) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    if (api_reply_begin(req, &head, &events, req) < 0) {
        api_reply_abort(req);
        return;
    }
    if (req->ex->request.method == HTTP_HEAD)
        api_reply_end(req);
    else if (opening.len > 0 && api_reply_part(req, buf_slice(&opening)) < 0)
        api_reply_abort(req);
    else
        go_on(req);
}

static void on_start(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;
    struct export *x = req->state;
    AUTO(json_free) json_t *start = NULL;
    struct json_fields f;

    if (answer->error || answer->status != 200) {
        api_pass_on(req, answer);
        return;
    }
    if (json_load_object(answer->body, LINK_MESSAGE_MAX, &start) != 0) {
        api_reply_error(req, ERROR_internal_error, slice_of(NULL, 0));
        return;
    }
    f = json_fields(start);
    x->first = x->after =
        (uint64_t)json_get_int(&f, "afterSeq", 0, INT64_MAX, ERROR_internal_error);
    x->end = (uint64_t)json_get_int(&f, "endSeq", 0, INT64_MAX, ERROR_internal_error);
    if (x->end < x->first)
        x->end = x->first;
    if (!api_fields_ok(req, &f))
        return;
    if (x->pdf && json_integer_value(json_object_get(start, "total")) > EXPORT_PDF_MAX)
        api_reply_error(req, ERROR_payload_too_large,
                        SLICE_LIT("too many messages for a PDF: narrow it with from and to"));
    else
        begin(req, start);
}

/* False: answered. */
static bool put_params(struct api_request *req, struct buf *params)
{
    const struct export *x = req->state;
    struct json_writer w = json_writer(params);

    json_write_object(&w);
    json_field_str(&w, "format", slice_str(formats[x->format].name));
    json_field_str(&w, "roomId", slice_str(x->room));
    if (!api_param_time(req, &w, "from") || !api_param_time(req, &w, "to") ||
        !api_param_number(req, &w, "afterSeq", 0, INT64_MAX, ERROR_invalid_cursor) ||
        !api_param_number(req, &w, "afterId", 1, INT64_MAX, ERROR_invalid_cursor))
        return false;
    json_write_object_end(&w);
    return true;
}

/* False: answered. */
static bool make_pdf(struct api_request *req, struct export *x)
{
    if (!req->api->export_font) {
        api_reply_error(req, ERROR_not_implemented,
                        SLICE_LIT("this server has no font for it (FLUXY_EXPORT_FONT)"));
        return false;
    }
    x->pdf = calloc(1, sizeof(*x->pdf));
    if (x->pdf && pdf_init(x->pdf, &req->api->export_font->ttf) == 0)
        return true;
    api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    return false;
}

static void start(struct api_request *req, enum format format, struct slice room)
{
    struct api *api = req->api;
    struct export *x;
    AUTO_BUF params = BUF_INIT;

    if (api->n_exports >= EXPORTS_AT_ONCE) {
        api_reply_error(req, ERROR_overloaded, SLICE_LIT("too many exports at once"));
        return;
    }
    x = calloc(1, sizeof(*x));
    if (!x) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    api->n_exports++;
    api->metrics->exports_active++;
    x->req = req;
    x->format = format;
    memcpy(x->room, room.data, room.len);
    timer_init(&x->retry, on_retry, req);
    req->state = x;
    req->free_state = export_free;
    if (format == FORMAT_PDF && !make_pdf(req, x))
        return;
    if (!put_params(req, &params))
        return;
    if (buf_failed(&params) || !api_ask(req, CALL_EXPORT_START, slice_of(NULL, 0),
                                        buf_slice(&params), slice_of(NULL, 0), on_start))
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
}

/* The room is a query parameter. */
static void start_by_query(struct api_request *req, enum format format)
{
    AUTO_BUF room = BUF_INIT;

    if (!api_query_room(req, "roomId", &room))
        return;
    start(req, format, buf_slice(&room));
}

void api_get_export_json(struct api_request *req)
{
    start_by_query(req, FORMAT_JSON);
}

void api_get_export_ndjson(struct api_request *req)
{
    start_by_query(req, FORMAT_NDJSON);
}

void api_get_export_csv(struct api_request *req)
{
    start_by_query(req, FORMAT_CSV);
}

void api_get_compliance_export(struct api_request *req)
{
    start(req, FORMAT_COMPLIANCE, slice_str(req->room));
}

void api_get_export_markdown(struct api_request *req)
{
    start(req, FORMAT_MARKDOWN, slice_str(req->room));
}

void api_get_export_pdf(struct api_request *req)
{
    start(req, FORMAT_PDF, slice_str(req->room));
}
