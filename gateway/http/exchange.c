/* exchange.c - whole answers, and upgrades; see exchange.h. */
#include <assert.h>

#include "gateway/http/http1_internal.h"
#include "gateway/http/http1_response.h"

void http_exchange_reply(struct http_exchange *ex, const struct http_response *response)
{
    struct http1_conn *conn = ex->conn;
    struct http_server *server;
    AUTO_BUF out = BUF_INIT;
    AUTO(blob_unref) struct blob *blob = NULL;
    bool keep_alive;

    if (!conn) {
        exchange_release(ex);
        return;
    }
    assert(conn->state == CONN_ANSWERING && conn->exchange == ex);
    server = conn->server;
    keep_alive = !body_drop(conn) && ex->request.keep_alive && !response->close &&
                 !server->draining && conn->n_requests < HTTP_REQUESTS_PER_CONNECTION;
    http1_response_write(&out, response, http_server_date(server),
                         ex->request.method == HTTP_HEAD, keep_alive);
    blob = buf_to_blob(&out);
    exchange_release(ex);
    if (!blob || stream_write(conn->stream, blob) < 0) {
        conn_close(conn, false);
        return;
    }
    conn_after_reply(conn, keep_alive);
}

void http_exchange_of_tenant(struct http_exchange *ex, uint64_t tenant)
{
    if (ex->conn)
        ex->conn->stream->tenant = tenant;
}

struct stream *http_exchange_upgrade(struct http_exchange *ex,
                                     const struct http_header *headers, size_t n_headers,
                                     struct buf *ret_rest)
{
    struct http_response response = {.status = 101, .headers = headers, .n_headers = n_headers};
    struct http1_conn *conn = ex->conn;
    struct stream *stream = NULL;
    AUTO_BUF out = BUF_INIT;

    exchange_release(ex);
    if (!conn)
        return NULL;
    http1_response_write(&out, &response, "", true, true);
    if (buf_failed(&out) || stream_write_bytes(conn->stream, buf_slice(&out)) < 0) {
        conn_close(conn, false);
        return NULL;
    }
    stream = conn->stream;
    stream_pause(stream, false);
    *ret_rest = conn->backlog;
    conn->backlog = BUF_INIT;
    conn_finish(conn, true);
    return stream;
}
