/*
 * reply.c - the answers of all endpoints: JSON, errors in the form that the
 * client accepts, CORS, trace id, limits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/secret.h"
#include "gateway/api/request.h"
#include "gateway/http/uri.h"
#include "gateway/metrics.h"

#define HEADERS_MAX 16
#define EXPOSED                                                                                \
    "X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed, "             \
    "Content-Disposition, Content-Range, ETag, X-Total-Messages, X-Export-Cursor"
#define ALLOWED_HEADERS                                                                        \
    "Content-Type, Authorization, X-Trace-Id, X-Fluxy-Api-Key, X-Project-Id, "                 \
    "Idempotency-Key, traceparent, Last-Event-ID, X-File-Name, X-Room-Id, Range, "             \
    "If-None-Match, If-Range"
#define PAGE_POLICY                                                                            \
    "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors "  \
    "'none'; base-uri 'none'"

struct headers {
    struct http_header items[HEADERS_MAX];
    size_t n;
    char retry_after[24], limit[48], policy[48];
};

static void add(struct headers *headers, const char *name, struct slice value)
{
    if (headers->n < HEADERS_MAX)
        headers->items[headers->n++] = (struct http_header){name, value};
}

/* Browsers of other origins: who may read the answer (Fetch standard, section 3.2). */
static void add_cors(struct headers *headers, const struct api *api,
                     const struct http_request *request)
{
    struct slice origin = {0};

    if (api->any_origin) {
        add(headers, "Access-Control-Allow-Origin", SLICE_LIT("*"));
    } else {
        add(headers, "Vary", SLICE_LIT("Origin"));
        if (!http_request_field(request, "origin", &origin) || !api_allows_origin(api, origin))
            return;
        add(headers, "Access-Control-Allow-Origin", origin);
    }
    add(headers, "Access-Control-Expose-Headers", SLICE_LIT(EXPOSED));
}

static void add_limit(struct headers *headers, const struct api_request *req)
{
    const struct ratelim_rule *rule = &req->api->mint_limit.rule;

    snprintf(headers->policy, sizeof(headers->policy), "\"token\";q=%llu;w=60",
             (unsigned long long)rule->burst);
    snprintf(headers->limit, sizeof(headers->limit), "\"token\";r=%llu",
             (unsigned long long)req->limit_left);
    add(headers, "RateLimit-Policy", slice_str(headers->policy));
    add(headers, "RateLimit", slice_str(headers->limit));
}

static void count(struct gateway_metrics *m, unsigned status)
{
    switch (status / 100) {
    case 2:
        m->http_2xx++;
        break;
    case 3:
        m->http_3xx++;
        break;
    case 4:
        m->http_4xx++;
        break;
    default:
        m->http_5xx++;
        break;
    }
}

/* Each request at debug; at warn those that failed on our side (busy is no failure). */
static void log_request(const struct http_exchange *ex, unsigned status, uint64_t now_ms)
{
    bool failed = status >= 500 && status != 503;
    AUTO_BUF target = BUF_INIT;

    if (!log_is_on(failed ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG))
        return;
    buf_put_slice(&target, http_request_path(&ex->request));
    if (ex->request.query.len) {
        buf_put_char(&target, '?');
        uri_query_scrub(http_request_query(&ex->request), &target);
    }
    LOG_AT(failed ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "request",
           L_STR("method", http_method_name(ex->request.method)),
           L_SLICE("target", buf_slice(&target)), L_U64("status", status),
           L_U64("ms", now_ms - ex->started_ms), L_STR("trace_id", ex->trace.id));
}

/* What every answer bears. */
static void add_common(struct api_request *req, struct headers *headers,
                       uint64_t retry_after_ms)
{
    add(headers, "X-Trace-Id", trace_slice(&req->ex->trace));
    add(headers, "X-Content-Type-Options", SLICE_LIT("nosniff"));
    add_cors(headers, req->api, &req->ex->request);
    if (retry_after_ms) {
        snprintf(headers->retry_after, sizeof(headers->retry_after), "%llu",
                 (unsigned long long)((retry_after_ms + 999) / 1000));
        add(headers, "Retry-After", slice_str(headers->retry_after));
    }
    if (req->has_limit)
        add_limit(headers, req);
}

