/*
 * http1_parse.c - the parser: collect a line, check it, go on.
 *
 *   REQUEST_LINE -> FIELDS -+-> LENGTH_BODY ---------------------------+-> END
 *                           +-> CHUNK_SIZE <-> CHUNK_DATA, CHUNK_END   |
 *                           |       +-> TRAILERS ----------------------+
 *                           +------------------------------------------+
 *
 * A line is whole when LF comes; control bytes are refused the moment they
 * come, so that a peer speaking another protocol is not waited for.
 */
#include "gateway/http/http1_parse.h"

#include <strings.h>

#include "common/base/codec.h"

enum line_answer { LINE_PARTIAL, LINE_WHOLE, LINE_TOO_LONG, LINE_BAD };

void http1_parser_init(struct http1_parser *p, struct http_request *request, uint64_t body_max)
{
    *p = (struct http1_parser){.request = request, .body_max = body_max};
}

void http1_parser_deinit(struct http1_parser *p)
{
    buf_deinit(&p->line);
}

bool http1_parser_has_begun(const struct http1_parser *p)
{
    return p->state != HTTP1_IN_REQUEST_LINE || p->request->text.len > 0 ||
           p->skipped_empty_line;
}

static enum http1_event refuse(struct http1_parser *p, unsigned status, const char *code,
                               const char *detail)
{
    p->state = HTTP1_FAILED;
    p->refusal = (struct http_refusal){status, code, detail};
    return HTTP1_BAD;
}

static enum http1_event bad(struct http1_parser *p, const char *detail)
{
    return refuse(p, 400, "bad_request", detail);
}

/* ---- characters ---- */

static bool is_token_char(char c) /* RFC 9110 5.6.2 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token_char(s.data[i]))
            return false;
    }
    return s.len > 0;
}

/* Bytes that appear in no line of a head: controls other than tab, CR and LF. */
static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
}

/* ---- lines ---- */

/*
 * Moves bytes up to and with the next LF from *in to buf. The line begins at
 * line_at in buf; *ret_line is its content without CRLF, valid until buf grows.
 */
static enum line_answer take_line(struct buf *buf, size_t line_at, size_t max, struct slice *in,
                                  struct slice *ret_line)
{
    const char *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
    size_t n = end ? (size_t)(end - in->data) + 1 : in->len;
    size_t len = buf->len - line_at; /* of the line so far */
    bool too_long = n > max || len > max - n;

    if (too_long && n > max + 1 - len)
        n = max + 1 - len; /* no more than shows that it is too long */
    for (size_t i = 0; i < n; i++) {
        if (is_control(in->data[i]))
            return LINE_BAD;
    }
    if (in->len == 0)
        return LINE_PARTIAL;
    buf_put(buf, in->data, n);
    *in = slice_of(in->data + n, in->len - n);
    if (too_long)
        return LINE_TOO_LONG;
    if (buf_failed(buf))
        return LINE_BAD;
    len = buf->len - line_at;
    *ret_line = slice_of(buf->data + line_at, len);
    /* A CR is only ever followed by LF, at once when it comes or when the next byte does. */
    const char *cr = len ? memchr(ret_line->data, '\r', len) : NULL;
    if (cr && (size_t)(cr - ret_line->data) + (end ? 2 : 1) != len)
        return LINE_BAD;
    if (!end)
        return LINE_PARTIAL;
    if (!cr)
        return LINE_BAD;
    ret_line->len = len - 2;
    return LINE_WHOLE;
}

static enum http1_event bad_line(struct http1_parser *p, const struct buf *buf)
{
    if (buf_failed(buf))
        return refuse(p, 503, "overloaded", "out of memory");
    return bad(p, "control byte, bare CR or bare LF");
}

static struct slice cut_until(struct slice *rest, char stop)
{
    const char *at = rest->len ? memchr(rest->data, stop, rest->len) : NULL;
    struct slice piece = slice_of(rest->data, at ? (size_t)(at - rest->data) : rest->len);
    size_t taken = piece.len + (at ? 1 : 0);

    *rest = slice_of(rest->data + taken, rest->len - taken);
    return piece;
}

static struct http_span span_of(const struct http_request *request, struct slice s)
{
    return (struct http_span){(uint16_t)(s.data - request->text.data), (uint16_t)s.len};
}

/* ---- the request line ---- */

static bool
host_is_valid(struct slice host) /* uri-host [":" port], RFC 3986, by its characters */
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!alnum && (!c || !strchr("-._~:[]%!$&'()*+,;=", c)))
            return false;
    }
    return host.len > 0;
}

