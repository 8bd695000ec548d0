/*
 * test_fan_out.c - one room event to many sockets: who gets it, what is shared,
 * what happens to those who do not read.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

enum { N = 50 };

static struct fake_world w;
static struct fake_client many[N];
static struct fake_attach attaches[N];
static struct fake_shard *s0 = &w.c.shards[0];

static void open_room(int n)
{
    for (int i = 0; i < n; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%d", i);
        attaches[i] = client_open_live(&w, &many[i], user, "r", s0, 10);
    }
}

static int setup(void **state)
{
    (void)state;
    fake_world_init(&w, 1);
    memset(many, 0, sizeof(many));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        if (many[i].remote.stream || many[i].remote.in.data)
            client_close(&w, &many[i]);
    fake_world_deinit(&w);
    return 0;
}

static void every_live_socket_gets_each_event_once(void **state)
{
    (void)state;
    open_room(N);
    for (uint64_t seq = 11; seq < 15; seq++) {
        char text[16];

        snprintf(text, sizeof(text), "event %d", (int)seq);
        shard_room_event(s0, "r", seq, 0, 0, text);
        shard_room_event(s0, "r", seq, 0, 0, "again");
        for (int i = 0; i < N; i++)
            client_expect(&w, &many[i], text);
    }
    for (int i = 0; i < N; i++)
        client_expect_nothing(&w, &many[i]);
    assert_int_equal(w.c.metrics.deliveries, 4 * N);
    assert_int_equal(w.c.metrics.room_events, 8);
}

static void only_sockets_behind_the_event_get_it(void **state)
{
    (void)state;
    attaches[0] = client_open_live(&w, &many[0], "a", "r", s0, 10);
    attaches[1] = client_open_live(&w, &many[1], "b", "r", s0, 12);
    shard_room_event(s0, "r", 11, 0, 0, "eleven");
    shard_room_event(s0, "r", 12, 0, 0, "twelve");
    shard_room_event(s0, "r", 13, 0, 0, "thirteen");
    client_expect(&w, &many[0], "eleven");
    client_expect(&w, &many[0], "twelve");
    client_expect(&w, &many[0], "thirteen");
    client_expect(&w, &many[1], "thirteen");
    client_expect_nothing(&w, &many[1]);
}

static void other_rooms_and_projects_get_nothing(void **state)
{
    struct msg event = {.type = MSG_ROOM_EVENT};

    (void)state;
    attaches[0] = client_open_live(&w, &many[0], "a", "r", s0, 10);
    attaches[1] = client_open_live(&w, &many[1], "b", "r2", s0, 10);
    shard_room_event(s0, "r2", 11, 0, 0, "for r2");
    shard_room_event(s0, "r3", 11, 0, 0, "for nobody");
    event.ROOM_EVENT.seq = 11;
    event.ROOM_EVENT.project = SLICE_LIT("other");
    event.ROOM_EVENT.room = SLICE_LIT("r");
    event.ROOM_EVENT.json = SLICE_LIT("another tenant");
    fake_shard_send(s0, &event);
    client_expect(&w, &many[1], "for r2");
    client_expect_nothing(&w, &many[0]);
    client_expect_nothing(&w, &many[1]);
}

static void flags_choose_who_sees_the_bytes_and_all_cursors_move(void **state)
{
    struct session_params old = {
        .project = SLICE_LIT("p"), .user = SLICE_LIT("old"), .roles = SLICE_LIT("member")};
    struct enter_params enter = {.room = SLICE_LIT("r")};

    (void)state;
    attaches[0] = client_open_live(&w, &many[0], "native", "r", s0, 10);
    client_open_as(&w, &many[1], &old, &enter);
    attaches[1] = shard_expect_attach(&w, s0);
    assert_int_equal(attaches[1].flags & ATTACH_NATIVE, 0);
    shard_attached(s0, &attaches[1], 10);
    shard_room_event(s0, "r", 11, EVENT_NATIVE_ONLY, 0, "membership");
    shard_room_event(s0, "r", 12, EVENT_OLD_ONLY, 0, "old form");
    shard_room_event(s0, "r", 13, 0, attaches[0].number, "not to the sender");
    shard_room_event(s0, "r", 0, EVENT_EPHEMERAL, attaches[1].number, "joined");
    client_expect(&w, &many[0], "membership");
    client_expect(&w, &many[0], "joined");
    client_expect_nothing(&w, &many[0]);
    client_expect(&w, &many[1], "old form");
    client_expect(&w, &many[1], "not to the sender");
    client_expect_nothing(&w, &many[1]);

    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    assert_int_equal(shard_expect_attach(&w, s0).last_seq, 13);
    assert_int_equal(shard_expect_attach(&w, s0).last_seq, 13);
}

static void a_slow_reader_loses_ephemerals_then_falls_behind_and_slows_nobody(void **state)
{
    static char big[64 * KIB];
    uint64_t seq = 10;

    (void)state;
    open_room(3);
    memset(big, 'x', sizeof(big) - 1);
    fake_stream_hold(many[1].stream, true);
    while (many[1].stream->queued_bytes <= SOCKET_QUEUE_SOFT) {
        shard_room_event(s0, "r", ++seq, 0, 0, big);
        fake_env_run(&w.c.env);
    }
    assert_int_equal(w.c.metrics.slow_dropped, 0);
    shard_room_event(s0, "r", 0, EVENT_EPHEMERAL, 0, "typing");
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.slow_dropped, 1);

    while (seq < 100) {
        assert_true(many[1].stream->queued_bytes <= SOCKET_QUEUE_BEHIND + 2 * sizeof(big));
        shard_room_event(s0, "r", ++seq, 0, 0, big);
        fake_env_run(&w.c.env);
    }
    assert_int_equal(w.c.metrics.slow_marked, 1);
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    assert_int_equal(w.c.metrics.slow_closed, 0);
    for (int i = 0; i < 3; i += 2) {
        size_t events = 0;

        while (many[i].at < many[i].remote.in.len) {
            client_next(&w, &many[i]);
            events++;
        }
        assert_int_equal(events, seq - 10 + 1); /* all of them, and the typing */
    }
}