static void request_free(struct api_request *req)
{
    if (req->free_state)
        req->free_state(req->state);
    if (req->credential.data)
        secret_wipe(req->credential.data, req->credential.cap);
    buf_deinit(&req->credential);
    buf_deinit(&req->next_params);
    json_decref(req->body);
    list_del(&req->link);
    free(req);
}

/* The end of every request with a whole answer. */
static void finish(struct api_request *req, struct http_response *response,
                   struct headers *headers, uint64_t retry_after_ms)
{
    struct api *api = req->api;

    add_common(req, headers, retry_after_ms);
    response->headers = headers->items;
    response->n_headers = headers->n;
    count(api->metrics, response->status);
    log_request(req->ex, response->status, env_now_ms(api->env));
    http_exchange_reply(req->ex, response);
    request_free(req);
}

static bool accepts_problem(const struct http_request *request)
{
    for (size_t i = 0; i < request->n_fields; i++) {
        struct slice list, element;

        if (!slice_eq_nocase(http_request_span(request, request->fields[i].name), "accept"))
            continue;
        list = http_request_span(request, request->fields[i].value);
        while (http_list_next(&list, &element)) {
            const char *end = element.len ? memchr(element.data, ';', element.len) : NULL;

            if (end)
                element.len = (size_t)(end - element.data);
            if (slice_eq_nocase(element, "application/problem+json"))
                return true;
        }
    }
    return false;
}

static void reply(struct api_request *req, unsigned status, struct slice body,
                  uint64_t retry_after_ms)
{
    bool problem = status >= 400 && accepts_problem(&req->ex->request);
    struct http_response response = {
        .status = status,
        .content_type = problem ? "application/problem+json" : "application/json",
        .body = body,
    };
    struct headers headers = {0};

    add(&headers, "Cache-Control", SLICE_LIT("no-store"));
    if (req->replayed)
        add(&headers, "Idempotency-Replayed", SLICE_LIT("true"));
    if (status == 401)
        add(&headers, "WWW-Authenticate", SLICE_LIT("Bearer"));
    if (status == 426) { /* RFC 9110 15.5.22 and 7.8, RFC 6455 4.4 */
        add(&headers, "Connection", SLICE_LIT("Upgrade"));
        add(&headers, "Upgrade", SLICE_LIT("websocket"));
        add(&headers, "Sec-WebSocket-Version", SLICE_LIT("13"));
    }
    finish(req, &response, &headers, retry_after_ms);
}

void api_reply_json(struct api_request *req, unsigned status, struct slice body)
{
    reply(req, status, body, 0);
}

static void reply_error(struct api_request *req, enum error_code code, struct slice detail,
                        uint64_t retry_after_ms)
{
    AUTO_BUF body = BUF_INIT;

    error_body_write(&body, code, detail, trace_slice(&req->ex->trace));
    if (req->errors_have_code && !buf_failed(&body)) {
        body.len--; /* the closing brace */
        buf_printf(&body, ",\"code\":\"%s\"}", error_info(code)->code);
    }
    reply(req, error_info(code)->status, buf_slice(&body), retry_after_ms);
}

void api_reply_error(struct api_request *req, enum error_code code, struct slice detail)
{
    bool busy = error_info(code)->status == 503;

    reply_error(req, code, detail, busy ? API_RETRY_AFTER_MS : 0);
}

void api_reply_retry(struct api_request *req, enum error_code code, uint64_t retry_after_ms)
{
    reply_error(req, code, slice_of(NULL, 0), retry_after_ms);
}

