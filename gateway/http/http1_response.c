/* http1_response.c - RFC 9112 section 4 and RFC 9110 sections 5.6.7, 8.6. */
#include "gateway/http/http1_response.h"

#include <stdio.h>
#include <time.h>

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {206, "Partial Content"},
    {302, "Found"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *http_reason(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}

void http_date_format(int64_t seconds, char ret[HTTP_DATE_TEXT])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)seconds;
    struct tm tm = {0};

    gmtime_r(&t, &tm); /* names by hand: strftime() would follow the locale */
    snprintf(ret, HTTP_DATE_TEXT, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + (ptrdiff_t)tm.tm_wday * 3, (unsigned char)tm.tm_mday,
             months + (ptrdiff_t)tm.tm_mon * 3, (tm.tm_year + 1900) % 10000,
             (unsigned char)tm.tm_hour, (unsigned char)tm.tm_min, (unsigned char)tm.tm_sec);
}

static void put_header(struct buf *out, const char *name, struct slice value)
{
    buf_put_str(out, name);
    buf_put_str(out, ": ");
    buf_put_slice(out, value);
    buf_put_str(out, "\r\n");
}

static void put_head(struct buf *out, unsigned status, const char *content_type,
                     const char *date)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_reason(status));
    if (status >= 200)
        put_header(out, "Date", slice_str(date));
    if (content_type)
        put_header(out, "Content-Type", slice_str(content_type));
}

static void put_rest(struct buf *out, unsigned status, const struct http_header *headers,
                     size_t n_headers, bool keep_alive)
{
    for (size_t i = 0; i < n_headers; i++)
        put_header(out, headers[i].name, headers[i].value);
    if (!keep_alive && status >= 200)
        put_header(out, "Connection", SLICE_LIT("close"));
    buf_put_str(out, "\r\n");
}

void http1_response_write(struct buf *out, const struct http_response *response,
                          const char *date, bool head_only, bool keep_alive)
{
    bool has_body =
        response->status >= 200 && response->status != 204 && response->status != 304;

    put_head(out, response->status, response->content_type, date);
    if (has_body)
        buf_printf(out, "Content-Length: %zu\r\n", response->body.len);
    put_rest(out, response->status, response->headers, response->n_headers, keep_alive);
    if (has_body && !head_only)
        buf_put_slice(out, response->body);
}

void http1_stream_head_write(struct buf *out, const struct http_stream_head *head,
                             const char *date, bool chunked, bool keep_alive)
{
    put_head(out, head->status, head->content_type, date);
    if (head->length != HTTP_LENGTH_UNKNOWN)
        buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)head->length);
    else if (chunked)
        put_header(out, "Transfer-Encoding", SLICE_LIT("chunked"));
    put_rest(out, head->status, head->headers, head->n_headers, keep_alive);
}
