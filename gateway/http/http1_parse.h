/*
 * http1_parse.h - bytes of an HTTP/1.x connection into one request, RFC 9112,
 * read strictly: whatever two implementations could understand differently is
 * refused (two lengths, repeated lengths, folded lines, bare CR or LF, blanks
 * before a colon, malformed chunks), as is whatever is over its limit.
 *
 * Pure push parser: no sockets, no clock. One parser reads one request; bytes
 * behind it are left to the caller.
 */
#pragma once

#include "gateway/http/request.h"

enum http1_event {
    HTTP1_MORE, /* all bytes are taken, the request is unfinished */
    HTTP1_HEAD, /* the head is complete (request is readable); call again, also without bytes */
    HTTP1_BODY, /* a part of the body; call again */
    HTTP1_END,  /* the request is complete; what is left in the input belongs to the next */
    HTTP1_BAD,  /* refused, see refusal; the connection cannot be used further */
};

/* Why a request is refused: HTTP status, word of errors.def, and what exactly is wrong (static
 * text). */
struct http_refusal {
    unsigned status;
    const char *code;
    const char *detail;
};

enum http1_state {
    HTTP1_IN_REQUEST_LINE,
    HTTP1_IN_FIELDS,
    HTTP1_IN_LENGTH_BODY,
    HTTP1_IN_CHUNK_SIZE,
    HTTP1_IN_CHUNK_DATA,
    HTTP1_IN_CHUNK_END, /* the CRLF behind chunk data */
    HTTP1_IN_TRAILERS,
    HTTP1_AT_END,
    HTTP1_FAILED,
};

struct http1_parser {
    struct http_request *request; /* borrowed, filled while parsing */
    enum http1_state state;
    size_t line_at;      /* head: where the current line begins in request->text */
    struct buf line;     /* chunk size and trailer lines */
    size_t lines_bytes;  /* bytes of chunk extensions and trailers so far */
    uint64_t body_left;  /* of the body, or of the current chunk */
    uint64_t body_bytes; /* seen so far */
    uint64_t body_max;   /* may be changed at HTTP1_HEAD */
    bool skipped_empty_line;
    struct http_refusal refusal; /* after HTTP1_BAD */
};

/* request must be zeroed and outlive the parser. body_max: larger bodies are refused with 413.
 */
void http1_parser_init(struct http1_parser *p, struct http_request *request, uint64_t body_max);
void http1_parser_deinit(struct http1_parser *p); /* leaves the request to its owner */
/* Takes bytes off the front of *in. *ret_body is set for HTTP1_BODY and points into the input.
 */
enum http1_event http1_parse(struct http1_parser *p, struct slice *in, struct slice *ret_body);
/* True once a byte of the request has come. */
bool http1_parser_has_begun(const struct http1_parser *p);
