/* test_http1_stream.c - answers and bodies in parts: framing, back-pressure, clients that go
 * away or do not read, handlers that answer early. */
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

#include "gateway/http/http1_conn.h"

#define H "Host: a\r\n"
#define BODY_LIMIT 200000u

struct world {
    struct fake_env f;
    struct wheel wheel;
    struct http_server server;
    struct fake_sink client;
    struct stream *near;
    struct http_exchange *ex; /* the newest request of /hold, not answered yet */
    struct buf body;
    unsigned parts, ends, fails, refused, writable, gone, done;
    unsigned fail_status; /* 0: the client was gone */
    bool pause_after_part, answer_after_part;
};

static void reply(struct http_exchange *ex, unsigned status)
{
    struct http_response response = {.status = status, .body = SLICE_LIT("whole")};

    http_exchange_reply(ex, &response);
}

static uint64_t body_limit(void *owner, struct http_exchange *ex)
{
    (void)owner;
    return slice_eq_str(http_request_path(&ex->request), "/in") ? BODY_LIMIT : 0;
}

static void on_request(void *owner, struct http_exchange *ex)
{
    struct world *w = owner;

    if (slice_eq_str(http_request_path(&ex->request), "/plain"))
        reply(ex, 200);
    else
        w->ex = ex;
}

static void on_refused(void *owner, struct http_exchange *ex, const struct http_refusal *why)
{
    struct world *w = owner;

    w->refused++;
    reply(ex, why->status);
}

static void on_done(void *owner, void *context, bool upgraded)
{
    struct world *w = owner;

    (void)context;
    (void)upgraded;
    w->done++;
}

static const struct http_events events = {body_limit, on_request, on_refused, on_done};

static void world_open(struct world *w)
{
    struct http_peer peer = {.address = "192.0.2.1"};
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
    fake_env_run(&w->f);
    if (w->ex)
        http_exchange_abort(w->ex);
    fake_env_run(&w->f);
    assert_int_equal(w->server.body_bytes, 0);
    assert_int_equal(w->done, 1);
    buf_deinit(&w->body);
    fake_sink_deinit(&w->client);
    wheel_deinit(&w->wheel);
    fake_env_deinit(&w->f);
}

static void client_send(struct world *w, const char *text)
{
    fake_sink_send(&w->client, slice_str(text));
    fake_env_run(&w->f);
}

static bool client_has(const struct world *w, const char *text)
{
    return w->client.in.len && memmem(w->client.in.data, w->client.in.len, text, strlen(text));
}

/* ---- answers in parts ---- */

static void on_writable(void *owner)
{
    ((struct world *)owner)->writable++;
}

static void on_gone(void *owner)
{
    ((struct world *)owner)->gone++;
}

static const struct http_stream_events stream_events = {on_writable, on_gone};

static void begin(struct world *w, uint64_t length, bool watch)
{
    struct http_header headers[] = {{"X-A", SLICE_LIT("b")}};
    struct http_stream_head head = {.status = 200,
                                    .content_type = "text/plain",
                                    .headers = headers,
                                    .n_headers = 1,
                                    .length = length,
                                    .watch = watch};

    assert_non_null(w->ex);
    assert_int_equal(http_exchange_begin(w->ex, &head, &stream_events, w), 0);
}

static void end(struct world *w)
{
    http_exchange_end(TAKE(w->ex));
    fake_env_run(&w->f);
}

static void an_answer_of_unknown_length_is_chunked(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("hello ")), 0);
    assert_int_equal(http_exchange_write(w.ex, slice_of(NULL, 0)), 0); /* is not the end */
    fake_env_run(&w.f);
    assert_true(client_has(&w, "Transfer-Encoding: chunked\r\nX-A: b\r\n\r\n6\r\nhello \r\n"));
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("0123456789abcdef!")), 0);
    end(&w);
    assert_true(client_has(&w, "6\r\nhello \r\n11\r\n0123456789abcdef!\r\n0\r\n\r\n"));
    client_send(&w, "GET /plain HTTP/1.1\r\n" H "\r\n"); /* the connection goes on */
    assert_true(client_has(&w, "whole"));
    assert_false(w.client.closed);
    assert_int_equal(w.gone, 0);
    world_close(&w);
}

static void an_old_client_gets_the_end_of_the_connection(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.0\r\n\r\n");
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("hello")), 0);
    end(&w);
    assert_true(client_has(&w, "Connection: close\r\n\r\nhello"));
    assert_false(client_has(&w, "chunked"));
    assert_true(w.client.closed);
    world_close(&w);
}