void api_reply_method_not_allowed(struct api_request *req, const char *allow)
{
    AUTO_BUF body = BUF_INIT;
    struct http_response response = {.status = 405, .content_type = "application/json"};
    struct headers headers = {0};

    error_body_write(&body, ERROR_method_not_allowed, slice_of(NULL, 0),
                     trace_slice(&req->ex->trace));
    response.body = buf_slice(&body);
    if (accepts_problem(&req->ex->request))
        response.content_type = "application/problem+json";
    add(&headers, "Allow", slice_str(allow));
    finish(req, &response, &headers, 0);
}

void api_reply_not_modified(struct api_request *req, struct slice etag)
{
    struct http_response response = {.status = 304};
    struct headers headers = {0};

    add(&headers, "ETag", etag);
    add(&headers, "Cache-Control", SLICE_LIT("private, no-cache"));
    finish(req, &response, &headers, 0);
}

void api_reply_bad_range(struct api_request *req, uint64_t size)
{
    AUTO_BUF body = BUF_INIT;
    struct http_response response = {.status = 416, .content_type = "application/json"};
    struct headers headers = {0};
    char range[40];

    error_body_write(&body, ERROR_range_not_satisfiable, slice_of(NULL, 0),
                     trace_slice(&req->ex->trace));
    response.body = buf_slice(&body);
    snprintf(range, sizeof(range), "bytes */%llu", (unsigned long long)size);
    add(&headers, "Content-Range", slice_str(range));
    finish(req, &response, &headers, 0);
}

void api_reply_options(struct api_request *req, const char *allow)
{
    struct http_response response = {.status = 204};
    struct headers headers = {0};

    add(&headers, "Allow", slice_str(allow));
    add(&headers, "Access-Control-Allow-Methods", slice_str(allow));
    add(&headers, "Access-Control-Allow-Headers", SLICE_LIT(ALLOWED_HEADERS));
    add(&headers, "Access-Control-Max-Age", SLICE_LIT("600"));
    finish(req, &response, &headers, 0);
}

bool api_has_tag(const struct api_request *req, const char *field, struct slice etag)
{
    struct slice list, tag;

    if (!http_request_field(&req->ex->request, field, &list))
        return false;
    while (http_list_next(&list, &tag)) {
        if (tag.len > 2 && memcmp(tag.data, "W/", 2) == 0)
            tag = slice_of(tag.data + 2, tag.len - 2);
        if (slice_eq(tag, etag) || slice_eq_str(tag, "*"))
            return true;
    }
    return false;
}

/* Takes what the file is served with; a client that has it already is told so. */
static void reply_embedded(struct api_request *req, const struct embedded *file,
                           const char *type, struct headers *headers)
{
    struct slice etag = slice_str(file->tag);
    struct http_response response = {.status = 304};

    add(headers, "ETag", etag);
    if (!api_has_tag(req, "if-none-match", etag)) {
        response.status = 200;
        response.content_type = type;
        response.body = slice_of(file->bytes, file->len);
    }
    finish(req, &response, headers, 0);
}

void api_reply_page(struct api_request *req, const struct embedded *file, const char *type)
{
    struct headers headers = {0};

    add(&headers, "Cache-Control", SLICE_LIT("no-cache"));
    add(&headers, "Content-Security-Policy", SLICE_LIT(PAGE_POLICY));
    add(&headers, "Referrer-Policy", SLICE_LIT("no-referrer"));
    reply_embedded(req, file, type, &headers);
}

void api_reply_document(struct api_request *req, const struct embedded *file)
{
    struct headers headers = {0};

    add(&headers, "Cache-Control", SLICE_LIT("public, max-age=300"));
    reply_embedded(req, file, "application/json", &headers);
}

void api_reply_redirect(struct api_request *req, const char *to)
{
    struct http_response response = {.status = 302};
    struct headers headers = {0};

    add(&headers, "Location", slice_str(to));
    finish(req, &response, &headers, 0);
}

/* ---- answers in parts ---- */

