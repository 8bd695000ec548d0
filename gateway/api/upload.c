/*
 * upload.c - POST /upload: a file in the body of a request, as it is.
 *
 *   checked -> (may the caller read the room?) -> FILE_CREATE -> RECEIVING -> FILE_FINISH ->
 * answer
 *
 * RECEIVING: bytes gather up to one piece; a full piece goes out as FILE_PUT,
 * one at a time, while the next one gathers. When that is full too the client
 * is not read until the store has answered: an upload holds two pieces at most.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "gateway/api/file_meta.h"
#include "gateway/api/request.h"
#include "gateway/metrics.h"

#define KEY_RANDOM 16

/* api_request.state */
struct upload {
    struct api *api;
    char key[2 * KEY_RANDOM + 1];
    char room[ID_MAX + 1]; /* empty: none */
    char type[FILE_TYPE_MAX + 1];
    struct buf name;
    struct buf piece; /* gathers */
    uint64_t size;
    uint32_t n_pieces; /* sent */
    bool is_asking;    /* a call is under way */
    bool has_ended;    /* the body is here */
    bool has_failed;   /* it never will be: answer with the rest */
    bool is_done;
    enum error_code error;
    struct buf detail;
};

static void upload_free(void *state)
{
    struct upload *u = state;
    struct gateway_metrics *m = u->api->metrics;

    u->api->n_uploads--;
    m->uploads_active--;
    if (u->is_done)
        m->uploads_done++;
    else
        m->uploads_failed++;
    buf_deinit(&u->name);
    buf_deinit(&u->piece);
    buf_deinit(&u->detail);
    free(u);
}

/* ---- the end ---- */

static void on_removed(void *arg, const struct call_reply *answer)
{
    (void)arg;
    (void)answer; /* what stays behind is swept away */
}

/* Nobody waits for it: the request is over before the answer comes. */
static void remove_file(struct api_request *req)
{
    const struct upload *u = req->state;
    char params[sizeof(u->key) + 16];
    int len = snprintf(params, sizeof(params), "{\"key\":\"%s\"}", u->key);
    struct call_params call_params = {
        .op = CALL_FILE_REMOVE,
        .project = slice_str(req->admission.token.project),
        .user = slice_str(req->admission.token.user),
        .params = slice_of(params, (size_t)len),
        .trace = trace_slice(&req->ex->trace),
    };
    struct call *call;

    /* Refused: swept away as well. */
    if (calls_start(req->api->calls, &call_params, on_removed, NULL, &call) != 0)
        return;
}

static void give_up(struct api_request *req)
{
    struct upload *u = req->state;

    remove_file(req);
    api_reply_error(req, u->error, buf_slice(&u->detail));
}

/* Answers now, or when the call under way is over. */
static void fail(struct api_request *req, enum error_code error, struct slice detail)
{
    struct upload *u = req->state;

    u->has_failed = true;
    u->error = error;
    buf_clear(&u->detail);
    buf_put_slice(&u->detail, detail);
    if (!u->is_asking)
        give_up(req);
}

/* The answer of a step. False: it was no good, and the request is over. */
static bool is_good(struct api_request *req, const struct call_reply *answer)
{
    struct upload *u = req->state;

    u->is_asking = false;
    if (u->has_failed) {
        give_up(req);
        return false;
    }
    if (!answer->error && answer->status == 200)
        return true;
    if (u->n_pieces > 0)
        remove_file(req);
    api_pass_on(req, answer);
    return false;
}

static void write_file(const struct upload *u, struct json_writer *w)
{
    char url[sizeof(u->key) + 32];

    snprintf(url, sizeof(url), "/attachments/%s", u->key);
    json_field_object(w, "file");
    json_field_str(w, "key", slice_str(u->key));
    json_field_str(w, "url", slice_str(url));
    json_field_str(w, "name", buf_slice(&u->name));
    json_field_str(w, "contentType", slice_str(u->type));
    json_field_u64(w, "size", u->size);
    json_write_object_end(w);
}