static void a_known_length_is_told_and_kept(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\nGET /plain HTTP/1.1\r\n" H "\r\n");
    begin(&w, 5, false);
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("hello")), 0);
    end(&w);
    assert_true(client_has(&w, "Content-Length: 5\r\nX-A: b\r\n\r\nhelloHTTP/1.1 200"));
    assert_true(client_has(&w, "whole")); /* what was pipelined */

    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, 10, false);
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("short")), 0);
    end(&w);
    assert_true(w.client.closed); /* or the client took it for the whole */
    world_close(&w);
}

static void head_gets_headers_only(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "HEAD /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, 1000, false);
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("hello")), 0);
    end(&w);
    assert_true(client_has(&w, "Content-Length: 1000\r\n"));
    assert_false(client_has(&w, "hello"));
    client_send(&w, "HEAD /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    end(&w);
    assert_true(client_has(&w, "chunked"));
    assert_false(client_has(&w, "0\r\n\r\n0\r\n"));
    assert_false(w.client.closed);
    world_close(&w);
}

/* Fills the queue up; returns the bytes written. */
static size_t fill(struct world *w)
{
    static const char block[16384];
    size_t total = 0;
    int r = 0;

    while (r == 0) {
        r = http_exchange_write(w->ex, slice_of(block, sizeof(block)));
        total += sizeof(block);
    }
    assert_int_equal(r, HTTP_STREAM_FULL);
    assert_true(http_exchange_queued(w->ex) > 0);
    return total;
}

static void a_full_queue_says_so_and_when_it_is_not(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    fake_stream_hold(w.near, true);
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    assert_true(fill(&w) < (size_t)2 * STREAM_QUEUE_HIGH);
    fake_env_run(&w.f);
    assert_int_equal(w.writable, 0);
    fake_stream_hold(w.near, false);
    fake_env_run(&w.f);
    assert_int_equal(w.writable, 1);
    assert_int_equal(http_exchange_queued(w.ex), 0);
    fake_env_advance(&w.f, 2 * HTTP_WRITE_TIMEOUT_MS); /* the handler may take its time */
    assert_int_equal(w.gone, 0);
    end(&w);
    assert_false(w.client.closed);
    world_close(&w);
}

static void a_client_that_does_not_read_is_cut(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    fake_stream_hold(w.near, true);
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    (void)fill(&w);
    fake_env_advance(&w.f, HTTP_WRITE_TIMEOUT_MS + 1000);
    assert_int_equal(w.gone, 1);
    assert_true(http_exchange_write(w.ex, SLICE_LIT("x")) < 0);
    assert_int_equal(w.done, 1);
    world_close(&w);
}

static void a_slow_reader_may_go_on(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    fake_stream_hold(w.near, true);
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    (void)fill(&w);
    for (int i = 0; i < 4; i++) { /* as if it had read a little; far from all */
        w.near->queued_bytes -= HTTP_WRITE_PROGRESS_BYTES;
        fake_env_advance(&w.f, HTTP_WRITE_TIMEOUT_MS + 1000);
        assert_int_equal(w.gone, 0);
    }
    w.near->queued_bytes -= HTTP_WRITE_PROGRESS_BYTES - 1; /* too little */
    fake_env_advance(&w.f, HTTP_WRITE_TIMEOUT_MS + 1000);
    assert_int_equal(w.gone, 1);
    world_close(&w);
}

static void a_client_that_leaves_is_told_of_once(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, HTTP_LENGTH_UNKNOWN, true);
    fake_env_run(&w.f);
    assert_false(fake_stream_is_paused(w.near)); /* watched */
    stream_close(w.client.stream, false);
    fake_env_run(&w.f);
    assert_int_equal(w.gone, 1);
    http_exchange_abort(TAKE(w.ex));
    world_close(&w);

    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    fake_env_run(&w.f);
    assert_true(fake_stream_is_paused(w.near));
    http_exchange_abort(TAKE(w.ex));
    fake_env_run(&w.f);
    assert_true(w.client.closed);
    assert_false(client_has(&w, "0\r\n\r\n")); /* cut, not ended */
    assert_int_equal(w.gone, 0);
    world_close(&w);
}

