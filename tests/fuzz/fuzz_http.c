/*
 * fuzz_http.c - HTTP/1.1 requests: the same bytes give the same requests
 * whether they come whole or in pieces, and what is accepted is within bounds.
 */
#include <string.h>

#include "common/base/buf.h"
#include "gateway/http/http1_parse.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX 4096
#define REQUESTS_MAX 8

/* What a run of the parser came to, as text. */
static void describe(struct buf *out, const uint8_t *data, size_t size, size_t step)
{
    struct http1_parser parser;
    struct http_request request = {0};
    struct slice in = {0};
    size_t at = 0;
    int requests = 0;

    http1_parser_init(&parser, &request, BODY_MAX);
    for (;;) {
        struct slice body = {0};
        enum http1_event event = http1_parse(&parser, &in, &body);

        if (event == HTTP1_HEAD) {
            buf_put_str(out, "head ");
            buf_put_slice(out, http_request_path(&request));
            buf_put_char(out, '?');
            buf_put_slice(out, http_request_query(&request));
            FUZZ_CHECK(request.n_fields <= HTTP_HEADERS_MAX);
            FUZZ_CHECK(!(request.has_length && request.chunked));
        } else if (event == HTTP1_BODY) {
            FUZZ_CHECK(body.len > 0 && body.len <= BODY_MAX);
            buf_put_slice(out, body);
        } else if (event == HTTP1_BAD) {
            FUZZ_CHECK(parser.refusal.status >= 400 && parser.refusal.status <= 505);
            buf_put_str(out,
                        " bad"); /* which of two faults is met first depends on the pieces */
            break;
        } else if (event == HTTP1_END) {
            buf_put_str(out, " end ");
            if (++requests == REQUESTS_MAX)
                break;
            http1_parser_deinit(&parser);
            http_request_deinit(&request);
            memset(&request, 0, sizeof(request));
            http1_parser_init(&parser, &request, BODY_MAX);
        } else if (at == size) {
            buf_put_str(out, " more");
            break;
        } else {
            size_t n = step ? MIN(step, size - at) : size - at;

            in = slice_of(data + at, n);
            at += n;
        }
    }
    http1_parser_deinit(&parser);
    http_request_deinit(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF whole = BUF_INIT;
    AUTO_BUF pieces = BUF_INIT;

    describe(&whole, data, size, 0);
    describe(&pieces, data, size, size > 0 ? data[size - 1] % 5 + 1 : 1);
    FUZZ_SAME(whole, pieces);
    return 0;
}
