/*
 * request.h - the head of an HTTP request as the rest of the gateway sees it,
 * whatever version of HTTP carried it. Plain data over one buffer; knows no
 * connection. Everything in it has passed the parser's rules.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_COUNT
};

/* A run of bytes in http_request.text; stays right when the buffer moves. */
struct http_span {
    uint16_t at, len;
};

struct http_field_span {
    struct http_span name, value;
};

struct http_request {
    enum http_method method;
    uint8_t minor; /* HTTP/1.minor */
    bool keep_alive;
    bool expect_continue;
    bool chunked;
    bool has_length;
    uint64_t content_length;
    struct buf text;        /* the head as it came */
    struct http_span path;  /* raw, begins with '/', or is "*" */
    struct http_span query; /* raw, without '?' */
    struct http_span host;
    size_t n_fields;
    struct http_field_span fields[HTTP_HEADERS_MAX];
};

void http_request_deinit(struct http_request *request);

const char *http_method_name(enum http_method method);
/* False when the method is not one of ours. Methods are case-sensitive. */
bool http_method_parse(struct slice name, enum http_method *ret_method);

static inline struct slice http_request_span(const struct http_request *request,
                                             struct http_span span)
{
    return slice_of(request->text.data + span.at, span.len);
}
static inline struct slice http_request_path(const struct http_request *request)
{
    return http_request_span(request, request->path);
}
static inline struct slice http_request_query(const struct http_request *request)
{
    return http_request_span(request, request->query);
}

/* The value of the only field of that name (any case). False when it is missing or there is
 * more than one. */
bool http_request_field(const struct http_request *request, const char *name,
                        struct slice *ret_value);
/* How often the field occurs. */
size_t http_request_field_count(const struct http_request *request, const char *name);
/* True when a comma-separated list field (all lines of it) has the word, compared without case.
 */
bool http_request_has_token(const struct http_request *request, const char *name,
                            const char *word);

bool slice_eq_nocase(struct slice a, const char *b);
/* Cuts the next element off a comma-separated list, without the blanks around it. False at the
 * end. */
bool http_list_next(struct slice *list, struct slice *ret_element);
