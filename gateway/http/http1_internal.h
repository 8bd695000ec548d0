/*
 * http1_internal.h - what the files of a connection share: http1_conn.c (its
 * life), http1_body.c (bodies in parts), exchange.c and exchange_stream.c
 * (answers).
 */
#pragma once

#include "gateway/http/http1_conn.h"

enum conn_state {
    CONN_IDLE,
    CONN_READING,
    CONN_ANSWERING,
    CONN_STREAMING,
    CONN_BLOCKED,
    CONN_LINGERING,
    CONN_CLOSED
};

/* A body that is taken in parts. */
enum body_state {
    BODY_NONE,    /* collected, or read to its end */
    BODY_WAITING, /* nobody has asked for it yet */
    BODY_FLOWING,
    BODY_PAUSED,
};

struct http1_conn {
    struct http_server *server;
    struct stream *stream;          /* owned; NULL when closed or handed over */
    struct http_exchange *exchange; /* owned while READING; else the handler's */
    struct http1_parser *parser;    /* owned while READING, and while a body is open */
    struct buf backlog;             /* bytes behind the request that is being answered, or of a
                                     * body that nobody takes yet */
    struct wheel_entry timeout;
    struct http_peer peer;
    struct list link; /* http_server.conns */
    struct later dead;
    struct later feed;          /* a body that may flow again */
    uint64_t parts_deadline_ms; /* the end of an open body */
    size_t queued_mark;         /* STREAMING: what was queued when the timeout was armed */
    uint32_t n_requests;
    enum conn_state state;
    enum body_state body;
    bool in_body; /* READING: the head is complete */
    bool refused; /* the request was not read to its end */
    bool parsing; /* process() is on the stack */
};

/* http1_conn.c */
void conn_close(struct http1_conn *conn, bool flush);
void conn_parser_release(struct http1_conn *conn);
/* The one way out, for closed and for handed-over connections alike. */
void conn_finish(struct http1_conn *conn, bool upgraded);
/* The answer is written: the next request, or the end. */
void conn_after_reply(struct http1_conn *conn, bool keep_alive);
const char *http_server_date(struct http_server *server);
/* The client does not wait for this exchange any more: it is answered, or the connection is
 * gone. */
void exchange_detach(struct http_exchange *ex);
void exchange_release(struct http_exchange *ex);

/* http1_body.c */
/* The head asks for a body in parts: it waits until somebody takes it. */
void body_open(struct http1_conn *conn);
/* Nobody wants the rest. True when there is one: the connection cannot be used further. */
bool body_drop(struct http1_conn *conn);
/* Input while a body is open. */
void body_on_bytes(struct http1_conn *conn, struct slice bytes);
void body_on_feed(struct later *later, void *conn);
void body_on_timeout(struct http1_conn *conn);
/* The handler hears that the rest will not come (why may be NULL), if it has asked. */
void body_fail(struct http_exchange *ex, const struct http_refusal *why);

/* exchange_stream.c */
void stream_on_writable(struct http1_conn *conn);
/* The queue has been full for HTTP_WRITE_TIMEOUT_MS. */
void stream_on_timeout(struct http1_conn *conn);
/* The connection is gone while the answer was being written. */
void stream_gone(struct http_exchange *ex);
