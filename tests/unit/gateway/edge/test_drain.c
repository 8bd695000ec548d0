/* test_drain.c - how a gateway ends in order (gateway/drain.h). */
#include "gateway/drain.h"
#include "tests/support/test.h"

#include <stdio.h>

#include "common/base/limits.h"
#include "tests/unit/gateway/edge/world.h"

#define UPGRADE                                                                                \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static struct world w;
static struct drain drain;
static unsigned doors_closed, ends;

static void close_doors(void *owner)
{
    (void)owner;
    doors_closed++;
}

static void on_end(void *owner)
{
    (void)owner;
    ends++;
    drain_cancel(&drain); /* the loop stops */
}

static int setup(void **state)
{
    struct drain_parts parts = {.wait_ms = 1000,
                                .timeout_ms = 3000,
                                .rate = 100,
                                .close_doors = close_doors,
                                .on_end = on_end};

    (void)state;
    doors_closed = ends = 0;
    world_open(&w, NULL);
    parts.env = &w.c.env.env;
    parts.sessions = w.sessions;
    parts.front = w.front;
    parts.metrics = &w.c.metrics;
    drain = (struct drain){0};
    drain_init(&drain, &parts);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drain_cancel(&drain);
    world_close(&w);
    return 0;
}

static void open_socket(const char *more)
{
    char target[2600];

    snprintf(target, sizeof(target), "/ws/room/r?token=%s%s",
             world_token(&w, "ann", "\"member\"", ""), more);
    world_request(&w, "GET", target, UPGRADE, NULL);
    world_answer_project(&w);
    assert_int_equal(sessions_count(w.sessions), 1);
    fake_shard_clear(w.shard);
}

static void the_doors_stay_open_for_the_wait(void **state)
{
    (void)state;
    open_socket("");
    drain_begin(&drain);
    assert_int_equal(w.c.metrics.draining, 1);
    fake_env_advance(&w.c.env, 900);
    assert_int_equal(doors_closed, 0);
    assert_int_equal(w.c.metrics.goaways_drain, 0);
    fake_env_advance(&w.c.env, 150);
    assert_int_equal(doors_closed, 1);
    assert_int_equal(w.c.metrics.goaways_drain, 1);
    assert_int_equal(w.c.metrics.departed_closed, 1); /* it does not know the frame */
    fake_shard_clear(w.shard);
}

static void answers_end_their_connection_from_the_first_moment(void **state)
{
    (void)state;
    drain_begin(&drain);
    world_request(&w, "GET", "/client/feature-flags", "", NULL);
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "Connection: close\r\n"));
}

static void it_ends_when_nobody_is_left(void **state)
{
    (void)state;
    open_socket("&v=1");
    drain_begin(&drain);
    fake_env_advance(&w.c.env, 1500);
    assert_int_equal(ends, 0);
    stream_close(w.client.stream, false); /* it is elsewhere */
    w.client.stream = NULL;
    fake_env_advance(&w.c.env, 100);
    assert_int_equal(ends, 1);
    assert_int_equal(w.c.metrics.departed_left, 1);
    fake_shard_clear(w.shard);
}

/* Somebody never answers the close frame. */
static void it_ends_at_the_deadline_whoever_is_left(void **state)
{
    (void)state;
    open_socket("&v=1");
    drain_begin(&drain);
    fake_env_advance(&w.c.env, 3900);
    assert_int_equal(ends, 0);
    assert_int_equal(front_open_count(w.front), 1);
    fake_env_advance(&w.c.env, 200);
    assert_int_equal(ends, 1);
    fake_shard_clear(w.shard);
}

static void told_twice_it_ends_at_once(void **state)
{
    (void)state;
    open_socket("&v=1");
    drain_begin(&drain);
    assert_int_equal(ends, 0);
    drain_begin(&drain);
    assert_int_equal(ends, 1);
    fake_shard_clear(w.shard);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_doors_stay_open_for_the_wait),
        T(answers_end_their_connection_from_the_first_moment),
        T(it_ends_when_nobody_is_left),
        T(it_ends_at_the_deadline_whoever_is_left),
        T(told_twice_it_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