static enum http1_event split_target(struct http1_parser *p, struct slice target)
{
    struct http_request *request = p->request;
    struct slice rest = target, path;

    for (size_t i = 0; i < target.len; i++) {
        if (target.data[i] <= ' ' || target.data[i] >= 0x7f || target.data[i] == '#')
            return bad(p, "character not allowed in the request target");
    }
    if (slice_eq_str(target, "*") && request->method == HTTP_OPTIONS) {
        request->path = span_of(request, target);
        return HTTP1_MORE;
    }
    if (target.len > 7 && strncasecmp(target.data, "http://", 7) == 0)
        rest = slice_of(target.data + 7, target.len - 7);
    else if (target.len > 8 && strncasecmp(target.data, "https://", 8) == 0)
        rest = slice_of(target.data + 8, target.len - 8);
    if (rest.data !=
        target.data) { /* absolute form: its authority counts, not Host (RFC 9112 3.2.2) */
        struct slice host = rest;

        for (host.len = 0; host.len < rest.len && !strchr("/?", rest.data[host.len]);)
            host.len++;
        if (!host_is_valid(host))
            return bad(p, "malformed host in the request target");
        request->host = span_of(request, host);
        rest = slice_of(rest.data + host.len, rest.len - host.len);
    }
    if (rest.len == 0 || rest.data[0] != '/')
        return bad(p, "the request target must be a path or an http URL");
    path = cut_until(&rest, '?');
    request->path = span_of(request, path);
    request->query = span_of(request, rest);
    return HTTP1_MORE;
}

static enum http1_event on_request_line(struct http1_parser *p, struct slice line)
{
    struct slice rest = line;
    struct slice method = cut_until(&rest, ' ');
    struct slice target = cut_until(&rest, ' ');

    if (!is_token(method) || target.len == 0)
        return bad(p, "malformed request line");
    if (rest.len != 8 || memcmp(rest.data, "HTTP/", 5) != 0 || rest.data[6] != '.' ||
        rest.data[5] < '0' || rest.data[5] > '9' || rest.data[7] < '0' || rest.data[7] > '9')
        return bad(p, "malformed HTTP version");
    if (rest.data[5] != '1' || rest.data[7] > '1')
        return refuse(p, 505, "http_version_not_supported",
                      "only HTTP/1.1 and HTTP/1.0 are spoken here");
    if (!http_method_parse(method, &p->request->method))
        return refuse(p, 501, "not_implemented", "unknown method");
    p->request->minor = (uint8_t)(rest.data[7] - '0');
    return split_target(p, target);
}

/* ---- fields ---- */

/* Checks one field line; the name and the trimmed value come back. */
static const char *check_field(struct slice line, struct slice *ret_name,
                               struct slice *ret_value)
{
    struct slice rest = line;
    struct slice name = cut_until(&rest, ':');

    if (line.data[0] == ' ' || line.data[0] == '\t')
        return "folded header line";
    if (name.len == line.len)
        return "header line without a colon";
    if (name.len && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t'))
        return "blank before the colon of a header";
    if (!is_token(name))
        return "malformed header name";
    while (rest.len && (rest.data[0] == ' ' || rest.data[0] == '\t'))
        rest = slice_of(rest.data + 1, rest.len - 1);
    while (rest.len && (rest.data[rest.len - 1] == ' ' || rest.data[rest.len - 1] == '\t'))
        rest.len--;
    *ret_name = name;
    *ret_value = rest;
    return NULL;
}

static enum http1_event on_field_line(struct http1_parser *p, struct slice line)
{
    struct http_request *request = p->request;
    struct slice name, value;
    const char *wrong = check_field(line, &name, &value);

    if (wrong)
        return bad(p, wrong);
    if (request->n_fields == HTTP_HEADERS_MAX)
        return refuse(p, 431, "headers_too_large", "too many header fields");
    request->fields[request->n_fields++] =
        (struct http_field_span){span_of(request, name), span_of(request, value)};
    return HTTP1_MORE;
}

static bool parse_length(struct slice s, uint64_t *ret_length)
{
    uint64_t v = 0;

    if (s.len == 0 || s.len > 18)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.data[i] - '0');
    }
    *ret_length = v;
    return true;
}

/* The one coding that we read is chunked, said once (RFC 9112 6.1). */
static enum http1_event read_transfer_coding(struct http1_parser *p)
{
    struct slice value = {0}, element, last = {0};
    size_t n = 0;