static void on_finished(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;
    struct upload *u = req->state;
    AUTO_BUF body = BUF_INIT;
    struct json_writer w = json_writer(&body);

    if (!is_good(req, answer))
        return;
    u->is_done = true;
    json_write_object(&w);
    json_field_bool(&w, "success", true);
    write_file(u, &w);
    json_write_object_end(&w);
    if (buf_failed(&body))
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    else
        api_reply_json(req, 200, buf_slice(&body));
}

/* ---- receiving ---- */

/* False: the request is over. */
static bool ask(struct api_request *req, enum call_op op, struct slice room,
                const struct buf *params, struct slice data, call_done_fn fn)
{
    struct upload *u = req->state;

    u->is_asking = !buf_failed(params) && api_ask(req, op, room, buf_slice(params), data, fn);
    if (u->is_asking)
        return true;
    fail(req, ERROR_overloaded, slice_of(NULL, 0));
    return false;
}

static void finish(struct api_request *req)
{
    const struct upload *u = req->state;
    AUTO_BUF params = BUF_INIT;

    buf_printf(&params, "{\"key\":\"%s\",\"size\":%llu,\"pieces\":%u}", u->key,
               (unsigned long long)u->size, u->n_pieces);
    (void)ask(req, CALL_FILE_FINISH, slice_of(NULL, 0), &params, slice_of(NULL, 0),
              on_finished);
}

static void go_on(struct api_request *req);

static void on_put(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;

    if (is_good(req, answer))
        go_on(req);
}

static void send_piece(struct api_request *req)
{
    struct upload *u = req->state;
    size_t len = MIN(u->piece.len, (size_t)FILE_CHUNK_BYTES);
    AUTO_BUF params = BUF_INIT;

    buf_printf(&params, "{\"key\":\"%s\",\"n\":%u}", u->key, u->n_pieces);
    u->n_pieces++;
    if (ask(req, CALL_FILE_PUT, slice_of(NULL, 0), &params, slice_of(u->piece.data, len),
            on_put))
        buf_drop_front(&u->piece, len);
}

/* No call is under way: the next piece, the end, or more of the body. */
static void go_on(struct api_request *req)
{
    struct upload *u = req->state;

    if (u->piece.len >= FILE_CHUNK_BYTES || (u->has_ended && u->piece.len > 0))
        send_piece(req);
    else if (u->has_ended)
        finish(req);
    else
        http_exchange_pause_body(req->ex, false);
}

