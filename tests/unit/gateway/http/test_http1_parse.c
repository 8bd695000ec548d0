/* test_http1_parse.c - what the parser takes and what it refuses; every case at several splits.
 */
#include "tests/support/test.h"

#include <stdlib.h>

#include "gateway/http/http1_parse.h"

#define BODY_MAX 100

struct outcome {
    enum http1_event event; /* HTTP1_END, HTTP1_BAD, or HTTP1_MORE when the input ran out */
    struct http_request request;
    struct http_refusal refusal;
    struct buf body;
    size_t left; /* bytes behind the request */
};

static void parse(struct slice wire, size_t chunk, struct outcome *o)
{
    struct http1_parser p;
    size_t at = 0;

    memset(o, 0, sizeof(*o));
    http1_parser_init(&p, &o->request, BODY_MAX);
    while (at < wire.len &&
           (o->event == HTTP1_MORE || o->event == HTTP1_HEAD || o->event == HTTP1_BODY)) {
        struct slice in = slice_of(wire.data + at, MIN(chunk, wire.len - at));
        struct slice part;

        at += in.len;
        do {
            o->event = http1_parse(&p, &in, &part);
            if (o->event == HTTP1_BODY)
                buf_put_slice(&o->body, part);
        } while (o->event == HTTP1_HEAD || o->event == HTTP1_BODY);
        o->left = wire.len - at + in.len;
    }
    o->refusal = p.refusal;
    http1_parser_deinit(&p);
}

static void outcome_deinit(struct outcome *o)
{
    http_request_deinit(&o->request);
    buf_deinit(&o->body);
}

static const size_t chunks[] = {1, 3, 64, SIZE_MAX};

#define H "Host: a\r\n"

static const struct {
    const char *name, *wire, *path, *query, *host, *body;
    bool keep_alive;
} good[] = {
    {"get", "GET /x?a=b HTTP/1.1\r\n" H "\r\n", "/x", "a=b", "a", "", true},
    {"no query", "GET / HTTP/1.1\r\n" H "\r\n", "/", "", "a", "", true},
    {"empty line before", "\r\nGET / HTTP/1.1\r\n" H "\r\n", "/", "", "a", "", true},
    {"blanks around a value", "GET / HTTP/1.1\r\nHost: \t a:80 \t\r\n\r\n", "/", "", "a:80", "",
     true},
    {"value without a blank", "GET / HTTP/1.1\r\nHost:[::1]:8080\r\n\r\n", "/", "",
     "[::1]:8080", "", true},
    {"connection close", "GET / HTTP/1.1\r\n" H "Connection: foo, Close\r\n\r\n", "/", "", "a",
     "", false},
    {"http 1.0 ends", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/", "", "", "",
     false},
    {"absolute form wins over Host", "GET http://b:8/p?q HTTP/1.1\r\n" H "\r\n", "/p", "q",
     "b:8", "", true},
    {"options of the server", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "*", "", "a", "", true},
    {"length", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", "/", "", "a", "hello",
     true},
    {"length zero", "POST / HTTP/1.1\r\n" H "content-length: 0\r\n\r\n", "/", "", "a", "",
     true},
    {"chunks",
     "POST / HTTP/1.1\r\n" H
     "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
     "/", "", "a", "hello", true},
    {"chunk size in both cases",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n0\r\n\r\n",
     "/", "", "a", "0123456789", true},
    {"trailers are dropped",
     "POST / HTTP/1.1\r\n" H
     "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n",
     "/", "", "a", "x", true},
    {"high bytes in a value", "GET / HTTP/1.1\r\n" H "X-Name: \xc3\xa9\r\n\r\n", "/", "", "a",
     "", true},
    {"expect", "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
     "/", "", "a", "x", true},
};

static void well_formed_requests_are_read_at_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct outcome o;

            parse(slice_str(good[i].wire), chunks[c], &o);
            CHECK_EQ(o.event, HTTP1_END, good[i].name);
            CHECK_SLICE(http_request_path(&o.request), good[i].path, good[i].name);
            CHECK_SLICE(http_request_query(&o.request), good[i].query, good[i].name);
            CHECK_SLICE(http_request_span(&o.request, o.request.host), good[i].host,
                        good[i].name);
            CHECK_SLICE(buf_slice(&o.body), good[i].body, good[i].name);
            CHECK_EQ(o.request.keep_alive, good[i].keep_alive, good[i].name);
            CHECK_EQ(o.left, 0, good[i].name);
            outcome_deinit(&o);
        }
    }
}

static void what_comes_behind_is_left_alone(void **state)
{
    static const char *const wires[] = {
        "GET / HTTP/1.1\r\n" H "\r\nGET /2",
        "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET /2",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /2",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct outcome o;

            parse(slice_str(wires[i]), chunks[c], &o);
            CHECK_EQ(o.event, HTTP1_END, wires[i]);
            CHECK_EQ(o.left, 6, wires[i]);
            outcome_deinit(&o);
        }
    }
}

