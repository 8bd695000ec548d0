/* exchange_stream.c - answers in parts; RFC 9112 sections 6 and 7.1. See exchange.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "gateway/http/http1_internal.h"
#include "gateway/http/http1_response.h"

#define CHUNK_HEAD_TEXT 20 /* a length in hex, CRLF and NUL */

/* No event any more: who learns of the end from an answer is not told again. */
static int fail(struct http_exchange *ex, int r)
{
    ex->stream_events = NULL;
    if (ex->conn)
        conn_close(ex->conn, false);
    return r;
}

static int send_head(struct http_exchange *ex, const struct http_stream_head *head)
{
    struct http1_conn *conn = ex->conn;
    AUTO_BUF out = BUF_INIT;

    http1_stream_head_write(&out, head, http_server_date(conn->server), ex->stream_chunked,
                            ex->keep_alive);
    if (buf_failed(&out))
        return -ENOMEM;
    return stream_write_bytes(conn->stream, buf_slice(&out));
}

int http_exchange_begin(struct http_exchange *ex, const struct http_stream_head *head,
                        const struct http_stream_events *events, void *owner)
{
    struct http1_conn *conn = ex->conn;
    bool knows_chunks = ex->request.minor > 0;
    bool has_length = head->length != HTTP_LENGTH_UNKNOWN;

    ex->stream_left = head->length;
    if (!conn)
        return fail(ex, -EPIPE);
    assert(conn->state == CONN_ANSWERING && conn->exchange == ex);
    ex->stream_events = events;
    ex->stream_owner = owner;
    ex->stream_chunked = !has_length && knows_chunks;
    ex->stream_watched = head->watch;
    ex->keep_alive = !body_drop(conn) && ex->request.keep_alive && !conn->server->draining &&
                     (has_length || knows_chunks) &&
                     conn->n_requests < HTTP_REQUESTS_PER_CONNECTION;
    ex->body_events = NULL;
    conn->state = CONN_STREAMING;
    if (send_head(ex, head) < 0)
        return fail(ex, -ENOMEM);
    if (ex->stream_watched && conn->backlog.len == 0)
        stream_pause(conn->stream, false);
    return 0;
}

static int write_chunk(struct http_exchange *ex, struct blob *blob)
{
    struct stream *stream = ex->conn->stream;
    char head[CHUNK_HEAD_TEXT];
    int len, r;

    if (!ex->stream_chunked)
        return stream_write(stream, blob);
    len = snprintf(head, sizeof(head), "%x\r\n", blob->len);
    r = stream_write_bytes(stream, slice_of(head, (size_t)len));
    if (r == 0)
        r = stream_write(stream, blob);
    return r == 0 ? stream_write_bytes(stream, SLICE_LIT("\r\n")) : r;
}

static void watch_reader(struct http1_conn *conn)
{
    conn->queued_mark = conn->stream->queued_bytes;
    wheel_set(conn->server->wheel, &conn->timeout, HTTP_WRITE_TIMEOUT_MS);
}

int http_exchange_write_blob(struct http_exchange *ex, struct blob *blob)
{
    struct http1_conn *conn = ex->conn;

    if (!conn)
        return -EPIPE;
    assert(conn->state == CONN_STREAMING && conn->exchange == ex);
    if (blob->len == 0) /* an empty chunk would be the end */
        return 0;
    if (ex->stream_left != HTTP_LENGTH_UNKNOWN) {
        assert(blob->len <= ex->stream_left);
        ex->stream_left -= blob->len;
    }
    if (ex->request.method == HTTP_HEAD)
        return 0;
    if (write_chunk(ex, blob) < 0)
        return fail(ex, -ENOMEM);
    if (conn->stream->queued_bytes <= conn->stream->high_bytes)
        return 0;
    if (!wheel_is_set(&conn->timeout))
        watch_reader(conn);
    return HTTP_STREAM_FULL;
}

int http_exchange_write(struct http_exchange *ex, struct slice part)
{
    AUTO(blob_unref) struct blob *blob = blob_copy(part);

    return blob ? http_exchange_write_blob(ex, blob) : fail(ex, -ENOMEM);
}

size_t http_exchange_queued(const struct http_exchange *ex)
{
    return ex->conn ? ex->conn->stream->queued_bytes : 0;
}

void http_exchange_end(struct http_exchange *ex)
{
    struct http1_conn *conn = ex->conn;
    bool cut = ex->stream_left != HTTP_LENGTH_UNKNOWN && ex->stream_left > 0 &&
               ex->request.method != HTTP_HEAD;
    bool keep_alive = ex->keep_alive;
    int r = 0;

    if (!conn || cut) {
        http_exchange_abort(ex);
        return;
    }
    assert(conn->state == CONN_STREAMING && conn->exchange == ex);
    if (ex->stream_chunked && ex->request.method != HTTP_HEAD)
        r = stream_write_bytes(conn->stream, SLICE_LIT("0\r\n\r\n"));
    wheel_cancel(&conn->timeout);
    exchange_release(ex);
    if (r < 0) {
        conn_close(conn, false);
        return;
    }
    conn_after_reply(conn, keep_alive && !conn->server->draining);
}

void http_exchange_abort(struct http_exchange *ex)
{
    struct http1_conn *conn = ex->conn;

    ex->stream_events = NULL;
    exchange_release(ex);
    if (conn)
        conn_close(conn, false);
}

/* ---- from the connection ---- */

void stream_on_writable(struct http1_conn *conn)
{
    struct http_exchange *ex = conn->exchange;

    wheel_cancel(&conn->timeout);
    if (ex->stream_events)
        ex->stream_events->on_writable(ex->stream_owner);
}

void stream_on_timeout(struct http1_conn *conn)
{
    if (conn->stream->queued_bytes + HTTP_WRITE_PROGRESS_BYTES <= conn->queued_mark)
        watch_reader(conn);
    else
        conn_close(conn, false);
}

void stream_gone(struct http_exchange *ex)
{
    const struct http_stream_events *events = TAKE(ex->stream_events);

    if (events)
        events->on_gone(ex->stream_owner);
}
