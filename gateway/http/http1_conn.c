/*
 * http1_conn.c - the life of a connection:
 *
 *   IDLE -> READING -> ANSWERING -+-> STREAMING (an answer in parts) -+-> IDLE ...
 *             |            |      +-----------------------------------+
 *             |            |      +-> BLOCKED (the client does not read its answers) -> IDLE
 *             +-> refused -+-> LINGERING -> closed
 *
 * One request at a time: what comes behind it waits in `backlog` (the stream is
 * paused, so that is one read at most), and answers leave in order by itself.
 *
 * LINGERING: after an answer that ends the connection the input is read and
 * thrown away for a moment. Closing with unread input makes the kernel send a
 * reset, which can destroy the answer before the client has read it.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/http/http1_internal.h"
#include "gateway/http/http1_response.h"

static void conn_process(struct http1_conn *conn, struct slice in);

/* ---- exchanges ---- */

static void exchange_free_now(struct later *later, void *arg)
{
    struct http_exchange *ex = arg;

    (void)later;
    http_request_deinit(&ex->request);
    buf_deinit(&ex->body);
    free(ex);
}

void exchange_detach(struct http_exchange *ex)
{
    ex->conn->server->body_bytes -= ex->body.len;
    ex->conn->exchange = NULL;
    ex->conn = NULL;
}

void exchange_release(struct http_exchange *ex)
{
    if (ex->conn)
        exchange_detach(ex);
    ex->body_events = NULL;
    env_free_later(ex->env, &ex->dead);
}

void conn_parser_release(struct http1_conn *conn)
{
    if (conn->parser)
        http1_parser_deinit(conn->parser);
    free(conn->parser);
    conn->parser = NULL;
}

/* Once the head is read, or before it when the request fails earlier. */
static void exchange_set_trace(struct http_exchange *ex)
{
    struct slice trace_id = {0}, traceparent = {0};
    uint8_t random[16];

    (void)http_request_field(&ex->request, "x-trace-id", &trace_id); /* absent: empty */
    (void)http_request_field(&ex->request, "traceparent", &traceparent);
    env_random(ex->env, random, sizeof(random));
    trace_begin(&ex->trace, trace_id, traceparent, random);
}

static int exchange_begin(struct http1_conn *conn)
{
    struct env *env = conn->server->env;
    struct http_exchange *ex = calloc(1, sizeof(*ex));
    struct http1_parser *parser = calloc(1, sizeof(*parser));

    if (!ex || !parser) {
        free(ex);
        free(parser);
        return -ENOMEM;
    }
    http1_parser_init(parser, &ex->request, HTTP_BODY_MAX);
    later_init(&ex->dead, exchange_free_now, ex);
    ex->conn = conn;
    ex->env = env;
    ex->from_trusted_proxy = conn->peer.trusted_proxy;
    ex->secure = conn->peer.secure;
    ex->started_ms = env_now_ms(env);
    memcpy(ex->address, conn->peer.address, sizeof(ex->address));
    conn->exchange = ex;
    conn->parser = parser;
    conn->state = CONN_READING;
    conn->in_body = false;
    return 0;
}

/* ---- the end of a connection ---- */

static void conn_free_now(struct later *later, void *arg)
{
    struct http1_conn *conn = arg;

    (void)later;
    buf_deinit(&conn->backlog);
    free(conn);
}

void conn_finish(struct http1_conn *conn, bool upgraded)
{
    struct http_server *server = conn->server;
    struct http_exchange *told = NULL;

    if (conn->exchange && conn->state == CONN_READING) {
        exchange_release(conn->exchange);
    } else if (conn->exchange) {
        told = conn->exchange;
        exchange_detach(told); /* the handler still answers, into nothing */
    }
    conn_parser_release(conn);
    later_cancel(&conn->feed);
    conn->state = CONN_CLOSED;
    conn->stream = NULL;
    wheel_cancel(&conn->timeout);
    list_del(&conn->link);
    env_free_later(server->env, &conn->dead);
    server->events->on_done(server->owner, conn->peer.context, upgraded);
    if (told && told->stream_events)
        stream_gone(told);
    else if (told)
        body_fail(told, NULL);
}

void conn_close(struct http1_conn *conn, bool flush)
{
    if (conn->state == CONN_CLOSED)
        return;
    stream_close(conn->stream, flush);
    conn_finish(conn, false);
}

static void conn_linger(struct http1_conn *conn)
{
    if (!conn->refused) { /* nothing unread to wait for */
        conn_close(conn, true);
        return;
    }
    conn->state = CONN_LINGERING;
    stream_pause(conn->stream, false);
    wheel_set(conn->server->wheel, &conn->timeout, HTTP_LINGER_MS);
}

/* ---- time ---- */