    if (p->request->minor == 0)
        return bad(p, "Transfer-Encoding in HTTP/1.0");
    if (!http_request_field(p->request, "transfer-encoding", &value))
        return bad(p, "repeated Transfer-Encoding");
    while (http_list_next(&value, &element)) {
        last = element;
        n++;
    }
    if (!slice_eq_nocase(last, "chunked"))
        return bad(p, "Transfer-Encoding does not end in chunked");
    if (n > 1)
        return refuse(p, 501, "not_implemented",
                      "the only transfer coding known here is chunked");
    p->request->chunked = true;
    return HTTP1_MORE;
}

static enum http1_event read_framing(struct http1_parser *p)
{
    struct http_request *request = p->request;
    size_t lengths = http_request_field_count(request, "content-length");
    struct slice value;

    if (http_request_field_count(request, "transfer-encoding")) {
        if (lengths)
            return bad(p, "both Content-Length and Transfer-Encoding");
        return read_transfer_coding(p);
    }
    if (lengths == 0)
        return HTTP1_MORE;
    if (!http_request_field(request, "content-length", &value))
        return bad(p, "repeated Content-Length");
    if (!parse_length(value, &request->content_length))
        return bad(p, "malformed Content-Length");
    request->has_length = true;
    return HTTP1_MORE;
}

static enum http1_event read_host(struct http1_parser *p)
{
    struct http_request *request = p->request;
    size_t hosts = http_request_field_count(request, "host");
    struct slice host;

    if (hosts > 1)
        return bad(p, "repeated Host");
    if (hosts == 0)
        return request->minor == 0 ? HTTP1_MORE : bad(p, "Host is missing");
    (void)http_request_field(request, "host", &host); /* counted above */
    if (!host_is_valid(host))
        return bad(p, "malformed Host");
    if (request->host.len == 0)
        request->host = span_of(request, host);
    return HTTP1_MORE;
}

static enum http1_event on_head_end(struct http1_parser *p)
{
    struct http_request *request = p->request;

    if (read_host(p) == HTTP1_BAD || read_framing(p) == HTTP1_BAD)
        return HTTP1_BAD;
    request->keep_alive =
        request->minor > 0 && !http_request_has_token(request, "connection", "close");
    if (http_request_field_count(request, "expect") && request->minor > 0) {
        struct slice expect;

        if (!http_request_field(request, "expect", &expect) ||
            !slice_eq_nocase(expect, "100-continue"))
            return refuse(p, 417, "expectation_failed",
                          "the only expectation known here is 100-continue");
        request->expect_continue = request->chunked || request->content_length > 0;
    }
    p->body_left = request->content_length;
    if (request->chunked)
        p->state = HTTP1_IN_CHUNK_SIZE;
    else
        p->state = p->body_left ? HTTP1_IN_LENGTH_BODY : HTTP1_AT_END;
    return HTTP1_HEAD;
}

/* ---- steps: each takes what it can from *in; HTTP1_MORE with input left means: next state
 * ---- */

static enum http1_event step_request_line(struct http1_parser *p, struct slice *in)
{
    struct buf *text = &p->request->text;
    struct slice line;

    switch (take_line(text, 0, HTTP_REQUEST_LINE_MAX, in, &line)) {
    case LINE_PARTIAL:
        return HTTP1_MORE;
    case LINE_BAD:
        return bad_line(p, text);
    case LINE_TOO_LONG:
        if (!memchr(text->data, ' ', MIN(text->len, (size_t)HTTP_METHOD_BYTES_MAX)))
            return bad(p, "malformed request line");
        return refuse(p, 414, "uri_too_long", "the request line is too long");
    case LINE_WHOLE:
        break;
    }
    if (line.len == 0) { /* one empty line before the request is forgiven, RFC 9112 2.2 */
        if (p->skipped_empty_line)
            return bad(p, "empty lines before the request");
        p->skipped_empty_line = true;
        buf_clear(text);
        return HTTP1_MORE;
    }
    p->state = HTTP1_IN_FIELDS;
    p->line_at = text->len;
    return on_request_line(p, line);
}

static enum http1_event step_fields(struct http1_parser *p, struct slice *in)
{
    struct buf *text = &p->request->text;
    struct slice line;

    switch (take_line(text, p->line_at, HTTP_HEAD_MAX - p->line_at, in, &line)) {
    case LINE_PARTIAL:
        return HTTP1_MORE;
    case LINE_BAD:
        return bad_line(p, text);
    case LINE_TOO_LONG:
        return refuse(p, 431, "headers_too_large", "the header section is too large");
    case LINE_WHOLE:
        break;
    }
    p->line_at = text->len;
    return line.len == 0 ? on_head_end(p) : on_field_line(p, line);
}

static enum http1_event step_data(struct http1_parser *p, struct slice *in,
                                  struct slice *ret_body, enum http1_state next)
{
    size_t n = in->len < p->body_left ? in->len : (size_t)p->body_left;

