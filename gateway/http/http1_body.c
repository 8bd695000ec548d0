/*
 * http1_body.c - bodies that are taken in parts:
 *
 *   WAITING -- taken --> FLOWING <--> PAUSED
 *      |                    |            |
 *      +------- end, failure, or an answer that does not wait for it --> NONE
 *
 * What was read too early waits in the connection's backlog, whose size is
 * bounded because the stream is paused as long as nothing flows.
 */
#include <assert.h>
#include <errno.h>

#include "gateway/http/http1_internal.h"

static void arm(struct http1_conn *conn)
{
    uint64_t now_ms = env_now_ms(conn->server->env);
    uint64_t left_ms = conn->parts_deadline_ms > now_ms ? conn->parts_deadline_ms - now_ms : 0;

    wheel_set(conn->server->wheel, &conn->timeout,
              MIN(left_ms, (uint64_t)HTTP_PART_TIMEOUT_MS));
}

void body_open(struct http1_conn *conn)
{
    conn->body = BODY_WAITING;
    conn->parts_deadline_ms = env_now_ms(conn->server->env) + HTTP_PARTS_TIMEOUT_MS;
}

bool body_drop(struct http1_conn *conn)
{
    if (conn->body == BODY_NONE)
        return false;
    conn->body = BODY_NONE;
    conn->refused = true;
    conn_parser_release(conn);
    wheel_cancel(&conn->timeout);
    later_cancel(&conn->feed);
    buf_clear(&conn->backlog);
    return true;
}

void body_fail(struct http_exchange *ex, const struct http_refusal *why)
{
    const struct http_body_events *events = TAKE(ex->body_events);

    if (events)
        events->on_fail(ex->body_owner, why);
}

/* ---- reading ---- */

static void body_end(struct http1_conn *conn, struct slice rest)
{
    struct http_exchange *ex = conn->exchange;
    const struct http_body_events *events = TAKE(ex->body_events);

    conn->body = BODY_NONE;
    conn_parser_release(conn);
    wheel_cancel(&conn->timeout);
    stream_pause(conn->stream, true);
    buf_put_slice(&conn->backlog, rest);
    if (buf_failed(&conn->backlog)) { /* what comes next is lost: no next request */
        buf_clear(&conn->backlog);
        conn->refused = true;
        ex->request.keep_alive = false;
    }
    events->on_end(ex->body_owner);
}

static void body_bad(struct http1_conn *conn, const struct http_refusal *refusal)
{
    struct http_refusal why = *refusal;
    struct http_exchange *ex = conn->exchange;

    ex->request.keep_alive = false;
    (void)body_drop(conn); /* there is one */
    stream_pause(conn->stream, true);
    body_fail(ex, &why);
}

/* True while parts can be given. The handler may have answered, paused, or lost the client. */
static bool flows(const struct http1_conn *conn)
{
    return conn->state == CONN_ANSWERING && conn->body == BODY_FLOWING;
}

static void feed(struct http1_conn *conn, struct slice in)
{
    while (flows(conn)) {
        struct http_exchange *ex = conn->exchange;
        struct slice part = {0};

        switch (http1_parse(conn->parser, &in, &part)) {
        case HTTP1_MORE:
            arm(conn);
            stream_pause(conn->stream, false);
            return;
        case HTTP1_HEAD:
            break;
        case HTTP1_BODY:
            ex->body_events->on_part(ex->body_owner, part);
            break;
        case HTTP1_END:
            body_end(conn, in);
            return;
        case HTTP1_BAD:
            body_bad(conn, &conn->parser->refusal);
            return;
        }
    }
    if (conn->body == BODY_NONE || conn->state != CONN_ANSWERING)
        return;
    buf_put_slice(&conn->backlog, in);
    if (buf_failed(&conn->backlog))
        conn_close(conn, false);
}

void body_on_bytes(struct http1_conn *conn, struct slice bytes)
{
    if (conn->body == BODY_FLOWING && !conn->backlog.len) {
        feed(conn, bytes);
        return;
    }
    buf_put_slice(&conn->backlog, bytes);
    if (buf_failed(&conn->backlog) || conn->backlog.len > HTTP_PIPELINE_MAX)
        conn_close(conn, false);
}

/* At the end of the turn: the handler has taken the body or lets it flow again. */
void body_on_feed(struct later *later, void *arg)
{
    struct http1_conn *conn = arg;
    struct buf backlog = conn->backlog;

    (void)later;
    if (!flows(conn))
        return;
    conn->backlog = BUF_INIT;
    feed(conn, buf_slice(&backlog));
    buf_deinit(&backlog);
}

void body_on_timeout(struct http1_conn *conn)
{
    static const struct http_refusal slow = {408, "request_timeout",
                                             "the body did not arrive in time"};

    if (conn->body == BODY_FLOWING)
        body_bad(conn, &slow);
}

/* ---- the handler's side ---- */

static void flow(struct http1_conn *conn)
{
    conn->body = BODY_FLOWING;
    arm(conn);
    env_later(conn->server->env, &conn->feed);
}

int http_exchange_take_body(struct http_exchange *ex, const struct http_body_events *events,
                            void *owner)
{
    struct http1_conn *conn = ex->conn;

    if (!conn)
        return -EPIPE;
    assert(conn->state == CONN_ANSWERING && conn->body == BODY_WAITING);
    if (ex->request.expect_continue && conn->backlog.len == 0 &&
        stream_write_bytes(conn->stream, SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n")) < 0)
        return -ENOMEM;
    ex->body_events = events;
    ex->body_owner = owner;
    flow(conn);
    return 0;
}

void http_exchange_pause_body(struct http_exchange *ex, bool paused)
{
    struct http1_conn *conn = ex->conn;

    if (!conn || (conn->body != BODY_FLOWING && conn->body != BODY_PAUSED))
        return;
    if (!paused && conn->body == BODY_PAUSED) {
        flow(conn);
    } else if (paused && conn->body == BODY_FLOWING) {
        conn->body = BODY_PAUSED;
        wheel_cancel(&conn->timeout);
        stream_pause(conn->stream, true);
    }
}