static void a_drain_lets_an_answer_end_and_closes_behind_it(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "GET /hold HTTP/1.1\r\n" H "\r\n");
    begin(&w, HTTP_LENGTH_UNKNOWN, false);
    http_server_drain(&w.server);
    fake_env_run(&w.f);
    assert_int_equal(w.gone, 0);
    assert_int_equal(http_exchange_write(w.ex, SLICE_LIT("hello")), 0);
    end(&w);
    assert_true(client_has(&w, "5\r\nhello\r\n0\r\n\r\n"));
    assert_true(w.client.closed);
    world_close(&w);
}

/* ---- bodies in parts ---- */

static void on_part(void *owner, struct slice part)
{
    struct world *w = owner;

    w->parts++;
    buf_put_slice(&w->body, part);
    if (w->pause_after_part)
        http_exchange_pause_body(w->ex, true);
    if (w->answer_after_part)
        reply(TAKE(w->ex), 403);
}

static void on_end(void *owner)
{
    ((struct world *)owner)->ends++;
}

static void on_fail(void *owner, const struct http_refusal *why)
{
    struct world *w = owner;

    w->fails++;
    w->fail_status = why ? why->status : 0;
}

static const struct http_body_events body_events = {on_part, on_end, on_fail};

static void take(struct world *w)
{
    assert_non_null(w->ex);
    assert_int_equal(http_exchange_take_body(w->ex, &body_events, w), 0);
    assert_int_equal(w->parts + w->ends, 0); /* never at once */
    fake_env_run(&w->f);
}

static void a_body_comes_in_parts_when_it_is_taken(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc");
    assert_non_null(w.ex); /* before the body is here */
    assert_true(fake_stream_is_paused(w.near));
    take(&w);
    assert_int_equal(w.body.len, 3);
    client_send(&w, "def");
    client_send(&w, "ghiGET /plain HTTP/1.1\r\n" H "\r\n");
    assert_true(slice_eq_str(buf_slice(&w.body), "abcdefghi"));
    assert_int_equal(w.ends, 1);
    assert_int_equal(w.server.body_bytes, 0); /* nothing is held */
    reply(TAKE(w.ex), 201);
    fake_env_run(&w.f);
    assert_true(client_has(&w, "HTTP/1.1 201"));
    assert_true(client_has(&w, "HTTP/1.1 200")); /* what was pipelined behind it */
    assert_false(w.client.closed);
    world_close(&w);
}

static void chunked_bodies_and_empty_ones_too(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    take(&w);
    client_send(&w, "2\r\nde\r\n0\r\n\r\n");
    assert_true(slice_eq_str(buf_slice(&w.body), "abcde"));
    assert_int_equal(w.ends, 1);
    reply(TAKE(w.ex), 200);
    w.parts = w.ends = 0;
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n");
    take(&w);
    assert_int_equal(w.parts, 0);
    assert_int_equal(w.ends, 1);
    reply(TAKE(w.ex), 200);
    world_close(&w);
}

