/* test_ws_conn.c - connections: close handshakes, silence, bounds, decoders that are given
 * back. */
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "gateway/ws/ws_conn.h"

#define M "\x00\x00\x00\x00"
#define W(s) slice_of((s), sizeof(s) - 1)

struct world {
    struct fake_env f;
    struct wheel wheel;
    struct ws_server server;
    struct fake_sink client;
    struct stream *near;
    struct ws_conn *ws; /* NULL once it has told us of its end */
    struct buf log;
    unsigned close_code; /* on_close was called with it */
    bool close_on_message;
};

static void on_message(void *owner, bool is_text, struct slice payload)
{
    struct world *w = owner;

    buf_put_str(&w->log, is_text ? "T:" : "B:");
    buf_put_slice(&w->log, payload);
    if (w->close_on_message) {
        ws_conn_close(w->ws, WS_CODE_POLICY, SLICE_LIT("banned"));
        w->ws = NULL;
    }
}

static void on_drained(void *owner)
{
    struct world *w = owner;

    buf_put_str(&w->log, "drained");
}

static void on_close(void *owner, unsigned code)
{
    struct world *w = owner;

    assert_int_equal(w->close_code, 0); /* once */
    w->close_code = code;
    w->ws = NULL;
}

static const struct ws_events events = {on_message, on_drained, on_close};

static void world_open(struct world *w)
{
    struct stream *far;

    memset(w, 0, sizeof(*w));
    fake_env_init(&w->f, 1);
    assert_int_equal(wheel_init(&w->wheel, &w->f.env), 0);
    ws_server_init(&w->server, &w->f.env, &w->wheel);
    fake_pair(&w->f, &w->near, &far);
    fake_sink_init(&w->client, far);
    assert_int_equal(ws_conn_new(&w->server, w->near, &events, w, &w->ws), 0);
    fake_env_run(&w->f);
}

static void world_close(struct world *w)
{
    if (w->ws)
        ws_conn_close(w->ws, WS_CODE_NORMAL, slice_of(NULL, 0));
    ws_server_deinit(&w->server);
    fake_env_run(&w->f);
    assert_int_equal(w->server.n_codecs, 0);
    assert_int_equal(w->server.partial_bytes, 0);
    buf_deinit(&w->log);
    fake_sink_deinit(&w->client);
    wheel_deinit(&w->wheel);
    fake_env_deinit(&w->f);
}

static void client_send(struct world *w, struct slice bytes)
{
    fake_sink_send(&w->client, bytes);
    fake_env_run(&w->f);
}

static void expect_client(struct world *w, struct slice want)
{
    assert_int_equal(w->client.in.len, want.len);
    assert_true(slice_eq(buf_slice(&w->client.in), want));
    buf_clear(&w->client.in);
}

static void an_idle_connection_holds_no_decoder(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    assert_int_equal(w.server.n_codecs, 0);
    client_send(&w, W("\x81\x82" M "h"));
    assert_int_equal(w.server.n_codecs, 1);
    assert_int_equal(w.server.partial_bytes, 1);
    client_send(&w, W("i"));
    CHECK_SLICE(buf_slice(&w.log), "T:hi", "message");
    assert_int_equal(w.server.n_codecs, 0);
    assert_int_equal(w.server.n_free, 1);
    client_send(&w, W("\x89\x81" M "p"));
    expect_client(&w, W("\x8a\x01p"));
    assert_int_equal(w.server.n_free, 1);
    world_close(&w);
}

static void the_peer_closes(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, W("\x88\x82" M "\x03\xe9"));
    assert_int_equal(w.close_code, 1001);
    expect_client(&w, W("\x88\x02\x03\xe9"));
    assert_true(w.client.closed);
    world_close(&w);
}

static void we_close_and_the_peer_answers(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    ws_conn_close(w.ws, 1012, SLICE_LIT("drain"));
    w.ws = NULL;
    fake_env_run(&w.f);
    expect_client(&w, W("\x88\x07\x03\xf4"
                        "drain"));
    assert_false(w.client.closed);
    client_send(&w, W("\x81\x81" M "x")); /* still on its way: not for the owner */
    client_send(&w, W("\x88\x87" M "\x03\xf4"
                      "drain")); /* wslay takes 1012 for an error; nothing more is said */
    assert_true(w.client.closed);
    assert_int_equal(w.client.in.len, 0);
    assert_int_equal(w.log.len, 0);
    assert_int_equal(w.close_code, 0);
    world_close(&w);
}

