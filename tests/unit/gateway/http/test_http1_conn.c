/* test_http1_conn.c - connections: order of answers, timeouts, upgrades, clients that go away.
 */
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

#include "gateway/http/http1_conn.h"

#define H "Host: a\r\n"

struct world {
    struct fake_env f;
    struct wheel wheel;
    struct http_server server;
    struct fake_sink client;
    struct stream *near;           /* the server's end */
    struct http_exchange *held[4]; /* requests whose path begins with /hold */
    size_t n_held;
    struct stream *upgraded;
    struct buf rest;
    unsigned done, done_upgraded;
};

static void answer(struct http_exchange *ex, unsigned status)
{
    AUTO_BUF body = BUF_INIT;
    struct http_response response = {.status = status, .content_type = "text/plain"};

    buf_put_slice(&body, http_request_path(&ex->request));
    buf_put_slice(&body, buf_slice(&ex->body));
    response.body = buf_slice(&body);
    http_exchange_reply(ex, &response);
}

static void on_request(void *owner, struct http_exchange *ex)
{
    struct world *w = owner;
    struct slice path = http_request_path(&ex->request);

    if (path.len >= 5 && memcmp(path.data, "/hold", 5) == 0) {
        w->held[w->n_held++] = ex;
    } else if (slice_eq_str(path, "/upgrade")) {
        struct http_header headers[] = {{"Upgrade", SLICE_LIT("x")}};

        w->upgraded = http_exchange_upgrade(ex, headers, 1, &w->rest);
    } else {
        answer(ex, 200);
    }
}

static void on_refused(void *owner, struct http_exchange *ex, const struct http_refusal *why)
{
    (void)owner;
    assert_true(ex->trace.id[0] != '\0');
    answer(ex, why->status);
}

static void on_done(void *owner, void *context, bool upgraded)
{
    struct world *w = owner;

    assert_ptr_equal(context, w);
    w->done++;
    w->done_upgraded += upgraded;
}

static const struct http_events events = {NULL, on_request, on_refused, on_done};

static void world_open(struct world *w)
{
    struct http_peer peer = {.address = "192.0.2.1", .context = w};
    struct stream *far;

    memset(w, 0, sizeof(*w));
    fake_env_init(&w->f, 1);
    assert_int_equal(wheel_init(&w->wheel, &w->f.env), 0);
    http_server_init(&w->server, &w->f.env, &w->wheel, &events, w);
    fake_pair(&w->f, &w->near, &far);
    fake_sink_init(&w->client, far);
    assert_int_equal(http1_conn_new(&w->server, w->near, &peer), 0);
}

static void world_close(struct world *w)
{
    http_server_close_all(&w->server);
    for (size_t i = 0; i < w->n_held; i++)
        answer(w->held[i], 200);
    fake_env_run(&w->f);
    assert_int_equal(w->server.body_bytes, 0);
    assert_int_equal(w->done, 1);
    buf_deinit(&w->rest);
    fake_sink_deinit(&w->client);
    wheel_deinit(&w->wheel);
    fake_env_deinit(&w->f);
}

static void client_send(struct world *w, const char *text)
{
    fake_sink_send(&w->client, slice_str(text));
    fake_env_run(&w->f);
}

static bool client_has(struct world *w, const char *text)
{
    return memmem(w->client.in.data ? w->client.in.data : "", w->client.in.len, text,
                  strlen(text)) != NULL;
}

static size_t client_count(struct world *w, const char *text)
{
    const char *at = w->client.in.data;
    const char *end = at + w->client.in.len;
    size_t n = 0;

    while (at && (at = memmem(at, (size_t)(end - at), text, strlen(text)))) {
        n++;
        at += strlen(text);
    }
    return n;
}