int api_reply_begin(struct api_request *req, const struct http_stream_head *head,
                    const struct http_stream_events *events, void *owner)
{
    struct http_stream_head full = *head;
    struct headers headers = {0};

    for (size_t i = 0; i < head->n_headers; i++)
        add(&headers, head->headers[i].name, head->headers[i].value);
    add_common(req, &headers, 0);
    full.headers = headers.items;
    full.n_headers = headers.n;
    req->streams = true;
    req->stream_status = head->status;
    count(req->api->metrics, head->status);
    return http_exchange_begin(req->ex, &full, events, owner);
}

int api_reply_part(struct api_request *req, struct slice part)
{
    return http_exchange_write(req->ex, part);
}

void api_reply_end(struct api_request *req)
{
    log_request(req->ex, req->stream_status, env_now_ms(req->api->env));
    http_exchange_end(req->ex);
    request_free(req);
}

void api_reply_abort(struct api_request *req)
{
    log_debug("answer cut", L_STR("trace_id", req->ex->trace.id));
    http_exchange_abort(req->ex);
    request_free(req);
}

/* ---- answers of the cluster ---- */

static void pass_on(struct api_request *req, const struct call_reply *answer)
{
    AUTO_BUF body = BUF_INIT;

    req->replayed = answer->replayed;
    if (answer->status < 400 && req->then) {
        TAKE(req->then)(req, answer->body);
        return;
    }
    if (answer->status >= 400)
        error_body_add_trace(&body, answer->body, trace_slice(&req->ex->trace));
    else if (!req->rewrite || !req->rewrite(req, answer->body, &body))
        buf_put_slice(&body, answer->body);
    if (buf_failed(&body))
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    else
        reply(req, answer->status, buf_slice(&body), answer->retry_after_ms);
}

void api_pass_on(struct api_request *req, const struct call_reply *answer)
{
    if (answer->error)
        api_reply_error(req, error_code_parse(slice_str(answer->error)), slice_of(NULL, 0));
    else if (answer->status < 200 || answer->status > 599)
        api_reply_error(req, ERROR_internal_error, slice_of(NULL, 0));
    else
        pass_on(req, answer);
}

static void on_answer(void *arg, const struct call_reply *answer)
{
    api_pass_on(arg, answer);
}

static bool start_call(struct api_request *req, enum call_op op, struct slice object,
                       struct slice params, struct slice data, call_done_fn fn)
{
    struct call *call; /* never cancelled: the exchange outlives its client */
    struct call_params call_params = {
        .op = op,
        .object = object,
        .project = slice_str(req->admission.token.project),
        .user = slice_str(req->admission.token.user),
        .roles = req->roles_text,
        .params = params,
        .trace = trace_slice(&req->ex->trace),
        .data = data,
    };

    /* The call that does it, not one that looks something up for it. */
    if (fn == on_answer && !req->then && req->client_key.len) {
        call_params.client_key = req->client_key;
        call_params.request = slice_of(req->request_hash, REQUEST_HASH_BYTES);
    }
    return calls_start(req->api->calls, &call_params, fn, req, &call) == 0;
}

bool api_ask(struct api_request *req, enum call_op op, struct slice room, struct slice params,
             struct slice data, call_done_fn fn)
{
    char object[sizeof("room//") + 2 * (size_t)ID_MAX];
    int len = 0;

    if (room.len)
        len = snprintf(object, sizeof(object), "room/%s/%.*s", req->admission.token.project,
                       (int)room.len, room.data);
    return start_call(req, op, slice_of(object, (size_t)len), params, data, fn);
}

void api_call_room(struct api_request *req, enum call_op op, struct slice room,
                   struct slice params)
{
    if (!api_ask(req, op, room, params, slice_of(NULL, 0), on_answer))
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
}

void api_call_any(struct api_request *req, enum call_op op, struct slice params)
{
    api_call_room(req, op, slice_of(NULL, 0), params);
}
