/*
 * httpc.h - a blocking HTTP/1.1 client for setting a benchmark up: one kept-alive connection,
 * one request at a time, answers with a Content-Length. When the server says that it closes,
 * the next request goes over a new connection.
 */
#pragma once

#include <netinet/in.h>

#include "tests/bench/tool.h"

struct httpc {
    int fd;
    struct sockaddr_in addr;
    struct text in;
    struct text out;
};

void httpc_open(struct httpc *h, const struct sockaddr_in *addr);
void httpc_close(struct httpc *h);

/*
 * @header is one whole header line with its CRLF, or "". Returns the status and points
 * *ret_body at the NUL-terminated body, which lives until the next call. die()s when the
 * server cannot be talked to.
 */
int httpc_post(struct httpc *h, const char *path, const char *header, const char *body,
               const char **ret_body);
