/*
 * http1_conn.h - one HTTP/1.1 connection over any stream: feeds the parser,
 * keeps time, writes answers in order, hands the stream over on an upgrade.
 * Knows no routes. A connection between requests holds no request state.
 */
#pragma once

#include "common/base/wheel.h"
#include "gateway/http/exchange.h"
#include "gateway/http/http1_parse.h"

struct http_events {
    /* Asked when the head is complete. 0: the body is collected before on_request (at most
     * HTTP_BODY_MAX). Else it is taken in parts, at most that many bytes, and on_request comes
     * at once. NULL: always 0. */
    uint64_t (*body_limit)(void *owner, struct http_exchange *ex);
    /* A whole request. The callee owns the exchange. */
    void (*on_request)(void *owner, struct http_exchange *ex);
    /* A request that was refused while it was read (request may be half empty). The callee owns
     * the exchange and answers it; the connection ends then. */
    void (*on_refused)(void *owner, struct http_exchange *ex, const struct http_refusal *why);
    /* The connection has ended, or was upgraded. context is what http1_conn_new() was given. */
    void (*on_done)(void *owner, void *context, bool upgraded);
};

/* What all connections of a process share. */
struct http_server {
    struct env *env;
    struct wheel *wheel;
    const struct http_events *events;
    void *owner;
    bool draining;             /* every answer ends its connection */
    size_t body_bytes;         /* held for unfinished requests, over all connections */
    struct list conns;         /* struct http1_conn */
    char date[HTTP_DATE_TEXT]; /* Date header of second date_s */
    int64_t date_s;
};

void http_server_init(struct http_server *server, struct env *env, struct wheel *wheel,
                      const struct http_events *events, void *owner);
/* Draining: idle connections end now, requests that are being read get a moment more, the
 * others end with their answer. */
void http_server_drain(struct http_server *server);
/* Ends all connections at once. */
void http_server_close_all(struct http_server *server);

/* Where a connection comes from. */
struct http_peer {
    char address[HTTP_ADDRESS_TEXT];
    bool trusted_proxy;
    bool secure;
    void *context; /* for on_done */
};

/* Takes over the stream (closes it on failure). */
int http1_conn_new(struct http_server *server, struct stream *stream,
                   const struct http_peer *peer) MUST_CHECK;
