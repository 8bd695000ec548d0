/*
 * exchange.h - one request and its answer. The handler that is given an
 * exchange owns it until it answers, exactly once, at once or later; the client
 * may be gone by then, which the handler need not care about.
 *
 * An answer is either whole (http_exchange_reply), or comes in parts:
 *
 *   http_exchange_begin()  status line and headers
 *   http_exchange_write()  part after part; HTTP_STREAM_FULL: wait for on_writable
 *   http_exchange_end()    all of it was written; the connection goes on
 *   http_exchange_abort()  it cannot be finished; the connection is cut, so that the client
 *                          does not take what it has for the whole
 *
 * A body is either here already (ex->body), or, where http_events.body_limit
 * says so, is taken in parts: http_exchange_take_body().
 */
#pragma once

#include "common/base/env.h"
#include "common/base/trace.h"
#include "gateway/http/request.h"

struct http1_conn;

#define HTTP_DATE_TEXT 48    /* more than any Date header */
#define HTTP_ADDRESS_TEXT 46 /* an IPv6 address and NUL */

struct http_header {
    const char *name;
    struct slice value; /* no CR, LF or NUL: from our own code or checked */
};

struct http_response {
    unsigned status;
    const char *content_type; /* NULL: none is sent */
    struct slice body;
    const struct http_header *headers;
    size_t n_headers;
    bool close; /* the connection ends with this answer */
};

struct http_exchange {
    struct http_request request;
    struct buf body;
    struct http1_conn *conn; /* NULL: the client is gone */
    struct env *env;
    char address[HTTP_ADDRESS_TEXT]; /* the client's, as text */
    bool from_trusted_proxy;         /* the TCP peer may speak for others (X-Forwarded-For) */
    bool secure;                     /* came over TLS */
    struct trace trace;              /* the request's own, or a fresh one */
    uint64_t started_ms;
    struct later dead;
    /* private: an answer in parts */
    const struct http_stream_events *stream_events; /* NULL: not begun, or told already */
    void *stream_owner;
    uint64_t stream_left; /* of the length that was promised; HTTP_LENGTH_UNKNOWN */
    bool stream_chunked, stream_watched, keep_alive;
    /* private: a body in parts */
    const struct http_body_events *body_events; /* NULL: not taken, or over */
    void *body_owner;
};

/* Writes the answer and gives the exchange back. A body that has not come whole ends the
 * connection with it. */
void http_exchange_reply(struct http_exchange *ex, const struct http_response *response);

/* Who asks is known: its connection is read in turn with those of other tenants. */
void http_exchange_of_tenant(struct http_exchange *ex, uint64_t tenant);

/*
 * Switches protocols: answers 101 with these headers and hands the stream over, without events
 * (the caller sets its own at once). ret_rest: bytes that came behind the request. NULL when
 * the client is gone. The exchange is given back.
 */
struct stream *http_exchange_upgrade(struct http_exchange *ex,
                                     const struct http_header *headers, size_t n_headers,
                                     struct buf *ret_rest);

/* ---- an answer in parts ---- */

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

struct http_stream_events {
    /* What was written has gone out far enough: go on. Comes only after HTTP_STREAM_FULL. */
    void (*on_writable)(void *owner);
    /* The client is gone, or reads too slowly (HTTP_WRITE_PROGRESS_BYTES). Once; abort the
     * exchange, now or later. */
    void (*on_gone)(void *owner);
};

struct http_stream_head {
    unsigned status;
    const char *content_type; /* NULL: none is sent */
    const struct http_header *headers;
    size_t n_headers;
    /* Of the body. HTTP_LENGTH_UNKNOWN: chunked coding; to HTTP/1.0 the end of the connection
     * ends it. */
    uint64_t length;
    /* on_gone at once when the client ends its side of the connection, also when nothing is
     * written. For event streams; a client may end its side and still read a download. */
    bool watch;
};

enum http_stream_answer { HTTP_STREAM_FULL = 1 };

/* Sends status line and headers; events are borrowed and outlive the exchange. To HEAD only
 * these are sent: parts are counted and dropped. -EPIPE: the client is gone; -ENOMEM. After an
 * error nothing more is sent and no event comes: abort. */
int http_exchange_begin(struct http_exchange *ex, const struct http_stream_head *head,
                        const struct http_stream_events *events, void *owner) MUST_CHECK;
/* Sends a part of the body (copied). 0: at will; HTTP_STREAM_FULL: taken, but more should wait
 * for on_writable (the queue grows with those who do not); <0: as http_exchange_begin(). */
int http_exchange_write(struct http_exchange *ex, struct slice part) MUST_CHECK;
/* The same for bytes that are shared with others. */
int http_exchange_write_blob(struct http_exchange *ex, struct blob *blob) MUST_CHECK;
/* Bytes written that the client has not taken yet. */
size_t http_exchange_queued(const struct http_exchange *ex);
/* Both give the exchange back. A body that is shorter than was promised is cut off. */
void http_exchange_end(struct http_exchange *ex);
void http_exchange_abort(struct http_exchange *ex);

/* ---- a body in parts ---- */

struct http_refusal;

struct http_body_events {
    /* The next part; valid during the call. */
    void (*on_part)(void *owner, struct slice part);
    /* That was all of it. */
    void (*on_end)(void *owner);
    /* The rest will not come. why: what to answer; NULL: the client is gone. */
    void (*on_fail)(void *owner, const struct http_refusal *why);
};

/* Begins to read the body, which waited until now (a client that expects 100-continue is told
 * to go on). Events come later, exactly one of on_end and on_fail, unless the exchange is
 * answered first. -EPIPE: the client is gone; -ENOMEM; then no event comes: answer. */
int http_exchange_take_body(struct http_exchange *ex, const struct http_body_events *events,
                            void *owner) MUST_CHECK;
/* Paused, no part comes, and the client is not read from. May be called from on_part. */
void http_exchange_pause_body(struct http_exchange *ex, bool paused);
