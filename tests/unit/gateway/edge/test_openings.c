/* test_openings.c - many sockets that are to be opened at once take turns (socket_open.c). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "tests/unit/gateway/edge/world.h"

#define UPGRADE                                                                                \
    "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"    \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum { SOME = 3 * OPENINGS_PER_TURN };

static struct world w;
static struct fake_sink *clients;
static size_t n_clients;

static int setup(void **state)
{
    (void)state;
    world_open(&w, NULL);
    return 0;
}

static void close_all(void)
{
    for (size_t i = 0; i < n_clients; i++) {
        if (clients[i].stream)
            stream_close(clients[i].stream, false);
        fake_sink_deinit(&clients[i]);
    }
    free(clients);
    clients = NULL;
    n_clients = 0;
    fake_env_run(&w.c.env);
    fake_shard_clear(w.shard);
}

static int teardown(void **state)
{
    (void)state;
    close_all();
    world_close(&w);
    return 0;
}

/* Connections that all send their request in one turn. */
static void knock_at_once_at(const char *path, size_t n)
{
    AUTO_BUF request = BUF_INIT;
    struct ip ip;

    assert_int_equal(ip_parse(SLICE_LIT("10.0.0.1"), &ip), 0);
    clients = calloc(n, sizeof(*clients));
    n_clients = n;
    for (size_t i = 0; i < n; i++) {
        struct stream *near, *far;
        char user[24];

        snprintf(user, sizeof(user), "u%zu", i);
        buf_clear(&request);
        buf_printf(&request, "GET %s?token=%s HTTP/1.1\r\n%s", path,
                   world_token(&w, user, "\"member\"", ""),
                   strncmp(path, "/ws", 3) == 0 ? UPGRADE : "Host: x\r\n\r\n");
        fake_pair(&w.c.env, &near, &far);
        fake_sink_init(&clients[i], far);
        assert_true(front_take(w.front, near, &ip, false, false));
        fake_sink_send(&clients[i], buf_slice(&request));
    }
    fake_env_run(&w.c.env);
}

static void knock_at_once(size_t n)
{
    knock_at_once_at("/ws/room/r", n);
}

static bool has(size_t client, const char *text)
{
    const struct buf *in = &clients[client].in;

    return in->len > 0 && memmem(in->data, in->len, text, strlen(text));
}

static void all_are_let_in_as_they_came(void **state)
{
    (void)state;
    knock_at_once(SOME);
    assert_int_equal(w.c.metrics.openings_waited, SOME - OPENINGS_PER_TURN);
    world_answer_project(&w); /* for which all wait; again they go on in turn */
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.openings_waited, 2 * SOME - OPENINGS_PER_TURN);
    assert_int_equal(sessions_count(w.sessions), SOME);
    for (size_t i = 0; i < SOME; i++) {
        char user[24];

        snprintf(user, sizeof(user), "u%zu", i);
        CHECK_SLICE(fake_shard_expect(w.shard, MSG_ATTACH)->ATTACH.user, user, user);
    }
    close_all();
    knock_at_once(OPENINGS_PER_TURN); /* known, and few enough: nobody waits */
    assert_int_equal(w.c.metrics.openings_waited, 2 * SOME - OPENINGS_PER_TURN);
    assert_int_equal(sessions_count(w.sessions), OPENINGS_PER_TURN);
}

static void who_goes_while_he_waits_is_no_session(void **state)
{
    (void)state;
    knock_at_once(SOME);
    for (size_t i = 0; i < SOME; i += 2) {
        stream_close(clients[i].stream, false);
        clients[i].stream = NULL;
    }
    fake_env_run(&w.c.env);
    world_answer_project(&w);
    fake_env_run(&w.c.env);
    assert_int_equal(sessions_count(w.sessions), SOME / 2);
}

static void a_gateway_that_goes_sends_those_who_wait_elsewhere(void **state)
{
    (void)state;
    knock_at_once(SOME);
    front_drain(w.front);
    world_answer_project(&w);
    fake_env_run(&w.c.env);
    assert_int_equal(sessions_count(w.sessions), 0);
    for (size_t i = 0; i < SOME; i++)
        assert_true(has(i, "drain"));
}

static void event_streams_take_turns_too(void **state)
{
    (void)state;
    knock_at_once_at("/rooms/r/stream", SOME);
    assert_int_equal(w.c.metrics.openings_waited, 0); /* as long as nobody knows the project */
    world_answer_project(&w);
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.openings_waited, SOME - OPENINGS_PER_TURN);
    assert_int_equal(sessions_count(w.sessions), SOME);
    assert_int_equal(w.c.metrics.event_streams, SOME);
    for (size_t i = 0; i < SOME; i++) {
        char user[24];

        snprintf(user, sizeof(user), "u%zu", i);
        CHECK_SLICE(fake_shard_expect(w.shard, MSG_ATTACH)->ATTACH.user, user, user);
    }
}

static void too_many_are_told_to_come_back(void **state)
{
    enum { LEFT = 3, N = OPENINGS_WAITING_MAX + OPENINGS_PER_TURN + LEFT };

    (void)state;
    knock_at_once(N);
    assert_int_equal(w.c.metrics.sockets_refused, LEFT);
    for (size_t i = N - LEFT; i < N; i++) {
        assert_true(has(i, "HTTP/1.1 503 "));
        assert_true(has(i, "Retry-After: "));
        assert_true(has(i, "overloaded"));
    }
    /* The others are dropped as they wait. */
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_are_let_in_as_they_came),
        T(who_goes_while_he_waits_is_no_session),
        T(a_gateway_that_goes_sends_those_who_wait_elsewhere),
        T(event_streams_take_turns_too),
        T(too_many_are_told_to_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