static void a_peer_that_does_not_answer_a_close_is_cut(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    ws_conn_close(w.ws, 1000, slice_of(NULL, 0));
    w.ws = NULL;
    fake_env_advance(&w.f, CLOSE_TIMEOUT_MS - 1000);
    assert_false(w.client.closed);
    fake_env_advance(&w.f, 2000);
    assert_true(w.client.closed);
    assert_int_equal(w.close_code, 0);
    world_close(&w);
}

static void closing_from_inside_a_message(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.close_on_message = true;
    client_send(&w, W("\x81\x81" M "a\x81\x81" M "b\x89\x80" M));
    CHECK_SLICE(buf_slice(&w.log), "T:a", "only the first");
    expect_client(&w, W("\x88\x08\x03\xf0"
                        "banned"));
    world_close(&w);
}

static void a_protocol_error_is_told_and_ends(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, W("\x81\x02hi and more"));
    assert_int_equal(w.close_code, 1002);
    expect_client(&w, W("\x88\x02\x03\xea"));
    assert_false(w.client.closed);
    client_send(&w, W("what it still had on its way"));
    fake_env_advance(&w.f, WS_DISCARD_MS + 1000);
    assert_true(w.client.closed);
    world_close(&w);
}

static void a_lost_connection_is_told(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    client_send(&w, W("\x81\x82" M "h"));
    fake_stream_break(w.near, STREAM_END_RESET);
    fake_env_run(&w.f);
    assert_int_equal(w.close_code, WS_CODE_ABNORMAL);
    world_close(&w);
}

static void a_silent_peer_is_pinged_and_then_dead(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    fake_env_advance(&w.f, WS_PING_INTERVAL_MS - 2000);
    client_send(&w, W("\x81\x81" M "a"));
    fake_env_advance(&w.f, WS_PING_INTERVAL_MS - 2000);
    assert_int_equal(w.client.in.len, 0); /* it was not silent for that long */
    fake_env_advance(&w.f, 4000);
    expect_client(&w, W("\x89\x00"));
    client_send(&w, W("\x8a\x80" M));
    fake_env_advance(&w.f, WS_PING_INTERVAL_MS - 2000);
    assert_int_equal(w.close_code, 0); /* the pong counted */
    fake_env_advance(&w.f, 4000);
    expect_client(&w, W("\x89\x00"));
    fake_env_advance(&w.f, WS_PONG_TIMEOUT_MS + 1000);
    assert_int_equal(w.close_code, WS_CODE_ABNORMAL);
    world_close(&w);
}

static void a_paused_peer_is_not_taken_for_silent(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    ws_conn_pause(w.ws, true);
    assert_true(fake_stream_is_paused(w.near));
    fake_env_advance(&w.f, 10 * WS_PING_INTERVAL_MS);
    assert_int_equal(w.close_code, 0);
    ws_conn_pause(w.ws, false);
    world_close(&w);
}

static void pongs_do_not_pile_up(void **state)
{
    struct world w;
    AUTO(blob_unref) struct blob *big = blob_new(SOCKET_QUEUE_SOFT);
    size_t queued;

    (void)state;
    world_open(&w);
    memset(big->data, 0, big->len);
    fake_stream_hold(w.near, true);
    assert_int_equal(ws_conn_send(w.ws, big), 0);
    queued = w.near->queued_bytes;
    for (int i = 0; i < 100; i++)
        client_send(&w, W("\x89\x81" M "p"));
    assert_int_equal(w.near->queued_bytes, queued);
    world_close(&w);
}

static void unfinished_messages_of_a_process_are_bounded(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.server.partial_bytes = WS_PARTIAL_TOTAL_MAX; /* the others */
    client_send(&w, W("\x81\x82" M "h"));
    assert_int_equal(w.close_code, WS_CODE_OVERLOADED);
    w.server.partial_bytes -= WS_PARTIAL_TOTAL_MAX;
    world_close(&w);
}

static void bytes_behind_the_handshake_are_fed(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    ws_conn_feed(w.ws, W("\x81\x81" M "a"));
    CHECK_SLICE(buf_slice(&w.log), "T:a", "fed");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_holds_no_decoder),
        cmocka_unit_test(the_peer_closes),
        cmocka_unit_test(we_close_and_the_peer_answers),
        cmocka_unit_test(a_peer_that_does_not_answer_a_close_is_cut),
        cmocka_unit_test(closing_from_inside_a_message),
        cmocka_unit_test(a_protocol_error_is_told_and_ends),
        cmocka_unit_test(a_lost_connection_is_told),
        cmocka_unit_test(a_silent_peer_is_pinged_and_then_dead),
        cmocka_unit_test(a_paused_peer_is_not_taken_for_silent),
        cmocka_unit_test(pongs_do_not_pile_up),
        cmocka_unit_test(unfinished_messages_of_a_process_are_bounded),
        cmocka_unit_test(bytes_behind_the_handshake_are_fed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
