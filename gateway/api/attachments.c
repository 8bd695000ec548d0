/*
 * attachments.c - GET /attachments/{key}: a file, or a range of it, to those
 * who may read its room (or, of no room, to who has uploaded it).
 *
 *   FILE_STAT -> (may the caller read the room?) -> SENDING: FILE_GET, write, FILE_GET...
 *
 * One piece is held at a time: the next one is asked for when the client has
 * room for it. What others uploaded must not run in pages of this origin, so
 * what a browser might run is only offered for saving.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/log.h"
#include "gateway/api/file_meta.h"
#include "gateway/api/request.h"
#include "gateway/http/uri.h"
#include "gateway/metrics.h"

/* PDF viewers of browsers do not start in a sandbox; they run no script of the page. */
#define POLICY "default-src 'none'; style-src 'unsafe-inline'; sandbox"
#define POLICY_PDF "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'"

/* api_request.state */
struct download {
    char key[ID_MAX + 1];
    char room[ID_MAX + 1];
    char type[FILE_TYPE_MAX + 1];
    struct buf disposition;
    uint64_t size;
    uint64_t at, left; /* the next byte to send, and how many */
    bool is_range;
    bool is_asking; /* a call is under way */
    bool is_gone;   /* so is the client */
};

static void download_free(void *state)
{
    struct download *d = state;

    buf_deinit(&d->disposition);
    free(d);
}

static void overloaded(struct api_request *req)
{
    api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
}

/* ---- sending ---- */

static void send_next(struct api_request *req);

static void on_piece(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;
    struct download *d = req->state;
    size_t skip = (size_t)(d->at % FILE_CHUNK_BYTES);
    size_t want = (size_t)MIN(d->left, (uint64_t)(FILE_CHUNK_BYTES - skip));
    int r;

    d->is_asking = false;
    if (!d->is_gone &&
        (answer->error || answer->status != 200 || answer->data.len < skip + want)) {
        log_warn("a download ended early", L_STR("key", d->key),
                 L_U64("status", answer->status), L_STR("trace_id", req->ex->trace.id));
        d->is_gone = true; /* cut: the client sees that it has not got all */
    }
    if (d->is_gone) {
        api_reply_abort(req);
        return;
    }
    d->at += want;
    d->left -= want;
    req->api->metrics->download_bytes += want;
    r = api_reply_part(req, slice_of(answer->data.data + skip, want));
    if (r < 0)
        api_reply_abort(req);
    else if (r == 0)
        send_next(req);
}

static void send_next(struct api_request *req)
{
    struct download *d = req->state;
    char params[ID_MAX + 40];
    int len;

    if (d->left == 0) {
        api_reply_end(req);
        return;
    }
    len = snprintf(params, sizeof(params), "{\"key\":\"%s\",\"n\":%llu}", d->key,
                   (unsigned long long)(d->at / FILE_CHUNK_BYTES));
    d->is_asking = api_ask(req, CALL_FILE_GET, slice_of(NULL, 0), slice_of(params, (size_t)len),
                           slice_of(NULL, 0), on_piece);
    if (!d->is_asking)
        api_reply_abort(req);
}

static void on_writable(void *owner)
{
    struct api_request *req = owner;
    const struct download *d = req->state;

    if (!d->is_asking)
        send_next(req);
}

static void on_gone(void *owner)
{
    struct api_request *req = owner;
    struct download *d = req->state;

    d->is_gone = true;
    if (!d->is_asking)
        api_reply_abort(req);
}

static const struct http_stream_events events = {on_writable, on_gone};

static void begin(struct api_request *req)
{
    struct download *d = req->state;
    bool is_pdf = strcmp(d->type, "application/pdf") == 0;
    char etag[ID_MAX + 3], range[80];
    struct http_header headers[6];
    struct http_stream_head head = {.status = d->is_range ? 206 : 200,
                                    .content_type = d->type,
                                    .headers = headers,
                                    .length = d->left};

    snprintf(etag, sizeof(etag), "\"%s\"", d->key);
    headers[head.n_headers++] = (struct http_header){"ETag", slice_str(etag)};
    headers[head.n_headers++] =
        (struct http_header){"Cache-Control", SLICE_LIT("private, no-cache")};
    headers[head.n_headers++] = (struct http_header){"Accept-Ranges", SLICE_LIT("bytes")};
    headers[head.n_headers++] =
        (struct http_header){"Content-Disposition", buf_slice(&d->disposition)};
    headers[head.n_headers++] = (struct http_header){
        "Content-Security-Policy", is_pdf ? SLICE_LIT(POLICY_PDF) : SLICE_LIT(POLICY)};
    if (d->is_range) {
        snprintf(range, sizeof(range), "bytes %llu-%llu/%llu", (unsigned long long)d->at,
                 (unsigned long long)(d->at + d->left - 1), (unsigned long long)d->size);
        headers[head.n_headers++] = (struct http_header){"Content-Range", slice_str(range)};
    }
    req->api->metrics->downloads++;
    if (api_reply_begin(req, &head, &events, req) < 0) {
        api_reply_abort(req);
        return;
    }
    if (req->ex->request.method == HTTP_HEAD)
        api_reply_end(req);
    else
        send_next(req);
}