static void conn_on_timeout(struct wheel_entry *entry)
{
    static const struct http_refusal slow_head = {408, "request_timeout",
                                                  "the head did not arrive in time"};
    static const struct http_refusal slow_body = {408, "request_timeout",
                                                  "the body did not arrive in time"};
    struct http1_conn *conn = container_of(entry, struct http1_conn, timeout);
    struct http_server *server = conn->server;

    switch (conn->state) {
    case CONN_READING: {
        struct http_exchange *ex = conn->exchange;

        if (!conn->in_body)
            exchange_set_trace(ex);
        conn_parser_release(conn);
        conn->state = CONN_ANSWERING;
        conn->refused = true;
        ex->request.keep_alive = false;
        server->events->on_refused(server->owner, ex, conn->in_body ? &slow_body : &slow_head);
        return;
    }
    case CONN_IDLE:
    case CONN_LINGERING:
        conn_close(conn, true);
        return;
    case CONN_BLOCKED:
        conn_close(conn, false);
        return;
    case CONN_STREAMING:
        stream_on_timeout(conn);
        return;
    case CONN_ANSWERING:
        body_on_timeout(conn);
        return;
    case CONN_CLOSED:
        return;
    }
}

/* ---- after an answer ---- */

const char *http_server_date(struct http_server *server)
{
    int64_t now_s = env_wall_us(server->env) / 1000000;

    if (now_s != server->date_s || !server->date[0]) {
        server->date_s = now_s;
        http_date_format(now_s, server->date);
    }
    return server->date;
}

void conn_after_reply(struct http1_conn *conn, bool keep_alive)
{
    struct buf backlog;

    if (!keep_alive) {
        conn_linger(conn);
        return;
    }
    if (conn->stream->queued_bytes > conn->stream->high_bytes) { /* on_drained will come */
        conn->state = CONN_BLOCKED;
        stream_pause(conn->stream, true);
        wheel_set(conn->server->wheel, &conn->timeout, HTTP_WRITE_TIMEOUT_MS);
        return;
    }
    conn->state = CONN_IDLE;
    wheel_set(conn->server->wheel, &conn->timeout, HTTP_IDLE_TIMEOUT_MS);
    if (conn->parsing) /* conn_process() is below us on the stack and goes on itself */
        return;
    stream_pause(conn->stream, false);
    backlog = conn->backlog;
    conn->backlog = BUF_INIT;
    conn_process(conn, buf_slice(&backlog));
    buf_deinit(&backlog);
}

/* ---- requests ---- */

