/* test_edge_failalloc.c - no allocation of a gateway's front may be missed when it fails:
 * requests and sockets end in order, nothing leaks. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/codec.h"
#include "gateway/auth/lookup.h"
#include "gateway/auth/project.h"
#include "gateway/auth/token.h"
#include "gateway/http/http1_conn.h"
#include "gateway/http/uri.h"
#include "gateway/proxy/cidr.h"
#include "gateway/ws/ws_conn.h"
#include "tests/support/failalloc.h"
#include "tests/support/fake_env.h"

#define M "\x00\x00\x00\x00"

/* ---- a stream that takes everything and allocates nothing ---- */

struct sink {
    struct stream stream; /* first */
    bool closed;
};

static int sink_write(struct stream *s, struct blob *blob)
{
    (void)s;
    (void)blob;
    return 0;
}

static void sink_pause(struct stream *s, bool paused)
{
    (void)s;
    (void)paused;
}

static void sink_close(struct stream *s, bool flush)
{
    (void)flush;
    ((struct sink *)s)->closed = true;
}

static const struct stream_ops sink_ops = {
    .write = sink_write, .pause = sink_pause, .close = sink_close};

/* The peer sends this, a few bytes at a time. */
static void sink_receive(struct sink *sink, struct slice wire)
{
    for (size_t at = 0; at < wire.len && !sink->closed; at += 5)
        sink->stream.events->on_bytes(sink->stream.owner,
                                      slice_of(wire.data + at, MIN(wire.len - at, (size_t)5)));
}

/* ---- HTTP ---- */

static void on_request(void *owner, struct http_exchange *ex)
{
    struct http_response response = {.status = 200, .body = buf_slice(&ex->body)};

    (void)owner;
    http_exchange_reply(ex, &response);
}

static void on_refused(void *owner, struct http_exchange *ex, const struct http_refusal *why)
{
    struct http_response response = {.status = why->status};

    (void)owner;
    http_exchange_reply(ex, &response);
}

static void on_done(void *owner, void *context, bool upgraded)
{
    (void)context;
    (void)upgraded;
    ++*(int *)owner;
}

static void http_requests(void *arg)
{
    static const struct http_events events = {NULL, on_request, on_refused, on_done};
    static const char wire[] =
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        "GET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /bad\r\n\r\n";
    struct sink sink = {.stream.ops = &sink_ops};
    struct http_peer peer = {0};
    struct http_server server;
    struct wheel wheel;
    struct fake_env f;
    int done = 0;

    (void)arg;
    fake_env_init(&f, 1);
    if (wheel_init(&wheel, &f.env) < 0) {
        fake_env_deinit(&f);
        return;
    }
    http_server_init(&server, &f.env, &wheel, &events, &done);
    if (http1_conn_new(&server, &sink.stream, &peer) == 0) {
        sink_receive(&sink, SLICE_LIT(wire));
        http_server_close_all(&server);
        assert_int_equal(done, 1);
    }
    assert_true(sink.closed);
    env_end_turn(&f.env);
    assert_int_equal(server.body_bytes, 0);
    wheel_deinit(&wheel);
    fake_env_deinit(&f);
}

/* ---- WebSocket ---- */

struct socket {
    struct ws_conn *ws;
};

static void on_message(void *owner, bool is_text, struct slice payload)
{
    (void)owner;
    (void)is_text;
    (void)payload;
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_close(void *owner, unsigned code)
{
    (void)code;
    ((struct socket *)owner)->ws = NULL;
}

static void websocket_messages(void *arg)
{
    static const struct ws_events events = {on_message, on_drained, on_close};
    static const char wire[] = "\x01\x81" M "a\x89\x81" M "p\x80\x81" M "b\x81\x81" M "c";
    struct sink sink = {.stream.ops = &sink_ops};
    struct socket s = {0};
    struct ws_server server;
    struct wheel wheel;
    struct fake_env f;

    (void)arg;
    fake_env_init(&f, 1);
    if (wheel_init(&wheel, &f.env) < 0) {
        fake_env_deinit(&f);
        return;
    }
    ws_server_init(&server, &f.env, &wheel);
    if (ws_conn_new(&server, &sink.stream, &events, &s, &s.ws) == 0) {
        sink_receive(&sink, slice_of(wire, sizeof(wire) - 1));
        if (s.ws)
            ws_conn_close(s.ws, WS_CODE_NORMAL, SLICE_LIT("bye"));
    }
    env_end_turn(&f.env);
    ws_server_deinit(&server);
    env_end_turn(&f.env);
    assert_true(sink.closed);
    assert_int_equal(server.n_codecs, 0);
    assert_int_equal(server.partial_bytes, 0);
    wheel_deinit(&wheel);
    fake_env_deinit(&f);
}

/* ---- what is read from outside ---- */

static int ask(void *owner, struct slice name, struct lookup_entry *entry)
{
    (void)name;
    *(struct lookup_entry **)owner = entry;
    return 0;
}

static void free_value(void *value)
{
    project_free(value);
}

static void on_answer(void *arg, enum lookup_result result, void *value)
{
    (void)value;
    *(enum lookup_result *)arg = result;
}

static void projects_and_tokens(void *arg)
{
    static const struct lookup_config config = {10, 10, 10, 1000, 1000};
    static const struct lookup_ops ops = {ask, free_value};
    AUTO(lookup_free) struct lookup *lookup = NULL;
    struct lookup_entry *entry = NULL;
    enum lookup_result result = LOOKUP_FAILED;
    struct project *project = NULL;
    struct lookup_wait wait;
    struct cidr_list list;
    struct slice bad;
    AUTO_BUF out = BUF_INIT;
    void *value;

    (void)arg;
    if (cidr_list_parse(SLICE_LIT("10.0.0.0/8, ::1"), &list, &bad) == 0)
        cidr_list_deinit(&list);
    if (uri_query_get(SLICE_LIT("a=1&b=%41"), "b", &out) == 0)
        CHECK_SLICE(buf_slice(&out), "A", "b");
    if (lookup_new(&config, &ops, &entry, &lookup) < 0)
        return;
    lookup_wait_init(&wait, on_answer, &result);
    if (lookup_find(lookup, SLICE_LIT("demo"), 0, &wait, &value) != LOOKUP_WAIT)
        return;
    if (project_read(SLICE_LIT("{\"project\":\"demo\",\"secrets\":[{\"key\":\"YWJj\"}],"
                               "\"origins\":[\"a\",\"b\"]}"),
                     &project) == 0) {
        lookup_answer(lookup, entry, LOOKUP_FOUND, project, 0);
        assert_int_equal(result, LOOKUP_FOUND);
    } else {
        lookup_answer(lookup, entry, LOOKUP_FAILED, NULL, 0);
    }
}

static void check(void (*fn)(void *))
{
    assert_true(failalloc_run(fn, NULL) > 3);
}

static void http_requests_survive(void **state)
{
    (void)state;
    check(http_requests);
}

static void websocket_messages_survive(void **state)
{
    (void)state;
    check(websocket_messages);
}

static void projects_and_tokens_survive(void **state)
{
    (void)state;
    check(projects_and_tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_requests_survive),
        cmocka_unit_test(websocket_messages_survive),
        cmocka_unit_test(projects_and_tokens_survive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