static void expect_continue_is_answered_when_the_body_is_wanted(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w,
                "POST /in HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_false(client_has(&w, "100 Continue"));
    take(&w);
    assert_true(client_has(&w, "100 Continue"));
    client_send(&w, "abc");
    assert_int_equal(w.ends, 1);
    reply(TAKE(w.ex), 200);
    fake_env_run(&w.f);

    client_send(&w,
                "POST /in HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    reply(TAKE(w.ex), 401); /* not wanted: the client need not send it */
    fake_env_run(&w.f);
    assert_true(client_has(&w, "HTTP/1.1 401 Unauthorized"));
    assert_true(client_has(&w, "Connection: close"));
    world_close(&w);
}

static void a_paused_body_stops_the_client(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.pause_after_part = true;
    client_send(&w, "POST /in HTTP/1.1\r\n" H
                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n");
    take(&w);
    assert_true(slice_eq_str(buf_slice(&w.body), "abc"));
    assert_true(fake_stream_is_paused(w.near));
    fake_env_advance(&w.f, 2 * HTTP_PART_TIMEOUT_MS); /* we are slow, not the client */
    assert_int_equal(w.fails, 0);
    http_exchange_pause_body(w.ex, false);
    fake_env_run(&w.f);
    assert_true(slice_eq_str(buf_slice(&w.body), "abcde"));
    w.pause_after_part = false;
    http_exchange_pause_body(w.ex, false);
    client_send(&w, "0\r\n\r\n");
    assert_int_equal(w.ends, 1);
    reply(TAKE(w.ex), 200);
    world_close(&w);
}

static void bodies_that_are_too_large_or_broken_or_slow_fail(void **state)
{
    static const struct {
        const char *head, *more;
        unsigned status;
    } cases[] = {
        {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "40000\r\n", 413},
        {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "zz\r\n", 400},
        {"Content-Length: 10\r\n\r\nabc", NULL, 408},
    };
    struct world w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        world_open(&w);
        client_send(&w, "POST /in HTTP/1.1\r\n" H);
        client_send(&w, cases[i].head);
        take(&w);
        assert_int_equal(w.parts, 1);
        if (cases[i].more)
            client_send(&w, cases[i].more);
        else
            fake_env_advance(&w.f, HTTP_PART_TIMEOUT_MS + 1000);
        assert_int_equal(w.fails, 1);
        assert_int_equal(w.fail_status, cases[i].status);
        reply(TAKE(w.ex), w.fail_status);
        fake_env_advance(&w.f, HTTP_LINGER_MS + 1000);
        assert_true(w.client.closed);
        world_close(&w);
    }
    world_open(&w); /* told at once, by the length */
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Content-Length: 200001\r\n\r\n");
    assert_int_equal(w.refused, 1);
    assert_true(client_has(&w, "HTTP/1.1 413"));
    world_close(&w);
}

static void a_trickle_ends_at_the_deadline(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    take(&w);
    for (unsigned ms = 0; ms < HTTP_PARTS_TIMEOUT_MS && !w.fails; ms += 20000) {
        client_send(&w, "x");
        fake_env_advance(&w.f, 20000);
    }
    fake_env_advance(&w.f, 1000);
    assert_int_equal(w.fail_status, 408);
    assert_int_equal(w.fails, 1);
    reply(TAKE(w.ex), 408);
    world_close(&w);
}

static void an_early_answer_ends_the_reading(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.answer_after_part = true;
    client_send(&w, "POST /in HTTP/1.1\r\n" H
                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n");
    take(&w);
    assert_int_equal(w.parts, 1);
    assert_int_equal(w.ends + w.fails, 0);
    assert_true(client_has(&w, "HTTP/1.1 403"));
    client_send(&w, "3\r\nghi\r\n"); /* thrown away */
    assert_int_equal(w.parts, 1);
    fake_env_advance(&w.f, HTTP_LINGER_MS + 1000);
    assert_true(w.client.closed);
    world_close(&w);
}

static void an_uploader_that_leaves_is_told_of(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
    take(&w);
    stream_close(w.client.stream, false);
    fake_env_run(&w.f);
    assert_int_equal(w.fails, 1);
    assert_int_equal(w.fail_status, 0);
    reply(TAKE(w.ex), 200); /* into nothing */
    world_close(&w);

    world_open(&w); /* before anybody has asked */
    client_send(&w, "POST /in HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
    fake_stream_break(w.near, STREAM_END_RESET);
    fake_env_run(&w.f);
    assert_true(http_exchange_take_body(w.ex, &body_events, &w) < 0);
    assert_int_equal(w.fails, 0);
    reply(TAKE(w.ex), 200);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_of_unknown_length_is_chunked),
        cmocka_unit_test(an_old_client_gets_the_end_of_the_connection),
        cmocka_unit_test(a_known_length_is_told_and_kept),
        cmocka_unit_test(head_gets_headers_only),
        cmocka_unit_test(a_full_queue_says_so_and_when_it_is_not),
        cmocka_unit_test(a_client_that_does_not_read_is_cut),
        cmocka_unit_test(a_slow_reader_may_go_on),
        cmocka_unit_test(a_client_that_leaves_is_told_of_once),
        cmocka_unit_test(a_drain_lets_an_answer_end_and_closes_behind_it),
        cmocka_unit_test(a_body_comes_in_parts_when_it_is_taken),
        cmocka_unit_test(chunked_bodies_and_empty_ones_too),
        cmocka_unit_test(expect_continue_is_answered_when_the_body_is_wanted),
        cmocka_unit_test(a_paused_body_stops_the_client),
        cmocka_unit_test(bodies_that_are_too_large_or_broken_or_slow_fail),
        cmocka_unit_test(a_trickle_ends_at_the_deadline),
        cmocka_unit_test(an_early_answer_ends_the_reading),
        cmocka_unit_test(an_uploader_that_leaves_is_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