/* ---- what is asked for ---- */

/* The tag is the key: a file never changes. */
static bool has_tag(const struct api_request *req, const char *field)
{
    const struct download *d = req->state;
    char etag[ID_MAX + 3];

    snprintf(etag, sizeof(etag), "\"%s\"", d->key);
    return api_has_tag(req, field, slice_str(etag));
}

/* False: answered. */
static bool read_range(struct api_request *req)
{
    struct download *d = req->state;
    const struct http_request *request = &req->ex->request;
    struct slice range;
    uint64_t first, last;

    d->left = d->size;
    if (request->method != HTTP_GET || !http_request_field(request, "range", &range) ||
        (http_request_field_count(request, "if-range") && !has_tag(req, "if-range")))
        return true;
    switch (file_range_read(range, d->size, &first, &last)) {
    case FILE_RANGE_NONE:
        return true;
    case FILE_RANGE_OUTSIDE:
        api_reply_bad_range(req, d->size);
        return false;
    }
    d->is_range = true;
    d->at = first;
    d->left = last - first + 1;
    return true;
}

static void give(struct api_request *req)
{
    const struct download *d = req->state;
    char etag[ID_MAX + 3];

    if (has_tag(req, "if-none-match")) {
        snprintf(etag, sizeof(etag), "\"%s\"", d->key);
        api_reply_not_modified(req, slice_str(etag));
    } else if (read_range(req)) {
        begin(req);
    }
}

/* ---- may he have it? ---- */

static void on_room(void *arg, const struct call_reply *reply)
{
    struct api_request *req = arg;

    if (reply->error || reply->status != 200)
        api_pass_on(req, reply);
    else
        give(req);
}

static bool read_stat(struct download *d, const json_t *stat)
{
    struct json_fields f = json_fields(stat);
    struct slice room = json_get_id_opt(&f, "roomId", ERROR_internal_error);
    struct slice name = json_get_str(&f, "name", 1, FILE_NAME_MAX_CHARS, ERROR_internal_error);
    struct slice type = json_get_str(&f, "contentType", 1, FILE_TYPE_MAX, ERROR_internal_error);

    d->size = (uint64_t)json_get_int(&f, "size", 0, INT64_MAX, ERROR_internal_error);
    if (json_fields_failed(&f) || file_type_clean(type, d->type) != 0)
        return false;
    snprintf(d->room, sizeof(d->room), "%.*s", (int)room.len, room.data ? room.data : "");
    file_disposition_write(&d->disposition, file_type_is_inline(slice_str(d->type)), name);
    if (strcmp(d->type, "text/plain") == 0)
        snprintf(d->type, sizeof(d->type), "text/plain; charset=utf-8");
    return !buf_failed(&d->disposition);
}

static void on_stat(void *arg, const struct call_reply *reply)
{
    struct api_request *req = arg;
    struct download *d = req->state;
    AUTO(json_free) json_t *stat = NULL;
    const struct token *token = &req->admission.token;

    if (reply->error || reply->status != 200) {
        api_pass_on(req, reply);
        return;
    }
    if (json_load_object(reply->body, LINK_MESSAGE_MAX, &stat) != 0 || !read_stat(d, stat)) {
        api_reply_error(req, ERROR_internal_error, slice_of(NULL, 0));
        return;
    }
    if (d->room[0]) {
        if (api_may_use_room(req, slice_str(d->room)) &&
            !api_ask(req, CALL_ROOM_GET, slice_str(d->room), SLICE_LIT("{}"), slice_of(NULL, 0),
                     on_room))
            overloaded(req);
    } else if (slice_eq_str(json_slice(json_object_get(stat, "userId")), token->user) &&
               !token->room[0]) {
        give(req);
    } else {
        api_reply_error(req, ERROR_forbidden, slice_of(NULL, 0));
    }
}

void api_get_attachment(struct api_request *req)
{
    struct download *d = calloc(1, sizeof(*d));
    AUTO_BUF params = BUF_INIT;

    if (!d) {
        overloaded(req);
        return;
    }
    req->state = d;
    req->free_state = download_free;
    snprintf(d->key, sizeof(d->key), "%s", req->room);
    buf_printf(&params, "{\"key\":\"%s\"}", d->key);
    if (!api_ask(req, CALL_FILE_STAT, slice_of(NULL, 0), buf_slice(&params), slice_of(NULL, 0),
                 on_stat))
        overloaded(req);
}