static void on_part(void *owner, struct slice part)
{
    struct api_request *req = owner;
    struct upload *u = req->state;

    u->size += part.len;
    req->api->metrics->upload_bytes += part.len;
    buf_put_slice(&u->piece, part);
    if (buf_failed(&u->piece)) {
        fail(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    if (u->piece.len < FILE_CHUNK_BYTES)
        return;
    if (u->is_asking)
        http_exchange_pause_body(req->ex, true);
    else
        send_piece(req);
}

static void on_end(void *owner)
{
    struct api_request *req = owner;
    struct upload *u = req->state;

    u->has_ended = true;
    if (!u->is_asking)
        go_on(req);
}

static void on_fail(void *owner, const struct http_refusal *why)
{
    struct api_request *req = owner;
    enum error_code code = why ? error_code_parse(slice_str(why->code)) : ERROR_bad_request;

    fail(req, code == ERROR_NONE ? ERROR_bad_request : code, slice_str(why ? why->detail : ""));
}

static const struct http_body_events body_events = {on_part, on_end, on_fail};

/* ---- beginning ---- */

static void on_created(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;

    if (!is_good(req, answer))
        return;
    if (http_exchange_take_body(req->ex, &body_events, req) < 0)
        fail(req, ERROR_overloaded, slice_of(NULL, 0));
}

static void create(struct api_request *req)
{
    const struct upload *u = req->state;
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    json_write_object(&w);
    json_field_str(&w, "key", slice_str(u->key));
    json_field_str_opt(&w, "roomId", slice_str(u->room));
    json_field_str(&w, "name", buf_slice(&u->name));
    json_field_str(&w, "contentType", slice_str(u->type));
    json_write_object_end(&w);
    (void)ask(req, CALL_FILE_CREATE, slice_of(NULL, 0), &params, slice_of(NULL, 0), on_created);
}

static void on_room(void *arg, const struct call_reply *answer)
{
    struct api_request *req = arg;

    if (is_good(req, answer))
        create(req);
}

/* False: answered. */
static bool read_head(struct api_request *req, struct upload *u)
{
    const struct http_request *request = &req->ex->request;
    struct slice name = {0}, type = {0}, room = {0};

    (void)http_request_field(request, "x-file-name", &name); /* absent: empty */
    (void)http_request_field(request, "content-type", &type);
    switch (file_name_clean(name, &u->name)) {
    case 0:
        break;
    case FILE_NAME_BAD:
        api_reply_error(req, ERROR_invalid_name,
                        SLICE_LIT("X-File-Name must be percent-encoded UTF-8"));
        return false;
    default:
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return false;
    }
    switch (file_type_clean(type, u->type)) {
    case FILE_TYPE_FORM:
        api_reply_error(req, ERROR_unsupported_media_type,
                        SLICE_LIT("the body must be the file itself, not a form with it"));
        return false;
    case FILE_TYPE_BAD:
        api_reply_error(req, ERROR_unsupported_media_type,
                        SLICE_LIT("Content-Type must be type/subtype"));
        return false;
    }
    if (http_request_field_count(request, "x-room-id") &&
        (!http_request_field(request, "x-room-id", &room) || !ident_copy(room, u->room))) {
        api_reply_error(req, ERROR_invalid_id, SLICE_LIT("X-Room-Id"));
        return false;
    }
    if (!u->room[0] && req->admission.token.room[0]) {
        api_reply_error(req, ERROR_forbidden,
                        SLICE_LIT("the token is good for one room: name it in X-Room-Id"));
        return false;
    }
    return !u->room[0] || api_may_use_room(req, slice_str(u->room));
}

/* False: answered. */
static bool within_limits(struct api_request *req)
{
    struct api *api = req->api;
    const struct token *token = &req->admission.token;
    uint64_t key = hash_two(slice_str(token->project), slice_str(token->user));
    uint64_t left, retry_ms;

    if (api->n_uploads >= UPLOADS_AT_ONCE) {
        api_reply_error(req, ERROR_overloaded, SLICE_LIT("too many uploads at once"));
        return false;
    }
    if (rate_table_take(&api->upload_limit, key, 1, env_now_ms(api->env), &left, &retry_ms))
        return true;
    api_reply_retry(req, ERROR_rate_limit_exceeded, retry_ms);
    return false;
}

static struct upload *upload_new(struct api_request *req)
{
    struct upload *u = calloc(1, sizeof(*u));
    uint8_t random[KEY_RANDOM];

    if (!u)
        return NULL;
    u->api = req->api;
    u->api->n_uploads++;
    u->api->metrics->uploads_active++;
    env_random(u->api->env, random, sizeof(random));
    hex_encode(random, sizeof(random), u->key);
    return u;
}

void api_post_upload(struct api_request *req)
{
    AUTO_BUF no_params = BUF_INIT;
    struct upload *u;

    if (!within_limits(req))
        return;
    u = upload_new(req);
    if (!u) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    req->state = u;
    req->free_state = upload_free;
    if (!read_head(req, u))
        return;
    buf_put_str(&no_params, "{}");
    if (u->room[0])
        (void)ask(req, CALL_ROOM_GET, slice_str(u->room), &no_params, slice_of(NULL, 0),
                  on_room);
    else
        create(req);
}