#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *name, *wire;
    unsigned status;
} hostile[] = {
    {"both lengths",
     "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"both lengths, other order",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {"two equal lengths",
     "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {"length list", "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400},
    {"length with sign", "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
    {"length in hex", "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400},
    {"length empty", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
    {"length overflows", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n",
     400},
    {"length too large", "POST / HTTP/1.1\r\n" H "Content-Length: 101\r\n\r\n", 413},
    {"folded line", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
    {"folded with tab", "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 400},
    {"fold before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"LF only", "GET / HTTP/1.1\nHost: a\n\n", 400},
    {"LF in the fields", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare CR in a value", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
    {"bare CR hides a field", "GET / HTTP/1.1\r\n" H "X:\rTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"CR CR LF", "GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 400},
    {"NUL in a value", NULL, 400}, /* filled below: strings end there */
    {"control in a value", "GET / HTTP/1.1\r\n" H "X: a\001b\r\n\r\n", 400},
    {"DEL in the target", "GET /\x7f HTTP/1.1\r\n" H "\r\n", 400},
    {"blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"empty name", "GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 400},
    {"no colon", "GET / HTTP/1.1\r\n" H "hello\r\n\r\n", 400},
    {"name with a bad byte", "GET / HTTP/1.1\r\n" H "X(y): 1\r\n\r\n", 400},
    {"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400},
    {"two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", 400},
    {"Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"absolute target with a bad host", "GET http://a b/ HTTP/1.1\r\n" H "\r\n", 400},
    {"absolute target with credentials", "GET http://u@h/ HTTP/1.1\r\n" H "\r\n", 400},
    {"absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 400},
    {"authority target", "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", 501},
    {"star for GET", "GET * HTTP/1.1\r\n" H "\r\n", 400},
    {"fragment in the target", "GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
    {"high byte in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400},
    {"two blanks", "GET  / HTTP/1.1\r\n" H "\r\n", 400},
    {"tab in the request line", "GET\t/ HTTP/1.1\r\n" H "\r\n", 400},
    {"blank behind the version", "GET / HTTP/1.1 \r\n" H "\r\n", 400},
    {"no version", "GET /\r\n" H "\r\n", 400},
    {"lower-case version", "GET / http/1.1\r\n" H "\r\n", 400},
    {"version 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"version 1.2", "GET / HTTP/1.2\r\n" H "\r\n", 505},
    {"version 0.9", "GET / HTTP/0.9\r\n\r\n", 505},
    {"unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", 501},
    {"lower-case method", "get / HTTP/1.1\r\n" H "\r\n", 501},
    {"method with a bad byte", "G@T / HTTP/1.1\r\n" H "\r\n", 400},
    {"two empty lines", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
    {"a TLS hello", "\x16\x03\x01\x02", 400},
    {"unknown coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"chunked not last", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n",
     400},
    {"identity", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400},
    {"two codings lines",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"disguised coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400},
    {"chunked in 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400},
    {"unknown expectation", "POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 1\r\n\r\nx",
     417},
    {"chunk without size", CHUNKED "\r\n", 400},
    {"chunk size not hex", CHUNKED "g\r\n", 400},
    {"chunk size with a blank", CHUNKED "1 \r\nx\r\n", 400},
    {"negative chunk", CHUNKED "-1\r\n", 400},
    {"chunk size 0x", CHUNKED "0x1\r\nx\r\n", 400},
    {"chunk size overflows", CHUNKED "1000000000000001\r\n", 400},
    {"chunk too large", CHUNKED "65\r\n", 413},
    {"chunks too large together",
     CHUNKED "64\r\n0123456789012345678901234567890123456789012345678901234567890123456789"
             "012345678901234567890123456789\r\n1\r\nx\r\n",
     413},
    {"chunk longer than it says", CHUNKED "1\r\nxy\r\n0\r\n\r\n", 400},
    {"chunk ended by LF", CHUNKED "1\r\nx\n0\r\n\r\n", 400},
    {"chunk size ended by LF", CHUNKED "1\nx\r\n0\r\n\r\n", 400},
    {"bare CR in a chunk extension", CHUNKED "1;a\rb\r\nx\r\n", 400},
    {"trailer without a colon", CHUNKED "0\r\nhello\r\n\r\n", 400},
    {"folded trailer", CHUNKED "0\r\nX: 1\r\n 2\r\n\r\n", 400},
};

static void hostile_requests_are_refused_at_any_split(void **state)
{
    static const char with_nul[] = "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct slice wire = hostile[i].wire ? slice_str(hostile[i].wire)
                                            : slice_of(with_nul, sizeof(with_nul) - 1);

        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct outcome o;

            parse(wire, chunks[c], &o);
            CHECK_EQ(o.event, HTTP1_BAD, hostile[i].name);
            CHECK_EQ(o.refusal.status, hostile[i].status, hostile[i].name);
            CHECK(o.refusal.code && o.refusal.detail, hostile[i].name);
            outcome_deinit(&o);
        }
    }
}

static void unfinished_requests_are_waited_for(void **state)
{
    static const char whole[] =
        "POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct outcome o;

            parse(slice_of(whole, len), chunks[c], &o);
            CHECK_EQ(o.event, HTTP1_MORE, "every true prefix");
            outcome_deinit(&o);
        }
    }
}

/* prefix + n times unit: each limit is met exactly and passed by one. */
static void expect_long(const char *prefix, const char *unit, size_t n, const char *suffix,
                        unsigned status, const char *name)
{
    AUTO_BUF wire = BUF_INIT;

    buf_put_str(&wire, prefix);
    for (size_t i = 0; i < n; i++)
        buf_put_str(&wire, unit);
    buf_put_str(&wire, suffix);
    for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
        struct outcome o;

        parse(buf_slice(&wire), chunks[c], &o);
        CHECK_EQ(o.event, status ? HTTP1_BAD : HTTP1_END, name);
        CHECK_EQ(o.refusal.status, status, name);
        outcome_deinit(&o);
    }
}

static void over_long_parts_are_refused(void **state)
{
    const size_t target = HTTP_REQUEST_LINE_MAX - strlen("GET / HTTP/1.1\r\n");
    const size_t head = HTTP_HEAD_MAX - strlen("GET / HTTP/1.1\r\n" H "X: \r\n\r\n");

    (void)state;
    expect_long("GET /", "a", target, " HTTP/1.1\r\n" H "\r\n", 0, "longest target");
    expect_long("GET /", "a", target + 1, " HTTP/1.1\r\n" H "\r\n", 414, "target");
    expect_long("GET /", "a", (size_t)HTTP_REQUEST_LINE_MAX * 2, "", 414, "target without end");
    expect_long("", "A", (size_t)HTTP_REQUEST_LINE_MAX * 2, "", 400, "method without end");
    expect_long("GET / HTTP/1.1\r\n" H "X: ", "a", head, "\r\n\r\n", 0, "longest field");
    expect_long("GET / HTTP/1.1\r\n" H "X: ", "a", head + 1, "\r\n\r\n", 431, "head");
    expect_long("GET / HTTP/1.1\r\n" H "X: ", "a", (size_t)HTTP_HEAD_MAX * 2, "", 431,
                "field without end");
    expect_long("GET / HTTP/1.1\r\n" H, "X: y\r\n", HTTP_HEADERS_MAX - 1, "\r\n", 0,
                "most fields");
    expect_long("GET / HTTP/1.1\r\n" H, "X: y\r\n", HTTP_HEADERS_MAX, "\r\n", 431,
                "one field too many");
    expect_long(CHUNKED "1;", "e", HTTP_CHUNK_LINE_MAX, "\r\nx\r\n0\r\n\r\n", 400,
                "chunk extension");
    expect_long(CHUNKED,
                "1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n", 99,
                "0\r\n\r\n", 400, "chunk extensions together");
    expect_long(CHUNKED "0\r\nX: ", "e", HTTP_CHUNK_LINE_MAX, "\r\n\r\n", 431, "trailer");
    expect_long(CHUNKED "0\r\n",
                "X: eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\n", 99,
                "\r\n", 431, "trailers together");
}

static void fields_are_found_without_case(void **state)
{
    struct outcome o;
    struct slice value;

    (void)state;
    parse(SLICE_LIT("GET / HTTP/1.1\r\n" H
                    "X-One: 1\r\nX-Two: 1\r\nx-two: 2\r\nVia: a ,b,, C\r\n\r\n"),
          SIZE_MAX, &o);
    assert_int_equal(o.event, HTTP1_END);
    assert_true(http_request_field(&o.request, "x-one", &value));
    CHECK_SLICE(value, "1", "x-one");
    assert_false(http_request_field(&o.request, "x-two", &value));
    assert_int_equal(http_request_field_count(&o.request, "X-TWO"), 2);
    assert_true(http_request_has_token(&o.request, "via", "b"));
    assert_true(http_request_has_token(&o.request, "via", "c"));
    assert_false(http_request_has_token(&o.request, "via", "a ,b"));
    outcome_deinit(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_requests_are_read_at_any_split),
        cmocka_unit_test(what_comes_behind_is_left_alone),
        cmocka_unit_test(hostile_requests_are_refused_at_any_split),
        cmocka_unit_test(unfinished_requests_are_waited_for),
        cmocka_unit_test(over_long_parts_are_refused),
        cmocka_unit_test(fields_are_found_without_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