/* A sink that cannot take the frame ends its session in the middle of the walk. */
static void closing_during_the_walk_misses_nobody(void **state)
{
    (void)state;
    open_room(N);
    for (int i = 0; i < N; i += 3)
        fake_stream_fail_writes(many[i].stream);
    shard_room_event(s0, "r", 11, 0, 0, "event");
    shard_room_event(s0, "r", 12, 0, 0, "end");
    fake_env_run(&w.c.env);
    for (int i = 0; i < N; i++) {
        assert_int_equal(many[i].code, i % 3 == 0 ? 1013 : 0);
        if (i % 3 == 0)
            continue;
        client_expect(&w, &many[i], "event");
        client_expect(&w, &many[i], "end");
        client_expect_nothing(&w, &many[i]);
    }
}

static void the_last_socket_may_close_during_the_walk(void **state)
{
    (void)state;
    open_room(1);
    fake_stream_fail_writes(many[0].stream);
    shard_room_event(s0, "r", 11, 0, 0, "event");
    fake_env_run(&w.c.env);
    assert_int_equal(many[0].code, 1013);
    assert_int_equal(w.c.metrics.rooms, 0);
}

/* The blob is shared: what 50 sockets hold is one frame, not fifty. */
static void all_sockets_share_one_frame(void **state)
{
    struct fake_sink *first;

    (void)state;
    open_room(N);
    for (int i = 0; i < N; i++)
        fake_stream_hold(many[i].stream, true);
    shard_room_event(s0, "r", 11, 0, 0, "shared");
    fake_env_run(&w.c.env);
    first = &many[0].remote;
    assert_int_equal(first->in.len, 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(many[i].stream->queued_bytes, 2 + 6);
        fake_stream_hold(many[i].stream, false);
        client_expect(&w, &many[i], "shared");
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_live_socket_gets_each_event_once),
        T(only_sockets_behind_the_event_get_it),
        T(other_rooms_and_projects_get_nothing),
        T(flags_choose_who_sees_the_bytes_and_all_cursors_move),
        T(a_slow_reader_loses_ephemerals_then_falls_behind_and_slows_nobody),
        T(closing_during_the_walk_misses_nobody),
        T(the_last_socket_may_close_during_the_walk),
        T(all_sockets_share_one_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
