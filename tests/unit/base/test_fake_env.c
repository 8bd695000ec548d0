/* test_fake_env.c - the fake environment keeps the contract of stream.h and env.h, so that
 * tests on it mean something. */
#include "tests/support/fake_env.h"

#include "tests/support/test.h"

struct accept {
    struct fake_sink sink;
    bool accepted;
};

static void on_accept(void *arg, struct stream *stream)
{
    struct accept *accept = arg;

    fake_sink_init(&accept->sink, stream);
    accept->accepted = true;
}

static void connect_delivers_both_ways(void **state)
{
    struct fake_env f;
    struct accept accept = {0};
    struct fake_listener l = {.address = "shard:1", .on_accept = on_accept, .arg = &accept};
    struct fake_sink client;
    struct stream *stream;

    (void)state;
    fake_env_init(&f, 1);
    fake_listen(&f, &l);
    assert_int_equal(f.env.ops->connect(&f.env, "shard:1", NULL, NULL, &stream), 0);
    fake_sink_init(&client, stream);
    assert_false(client.opened); /* never before connect() has returned */
    fake_env_run(&f);
    assert_true(client.opened && accept.accepted);

    fake_sink_send(&client, SLICE_LIT("hello"));
    fake_sink_send(&accept.sink, SLICE_LIT("welcome"));
    fake_env_run(&f);
    CHECK_SLICE(buf_slice(&accept.sink.in), "hello", "there");
    CHECK_SLICE(buf_slice(&client.in), "welcome", "back");

    fake_sink_send(&client, SLICE_LIT(" bye"));
    stream_close(client.stream, true);
    fake_env_run(&f);
    CHECK_SLICE(buf_slice(&accept.sink.in), "hello bye", "flushed");
    assert_true(accept.sink.closed);
    assert_int_equal(accept.sink.end, STREAM_END_EOF);
    assert_false(client.closed); /* no event after stream_close() */
    fake_sink_deinit(&client);
    fake_sink_deinit(&accept.sink);
    fake_env_deinit(&f);
}

static void refused_without_listener(void **state)
{
    struct fake_env f;
    struct fake_sink client;
    struct stream *stream;

    (void)state;
    fake_env_init(&f, 1);
    assert_int_equal(f.env.ops->connect(&f.env, "nobody:1", NULL, NULL, &stream), 0);
    fake_sink_init(&client, stream);
    fake_env_run(&f);
    assert_true(client.closed && !client.opened);
    assert_int_equal(client.end, STREAM_END_REFUSED);
    fake_env_deinit(&f);
}

static void held_output_queues_and_drains(void **state)
{
    struct fake_env f;
    struct fake_sink a, b;
    struct stream *sa, *sb;

    (void)state;
    fake_env_init(&f, 1);
    f.high_mark = 4;
    f.low_mark = 1;
    fake_pair(&f, &sa, &sb);
    fake_sink_init(&a, sa);
    fake_sink_init(&b, sb);
    fake_stream_hold(sa, true);
    fake_sink_send(&a, SLICE_LIT("abc"));
    fake_sink_send(&a, SLICE_LIT("def"));
    fake_env_run(&f);
    assert_int_equal(sa->queued_bytes, 6);
    assert_int_equal(b.in.len, 0);
    assert_false(a.drained);

    fake_stream_hold(sa, false);
    fake_stream_split(sa, 1);
    stream_pause(sb, true);
    fake_env_run(&f);
    assert_int_equal(b.in.len, 0);
    stream_pause(sb, false);
    fake_env_run(&f);
    CHECK_SLICE(buf_slice(&b.in), "abcdef", "all of it");
    assert_true(a.drained);

    fake_sink_send(&a, SLICE_LIT("lost"));
    fake_stream_break(sb, STREAM_END_RESET);
    fake_env_run(&f);
    assert_true(a.closed && b.closed);
    CHECK_SLICE(buf_slice(&b.in), "abcdef", "nothing after the break");
    fake_sink_deinit(&a);
    fake_sink_deinit(&b);
    fake_env_deinit(&f);
}

static void note_time(struct timer *timer, void *arg)
{
    struct fake_env *f = arg;

    (void)timer;
    f->wall_us = -(int64_t)f->now_ms; /* leaves a mark */
}

static void clock_stops_at_timers(void **state)
{
    struct fake_env f;
    struct timer timer;

    (void)state;
    fake_env_init(&f, 1);
    timer_init(&timer, note_time, &f);
    assert_int_equal(env_timer(&f.env, &timer, 70), 0);
    fake_env_advance(&f, 69);
    assert_true(timer_is_armed(&timer));
    fake_env_advance(&f, 1000);
    assert_false(timer_is_armed(&timer));
    assert_int_equal(f.now_ms, 1000 + 69 + 1000);
    assert_int_equal(f.wall_us, -1070 + 999 * 1000); /* ran at 1070 exactly */
    fake_env_deinit(&f);
}

static void steady_time_does_not_jump_with_the_clock(void **state)
{
    struct fake_env f;
    int64_t begin;

    (void)state;
    fake_env_init(&f, 1);
    begin = env_steady_us(&f.env);
    assert_int_equal(begin, env_wall_us(&f.env));
    f.wall_us -= INT64_C(7200000000);
    fake_env_advance(&f, 1500);
    assert_int_equal(env_steady_us(&f.env), begin + 1500000);
    f.wall_us += INT64_C(9000000000);
    assert_int_equal(env_steady_us(&f.env), begin + 1500000);
    fake_env_deinit(&f);
}

static void random_repeats_with_the_seed(void **state)
{
    struct fake_env f, g;

    (void)state;
    fake_env_init(&f, 7);
    fake_env_init(&g, 7);
    for (int i = 0; i < 100; i++) {
        uint64_t jittered = env_jitter_ms(&f.env, 100);

        assert_int_equal(jittered, env_jitter_ms(&g.env, 100));
        assert_in_range(jittered, 75, 125);
    }
    assert_int_equal(env_jitter_ms(&f.env, 0), 0);
    assert_int_not_equal(env_random_u64(&f.env), env_random_u64(&f.env));
    fake_env_deinit(&f);
    fake_env_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_delivers_both_ways),
        cmocka_unit_test(refused_without_listener),
        cmocka_unit_test(held_output_queues_and_drains),
        cmocka_unit_test(clock_stops_at_timers),
        cmocka_unit_test(steady_time_does_not_jump_with_the_clock),
        cmocka_unit_test(random_repeats_with_the_seed),
    };

    return cmocka_run_group_tests_name("fake_env", tests, NULL, NULL);
}
