/*
 * ws_upgrade.h - the opening handshake of a WebSocket (RFC 6455 section 4.2),
 * as a check of a request head and the headers of the answer.
 */
#pragma once

#include "gateway/http/exchange.h"
#include "gateway/http/http1_parse.h"

#define WS_ACCEPT_TEXT 29 /* 28 characters and NUL */
#define WS_SUBPROTOCOL "fluxy.v1"

struct ws_upgrade {
    char accept[WS_ACCEPT_TEXT];
    bool subprotocol; /* the client offered WS_SUBPROTOCOL: answer it */
};

/* False: *ret_refusal says why (426 when the request is no upgrade, or of another version). */
bool ws_upgrade_check(const struct http_request *request, struct ws_upgrade *ret_upgrade,
                      struct http_refusal *ret_refusal);
/* The headers of the 101 answer; returns how many. ret holds at least 4. */
size_t ws_upgrade_headers(const struct ws_upgrade *upgrade, struct http_header *ret);
