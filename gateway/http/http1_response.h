/* http1_response.h - an answer as HTTP/1.1 bytes. Pure. */
#pragma once

#include "gateway/http/exchange.h"

/* Appends status line, headers and body. head_only: the body is left out, its length is told
 * (HEAD). date: value of the Date header. */
void http1_response_write(struct buf *out, const struct http_response *response,
                          const char *date, bool head_only, bool keep_alive);
/* The head of an answer whose body comes in parts; chunked: of unknown length, to a client that
 * knows the coding. */
void http1_stream_head_write(struct buf *out, const struct http_stream_head *head,
                             const char *date, bool chunked, bool keep_alive);
/* "Tue, 03 Feb 2026 04:05:06 GMT" for seconds since 1970. */
void http_date_format(int64_t seconds, char ret[HTTP_DATE_TEXT]);
const char *http_reason(unsigned status);