static void answers_and_stays_open(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /one HTTP/1.1\r\n" H "\r\n");
    assert_true(client_has(&w, "HTTP/1.1 200 OK\r\nDate: "));
    assert_true(client_has(&w, "Content-Length: 4\r\n\r\n/one"));
    assert_false(client_has(&w, "Connection: close"));
    client_send(&w, "POST /two HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
    assert_true(client_has(&w, "/twoabc"));
    client_send(&w, "HEAD /three HTTP/1.1\r\n" H "\r\n");
    assert_true(client_has(&w, "Content-Length: 6\r\n\r\n"));
    assert_false(client_has(&w, "/three"));
    assert_false(w.client.closed);
    world_close(&w);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold1 HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n" H
                    "\r\nGET /hold2 HTTP/1.1\r\n" H "\r\nGET /d HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(w.n_held, 1); /* the second waits for the first */
    assert_int_equal(w.client.in.len, 0);
    answer(w.held[0], 200);
    fake_env_run(&w.f);
    assert_int_equal(w.n_held, 2);
    assert_true(client_has(&w, "/b"));
    assert_false(client_has(&w, "/d"));
    answer(w.held[1], 200);
    w.n_held = 0;
    fake_env_run(&w.f);
    assert_int_equal(client_count(&w, "HTTP/1.1 200"), 4);
    assert_true(client_has(&w, "/d"));
    world_close(&w);
}

static void a_client_that_goes_away_does_not_disturb_the_handler(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "POST /hold HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
    assert_int_equal(w.server.body_bytes, 3);
    stream_close(w.client.stream, false);
    fake_env_run(&w.f);
    assert_int_equal(w.done, 1);
    assert_null(w.held[0]->conn);
    world_close(&w); /* answers what is held */
}

static void slow_heads_and_bodies_are_refused(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /");
    for (int i = 0; i < 9; i++) { /* a byte a second does not help */
        fake_env_advance(&w.f, 1000);
        client_send(&w, "x");
    }
    assert_int_equal(w.client.in.len, 0);
    fake_env_advance(&w.f, 2000);
    assert_true(client_has(&w, "HTTP/1.1 408 "));
    fake_env_advance(&w.f, HTTP_LINGER_MS + 1000);
    assert_true(w.client.closed);
    world_close(&w);

    world_open(&w);
    client_send(&w, "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
    fake_env_advance(&w.f, HTTP_BODY_TIMEOUT_MS + 1000);
    assert_true(client_has(&w, "HTTP/1.1 408 "));
    assert_int_equal(w.server.body_bytes, 0);
    world_close(&w);
}

static void idle_connections_end(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    fake_env_advance(&w.f, HTTP_HEAD_TIMEOUT_MS + 1000);
    assert_true(w.client.closed); /* never said a word */
    assert_int_equal(w.client.in.len, 0);
    world_close(&w);

    world_open(&w);
    client_send(&w, "GET /one HTTP/1.1\r\n" H "\r\n");
    fake_env_advance(&w.f, HTTP_IDLE_TIMEOUT_MS - 2000);
    assert_false(w.client.closed);
    fake_env_advance(&w.f, 4000);
    assert_true(w.client.closed);
    world_close(&w);
}

static void a_refusal_is_sent_before_the_connection_ends(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET / HTTP/1.1\nHost: a\n\n and much more");
    assert_true(client_has(&w, "HTTP/1.1 400 "));
    assert_true(client_has(&w, "Connection: close\r\n"));
    assert_false(
        w.client.closed); /* what the client still sends is read, so that it sees the answer */
    client_send(&w, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(client_count(&w, "HTTP/1.1 "), 1);
    fake_env_advance(&w.f, HTTP_LINGER_MS + 1000);
    assert_true(w.client.closed);
    world_close(&w);
}

static void close_is_honoured(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w,
                "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n");
    assert_true(w.client.closed);
    assert_int_equal(client_count(&w, "HTTP/1.1 200"), 1);
    world_close(&w);
}

static void continue_is_said_when_the_body_waits(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w,
                "POST /x HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_true(client_has(&w, "HTTP/1.1 100 Continue\r\n\r\n"));
    client_send(&w, "abc");
    assert_true(client_has(&w, "/xabc"));
    client_send(&w, "POST /y HTTP/1.1\r\n" H
                    "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(client_count(&w, "100 Continue"), 1);
    world_close(&w);
}

static void an_upgrade_hands_over_the_stream_and_what_came_behind(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /upgrade HTTP/1.1\r\n" H "\r\n\x81\x80");
    assert_true(client_has(&w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"));
    assert_non_null(w.upgraded);
    CHECK_SLICE(buf_slice(&w.rest), "\x81\x80", "rest");
    assert_int_equal(w.done_upgraded, 1);
    stream_close(w.upgraded, true);
    world_close(&w);
}

static void a_client_that_does_not_read_is_not_read(void **state)
{
    struct world w;
    AUTO_BUF big = BUF_INIT;

    (void)state;
    world_open(&w);
    fake_stream_hold(w.near, true);
    buf_put_str(&big, "POST / HTTP/1.1\r\n" H "Content-Length: 300000\r\n\r\n");
    for (int i = 0; i < 30000; i++)
        buf_put_str(&big, "0123456789");
    buf_put_str(&big, "GET /hold HTTP/1.1\r\n" H "\r\n");
    fake_sink_send(&w.client, buf_slice(&big));
    fake_env_run(&w.f);
    assert_int_equal(w.n_held, 0); /* the answer lies in the queue */
    assert_true(fake_stream_is_paused(w.near));
    fake_stream_hold(w.near, false);
    fake_env_run(&w.f);
    assert_int_equal(w.n_held, 1);
    world_close(&w);

    world_open(&w);
    fake_stream_hold(w.near, true);
    fake_sink_send(&w.client, buf_slice(&big));
    fake_env_advance(&w.f, HTTP_WRITE_TIMEOUT_MS + 1000);
    assert_int_equal(w.done, 1);
    world_close(&w);
}

static void draining_ends_connections(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_server_drain(&w.server);
    fake_env_run(&w.f);
    assert_false(w.client.closed); /* the request in hand is answered */
    answer(w.held[0], 200);
    w.n_held = 0;
    fake_env_run(&w.f);
    assert_true(client_has(&w, "Connection: close"));
    assert_true(w.client.closed);
    world_close(&w);

    world_open(&w);
    client_send(&w, "GET / HTTP/1.1\r\n" H "\r\n");
    http_server_drain(&w.server);
    fake_env_run(&w.f);
    assert_true(w.client.closed);
    world_close(&w);
}

static void draining_does_not_wait_for_slow_requests(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
    http_server_drain(&w.server);
    fake_env_advance(&w.f, HTTP_DRAIN_TIMEOUT_MS + 1000);
    assert_true(client_has(&w, "HTTP/1.1 408 "));
    fake_env_advance(&w.f, HTTP_LINGER_MS + 1000);
    assert_true(w.client.closed);
    world_close(&w);
}

static void trace_ids_are_taken_or_made(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "X-Trace-Id: abc-1\r\n\r\n");
    assert_string_equal(w.held[0]->trace.id, "abc-1");
    assert_string_equal(w.held[0]->address, "192.0.2.1");
    world_close(&w);

    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "X-Trace-Id: a b\r\n\r\n");
    assert_true(strlen(w.held[0]->trace.id) == 32);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_stays_open),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_client_that_goes_away_does_not_disturb_the_handler),
        cmocka_unit_test(slow_heads_and_bodies_are_refused),
        cmocka_unit_test(idle_connections_end),
        cmocka_unit_test(a_refusal_is_sent_before_the_connection_ends),
        cmocka_unit_test(close_is_honoured),
        cmocka_unit_test(continue_is_said_when_the_body_waits),
        cmocka_unit_test(an_upgrade_hands_over_the_stream_and_what_came_behind),
        cmocka_unit_test(a_client_that_does_not_read_is_not_read),
        cmocka_unit_test(draining_ends_connections),
        cmocka_unit_test(draining_does_not_wait_for_slow_requests),
        cmocka_unit_test(trace_ids_are_taken_or_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
