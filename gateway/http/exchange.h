/*
 * exchange.h - one request and its answer. The handler that is given an
 * exchange owns it until it answers, exactly once, at once or later; the client
 * may be gone by then, which the handler need not care about.
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
};

/* Writes the answer and gives the exchange back. */
void http_exchange_reply(struct http_exchange *ex, const struct http_response *response);

/*
 * Switches protocols: answers 101 with these headers and hands the stream over, without events
 * (the caller sets its own at once). ret_rest: bytes that came behind the request. NULL when
 * the client is gone. The exchange is given back.
 */
struct stream *http_exchange_upgrade(struct http_exchange *ex,
                                     const struct http_header *headers, size_t n_headers,
                                     struct buf *ret_rest);