    /* Only now: the limit depends on the head. */
    if (p->request->has_length && p->request->content_length > p->body_max)
        return refuse(p, 413, "payload_too_large", "the body is larger than allowed");
    if (n == 0)
        return HTTP1_MORE;
    *ret_body = slice_of(in->data, n);
    *in = slice_of(in->data + n, in->len - n);
    p->body_left -= n;
    if (p->body_left == 0)
        p->state = next;
    return HTTP1_BODY;
}

/* chunk-size [ ";" ext ] (RFC 9112 7.1); extensions are bounded and ignored. */
static enum http1_event on_chunk_size(struct http1_parser *p, struct slice line)
{
    uint64_t size = 0;
    size_t digits = 0;

    while (digits < line.len && hex_digit(line.data[digits]) >= 0) {
        if (digits == 8)
            return bad(p, "chunk size has too many digits");
        size = size * 16 + (uint64_t)hex_digit(line.data[digits++]);
    }
    if (digits == 0 || (digits < line.len && line.data[digits] != ';'))
        return bad(p, "malformed chunk size");
    p->lines_bytes += line.len - digits;
    if (p->lines_bytes > HTTP_CHUNK_LINES_MAX)
        return bad(p, "chunk extensions are too long");
    if (size > p->body_max - p->body_bytes)
        return refuse(p, 413, "payload_too_large", "the body is larger than allowed");
    p->body_bytes += size;
    p->body_left = size;
    p->state = size ? HTTP1_IN_CHUNK_DATA : HTTP1_IN_TRAILERS;
    return HTTP1_MORE;
}

/* Trailers are checked like fields and thrown away. */
static enum http1_event on_trailer(struct http1_parser *p, struct slice line)
{
    struct slice name, value;
    const char *wrong;

    if (line.len == 0) {
        p->state = HTTP1_AT_END;
        return HTTP1_MORE;
    }
    p->lines_bytes += line.len;
    if (p->lines_bytes > HTTP_CHUNK_LINES_MAX)
        return refuse(p, 431, "headers_too_large", "the trailer section is too large");
    wrong = check_field(line, &name, &value);
    return wrong ? bad(p, wrong) : HTTP1_MORE;
}

static enum http1_event step_chunk_line(struct http1_parser *p, struct slice *in)
{
    enum http1_event event;
    struct slice line;

    switch (take_line(&p->line, 0, HTTP_CHUNK_LINE_MAX, in, &line)) {
    case LINE_PARTIAL:
        return HTTP1_MORE;
    case LINE_BAD:
        return bad_line(p, &p->line);
    case LINE_TOO_LONG:
        return p->state == HTTP1_IN_TRAILERS
                   ? refuse(p, 431, "headers_too_large", "the trailer section is too large")
                   : bad(p, "chunk size line is too long");
    case LINE_WHOLE:
        break;
    }
    if (p->state == HTTP1_IN_CHUNK_SIZE) {
        event = on_chunk_size(p, line);
    } else if (p->state == HTTP1_IN_TRAILERS) {
        event = on_trailer(p, line);
    } else if (line.len == 0) {
        p->state = HTTP1_IN_CHUNK_SIZE;
        event = HTTP1_MORE;
    } else {
        event = bad(p, "chunk data is longer than its size");
    }
    buf_clear(&p->line);
    return event;
}

static enum http1_event step(struct http1_parser *p, struct slice *in, struct slice *ret_body)
{
    switch (p->state) {
    case HTTP1_IN_REQUEST_LINE:
        return step_request_line(p, in);
    case HTTP1_IN_FIELDS:
        return step_fields(p, in);
    case HTTP1_IN_LENGTH_BODY:
        return step_data(p, in, ret_body, HTTP1_AT_END);
    case HTTP1_IN_CHUNK_DATA:
        return step_data(p, in, ret_body, HTTP1_IN_CHUNK_END);
    case HTTP1_IN_CHUNK_SIZE:
    case HTTP1_IN_CHUNK_END:
    case HTTP1_IN_TRAILERS:
        return step_chunk_line(p, in);
    case HTTP1_AT_END:
        return HTTP1_END;
    case HTTP1_FAILED:
        break;
    }
    return HTTP1_BAD;
}

enum http1_event http1_parse(struct http1_parser *p, struct slice *in, struct slice *ret_body)
{
    for (;;) {
        enum http1_event event = step(p, in, ret_body);

        if (event != HTTP1_MORE || (in->len == 0 && p->state != HTTP1_AT_END))
            return event;
    }
}