/* The head is here: the body is collected, unless *ret_in_parts. */
static int conn_on_head(struct http1_conn *conn, bool body_is_here, bool *ret_in_parts)
{
    struct http_exchange *ex = conn->exchange;
    struct http_server *server = conn->server;
    uint64_t limit =
        server->events->body_limit ? server->events->body_limit(server->owner, ex) : 0;

    exchange_set_trace(ex);
    conn->in_body = true;
    if (limit)
        conn->parser->body_max = limit;
    if (ex->request.content_length > conn->parser->body_max)
        return 0; /* the parser refuses it */
    *ret_in_parts = limit > 0;
    if (limit)
        return 0;
    wheel_set(server->wheel, &conn->timeout, HTTP_BODY_TIMEOUT_MS);
    if (ex->request.expect_continue && !body_is_here)
        return stream_write_bytes(conn->stream, SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    return 0;
}

static bool conn_on_body(struct http1_conn *conn, struct slice part)
{
    struct http_exchange *ex = conn->exchange;

    if (conn->server->body_bytes + part.len > HTTP_BODIES_TOTAL_MAX)
        return false;
    buf_put_slice(&ex->body, part);
    if (buf_failed(&ex->body))
        return false;
    conn->server->body_bytes += part.len;
    return true;
}

/* Hands the request up. What is left of the input goes to the backlog first: an upgrade takes
 * it along. */
static void conn_dispatch(struct http1_conn *conn, struct slice rest,
                          const struct http_refusal *refusal)
{
    static const struct http_refusal no_memory = {503, "overloaded", "out of memory"};
    struct http_server *server = conn->server;
    struct http_exchange *ex = conn->exchange;

    conn->state = CONN_ANSWERING;
    conn->n_requests++;
    wheel_cancel(&conn->timeout);
    if (refusal) {
        struct http_refusal why = *refusal;

        if (!conn->in_body)
            exchange_set_trace(ex);
        conn->refused = true;
        ex->request.keep_alive = false;
        conn_parser_release(conn);
        server->events->on_refused(server->owner, ex, &why);
        return;
    }
    if (conn->body == BODY_NONE)
        conn_parser_release(conn);
    buf_put_slice(&conn->backlog, rest);
    if (buf_failed(&conn->backlog)) {
        ex->request.keep_alive = false;
        server->events->on_refused(server->owner, ex, &no_memory);
        return;
    }
    server->events->on_request(server->owner, ex);
    if (conn->state == CONN_ANSWERING ||
        (conn->state == CONN_STREAMING && !conn->exchange->stream_watched))
        stream_pause(conn->stream, true);
}

/* Reads on until the input is used up or a request has gone up. */
static void conn_read(struct http1_conn *conn, struct slice *in)
{
    static const struct http_refusal overloaded = {503, "overloaded",
                                                   "too many request bodies at once"};

    while (conn->state == CONN_READING) {
        struct slice part = {0};
        bool in_parts = false;

        switch (http1_parse(conn->parser, in, &part)) {
        case HTTP1_MORE:
            return;
        case HTTP1_HEAD:
            if (conn_on_head(conn, in->len > 0, &in_parts) < 0) {
                conn_close(conn, false);
            } else if (in_parts) {
                body_open(conn);
                conn_dispatch(conn, *in, NULL);
                *in = slice_of(NULL, 0);
            }
            break;
        case HTTP1_BODY:
            if (!conn_on_body(conn, part)) {
                conn_dispatch(conn, *in, &overloaded);
                *in = slice_of(NULL, 0);
            }
            break;
        case HTTP1_END:
            conn_dispatch(conn, *in, NULL);
            *in = slice_of(NULL, 0);
            break;
        case HTTP1_BAD:
            conn_dispatch(conn, *in, &conn->parser->refusal);
            *in = slice_of(NULL, 0);
            break;
        }
    }
}

static void conn_process(struct http1_conn *conn, struct slice in)
{
    struct buf pending = BUF_INIT; /* backlog of requests that were answered at once */

    conn->parsing = true;
    while (in.len > 0 && (conn->state == CONN_IDLE || conn->state == CONN_READING)) {
        if (conn->state == CONN_IDLE) {
            if (exchange_begin(conn) < 0) {
                conn_close(conn, false);
                break;
            }
            wheel_set(conn->server->wheel, &conn->timeout, HTTP_HEAD_TIMEOUT_MS);
        }
        conn_read(conn, &in);
        if (in.len == 0 && conn->state == CONN_IDLE && conn->backlog.len) {
            buf_deinit(&pending);
            pending = conn->backlog;
            conn->backlog = BUF_INIT;
            in = buf_slice(&pending);
        }
    }
    conn->parsing = false;
    buf_deinit(&pending);
}

/* ---- the stream ---- */

static void conn_on_bytes(void *owner, struct slice bytes)
{
    struct http1_conn *conn = owner;

    switch (conn->state) {
    case CONN_IDLE:
    case CONN_READING:
        conn_process(conn, bytes);
        return;
    case CONN_ANSWERING:
    case CONN_STREAMING:
    case CONN_BLOCKED:
        if (conn->body != BODY_NONE) {
            body_on_bytes(conn, bytes);
            return;
        }
        stream_pause(conn->stream, true); /* an event stream is read until then */
        buf_put_slice(&conn->backlog, bytes);
        if (buf_failed(&conn->backlog) || conn->backlog.len > HTTP_PIPELINE_MAX)
            conn_close(conn, false);
        return;
    case CONN_LINGERING:
    case CONN_CLOSED:
        return;
    }
}

static void conn_on_drained(void *owner)
{
    struct http1_conn *conn = owner;

    if (conn->state == CONN_BLOCKED)
        conn_after_reply(conn, true);
    else if (conn->state == CONN_STREAMING)
        stream_on_writable(conn);
}

static void conn_on_close(void *owner, enum stream_end end)
{
    (void)end;
    conn_finish(owner, false);
}

static const struct stream_events conn_stream_events = {
    .on_bytes = conn_on_bytes,
    .on_drained = conn_on_drained,
    .on_close = conn_on_close,
};

int http1_conn_new(struct http_server *server, struct stream *stream,
                   const struct http_peer *peer)
{
    struct http1_conn *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        stream_close(stream, false);
        return -ENOMEM;
    }
    conn->server = server;
    conn->stream = stream;
    conn->peer = *peer;
    later_init(&conn->dead, conn_free_now, conn);
    later_init(&conn->feed, body_on_feed, conn);
    wheel_entry_init(&conn->timeout, conn_on_timeout);
    wheel_set(server->wheel, &conn->timeout, HTTP_HEAD_TIMEOUT_MS);
    list_add_tail(&server->conns, &conn->link);
    stream_set_events(stream, &conn_stream_events, conn);
    return 0;
}

/* ---- the server ---- */

void http_server_init(struct http_server *server, struct env *env, struct wheel *wheel,
                      const struct http_events *events, void *owner)
{
    *server =
        (struct http_server){.env = env, .wheel = wheel, .events = events, .owner = owner};
    list_init(&server->conns);
}

void http_server_drain(struct http_server *server)
{
    struct http1_conn *conn, *next;

    server->draining = true;
    list_for_each_safe(conn, next, &server->conns, link)
    {
        if (conn->state == CONN_IDLE)
            conn_close(conn, true);
        else if (conn->state == CONN_READING)
            wheel_set(server->wheel, &conn->timeout, HTTP_DRAIN_TIMEOUT_MS);
    }
}

void http_server_close_all(struct http_server *server)
{
    while (!list_empty(&server->conns))
        conn_close(list_first(&server->conns, struct http1_conn, link), false);
}
