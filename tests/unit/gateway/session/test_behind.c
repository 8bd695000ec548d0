/*
 * test_behind.c - sockets that read too slowly: what is left out, when they are
 * caught up and from where, in which order answers come, what a move in between
 * changes, and when one is given up. With small marks, so that few bytes suffice.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

enum { LOW = 100, SOFT = 200, BEHIND = 400, HARD = 1000 };

#define ACK(n) "{\"type\":\"ack\",\"n\":" #n "}"

static struct fake_world w;
static struct fake_client ann, bob;
static struct fake_attach a;
static struct fake_shard *s0 = &w.c.shards[0];
static uint64_t seq;
static char text150[151];

static void start(size_t shards)
{
    struct sessions_config config = {
        .marks = {.low = LOW, .soft = SOFT, .behind = BEHIND, .hard = HARD}};

    memset(&ann, 0, sizeof(ann));
    memset(&bob, 0, sizeof(bob));
    memset(text150, 'x', 150);
    seq = 10;
    fake_cluster_init(&w.c, shards, "secret");
    w.c.env.high_mark = SOFT;
    w.c.env.low_mark = LOW;
    assert_int_equal(sessions_new(&w.c.env.env, w.c.pool, &w.c.metrics, &config, &w.sessions),
                     0);
    fake_env_run(&w.c.env);
}

static int setup(void **state)
{
    (void)state;
    start(1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (ann.stream || ann.remote.in.data)
        client_close(&w, &ann);
    if (bob.stream || bob.remote.in.data)
        client_close(&w, &bob);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
    fake_world_deinit(&w);
    return 0;
}

static void event(const char *json)
{
    shard_room_event(s0, "r", ++seq, 0, 0, json);
    fake_env_run(&w.c.env);
}

/* Ann reads nothing until she is behind; she has been given everything up to 13. */
static void fall_behind(void)
{
    fake_stream_hold(ann.stream, true);
    for (int i = 0; i < 4; i++)
        event(text150);
    assert_int_equal(w.c.metrics.sockets_behind, 1);
}

static void read_all(struct fake_client *client)
{
    fake_stream_hold(client->stream, false);
    fake_env_run(&w.c.env);
}

static void expect_given(int n)
{
    for (int i = 0; i < n; i++)
        client_expect(&w, &ann, text150);
}

static void expect_message(struct fake_client *client, const char *json)
{
    client_expect(&w, client, json);
}

static void open_live(void)
{
    a = client_open_live(&w, &ann, "ann", "r", s0, 10);
    fake_shard_clear(s0);
}

static void drained_it_is_caught_up_from_where_it_stopped(void **state)
{
    struct fake_attach again;

    (void)state;
    open_live();
    fall_behind();
    event("not queued");
    fake_shard_expect_nothing(s0); /* nothing is asked for before it has read */
    read_all(&ann);
    again = shard_expect_attach(&w, s0);
    assert_int_equal(again.number, a.number);
    assert_int_equal(again.epoch, a.epoch + 1);
    assert_int_equal(again.flags, ATTACH_NATIVE | ATTACH_REATTACH | ATTACH_BEHIND);
    assert_int_equal(again.last_seq, 13);
    expect_given(3);
    expect_message(&ann, "{\"type\":\"behind\",\"roomId\":\"r\",\"fromSeq\":13}");
    client_expect_nothing(&w, &ann);

    event("still not for her"); /* 16 */
    shard_to_attach(s0, &again, 0, 16, "what was missing");
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    shard_attached(s0, &again, 16);
    event("live again");
    expect_message(&ann, "what was missing");
    expect_message(&ann, "live again");
    client_expect_nothing(&w, &ann);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
    assert_int_equal(w.c.metrics.slow_marked, 1);
    assert_int_equal(w.c.metrics.slow_caught_up, 1);
    assert_int_equal(w.c.metrics.slow_closed, 0);
}

static void an_old_client_is_told_nothing_of_it(void **state)
{
    struct session_params old = {
        .project = SLICE_LIT("p"), .user = SLICE_LIT("ann"), .roles = SLICE_LIT("member")};
    struct enter_params enter = {.room = SLICE_LIT("r")};

    (void)state;
    client_open_as(&w, &ann, &old, &enter);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 10);
    fake_env_run(&w.c.env);
    fall_behind();
    read_all(&ann);
    assert_int_equal(shard_expect_attach(&w, s0).flags, ATTACH_REATTACH | ATTACH_BEHIND);
    expect_given(3);
    client_expect_nothing(&w, &ann);
}

/* The form for old clients that follows an event belongs to it. */
static void a_second_form_follows_its_event(void **state)
{
    (void)state;
    open_live();
    fake_stream_hold(ann.stream, true);
    event(text150);
    event(text150);
    event(text150); /* over the mark with it */
    shard_room_event(s0, "r", 0, 0, 0, "second form");
    event("missed");
    shard_room_event(s0, "r", 0, 0, 0, "its second form");
    read_all(&ann);
    expect_given(3);
    expect_message(&ann, "second form");
    expect_message(&ann, "{\"type\":\"behind\",\"roomId\":\"r\",\"fromSeq\":13}");
    client_expect_nothing(&w, &ann);
}

static void events_it_may_not_see_move_its_cursor_and_cost_nothing(void **state)
{
    (void)state;
    open_live();
    fake_stream_hold(ann.stream, true);
    for (int i = 0; i < 3; i++)
        event(text150);
    for (int i = 0; i < 10; i++)
        shard_room_event(s0, "r", ++seq, EVENT_OLD_ONLY, 0, text150);
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
    event("seen");
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    read_all(&ann);
    assert_int_equal(shard_expect_attach(&w, s0).last_seq, 23);
}

static void a_whisper_marks_it_too(void **state)
{
    (void)state;
    open_live();
    fake_stream_hold(ann.stream, true);
    for (int i = 0; i < 3; i++)
        event(text150);
    shard_to_attach(s0, &a, 0, ++seq, "whisper");
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    read_all(&ann);
    assert_int_equal(shard_expect_attach(&w, s0).last_seq, 13);
    expect_given(3);
    expect_message(&ann, "{\"type\":\"behind\",\"roomId\":\"r\",\"fromSeq\":13}");
}

/* What it says goes on; the answers wait for the events that they are about. */
static void its_frames_are_taken_and_answered_behind_the_catch_up(void **state)
{
    struct fake_attach again;

    (void)state;
    open_live();
    fall_behind();
    client_say(&ann, "{\"type\":\"message\",\"content\":\"one\",\"clientMessageId\":\"k1\"}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"two\",\"clientMessageId\":\"k2\"}");
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 1);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 2);
    event("the echo of one"); /* 15 */
    shard_to_attach(s0, &a, 1, 0, ACK(1));
    read_all(&ann);
    again = shard_expect_attach(&w, s0);
    shard_to_attach(s0, &a, 2, 0, "to an earlier epoch");
    shard_to_attach(s0, &again, 0, 15, "the echo in the catch-up");
    shard_attached(s0, &again, 15);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.flags, FRAME_RESENT); /* two */
    fake_shard_expect_nothing(s0);
    shard_to_attach(s0, &again, 2, 0, ACK(2));
    expect_given(3);
    client_next(&w, &ann); /* behind */
    expect_message(&ann, "the echo in the catch-up");
    expect_message(&ann, ACK(1));
    expect_message(&ann, ACK(2));
    client_expect_nothing(&w, &ann);
}

static void answers_that_do_not_fit_are_asked_for_again(void **state)
{
    static char large[BEHIND_HELD_BYTES];
    struct fake_attach again;

    (void)state;
    memset(large, 'y', sizeof(large) - 1);
    open_live();
    fall_behind();
    client_say(&ann, "{\"type\":\"message\",\"content\":\"one\",\"clientMessageId\":\"k1\"}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"two\",\"clientMessageId\":\"k2\"}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"3\",\"clientMessageId\":\"k3\"}");
    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
    shard_to_attach(s0, &a, 1, 0, ACK(1));
    shard_to_attach(s0, &a, 2, 0, large);
    shard_to_attach(s0, &a, 3, 0, "would overtake it");
    read_all(&ann);
    again = shard_expect_attach(&w, s0);
    shard_attached(s0, &again, 14);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 2);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 3);
    expect_given(3);
    client_next(&w, &ann); /* behind */
    expect_message(&ann, ACK(1));
    client_expect_nothing(&w, &ann);
}

/* A page of a resume that it has asked for is older than what it is caught up with by then. */
static void what_shows_the_room_is_not_kept(void **state)
{
    struct fake_attach again;

    (void)state;
    open_live();
    fall_behind();
    client_say(&ann, "{\"type\":\"resume\",\"lastSeq\":1}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"one\",\"clientMessageId\":\"k1\"}");
    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
    shard_to_attach(s0, &a, 0, 0, "{\"type\":\"replay\",\"more\":true}");
    shard_to_attach(s0, &a, 1, 0, "{\"type\":\"replay\"}");
    shard_to_attach(s0, &a, 2, 0, ACK(1));
    read_all(&ann);
    again = shard_expect_attach(&w, s0);
    shard_attached(s0, &again, 14);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 1);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 2);
    expect_given(3);
    client_next(&w, &ann); /* behind */
    client_expect_nothing(&w, &ann);
}

static void pages_wait_until_it_has_read(void **state)
{
    struct fake_attach again;

    (void)state;
    open_live();
    fall_behind();
    read_all(&ann);
    again = shard_expect_attach(&w, s0);
    fake_stream_hold(ann.stream, true);
    shard_to_attach(s0, &again, 0, 14, text150);
    shard_to_attach(s0, &again, 0, 15, text150);
    shard_paged(s0, &again);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    read_all(&ann);
    assert_int_equal(fake_shard_expect(s0, MSG_MORE)->MORE.attach, a.number);
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    shard_attached(s0, &again, 15);
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
}

/* It is attached at once where its room is now, but gets nothing before it has read. */
static void a_move_while_it_is_behind_waits_for_it(void **state)
{
    struct fake_attach again;

    (void)state;
    open_live();
    fall_behind();
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    again = shard_expect_attach(&w, s0);
    assert_int_equal(again.flags,
                     ATTACH_NATIVE | ATTACH_REATTACH | ATTACH_BEHIND | ATTACH_PAUSED);
    assert_int_equal(again.last_seq, 13);
    shard_paged(s0, &again);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    read_all(&ann);
    assert_int_equal(fake_shard_expect(s0, MSG_MORE)->MORE.attach, a.number);
    shard_to_attach(s0, &again, 0, 14, "the rest");
    shard_attached(s0, &again, 14);
    expect_given(3);
    client_next(&w, &ann); /* behind */
    expect_message(&ann, "the rest");
    assert_int_equal(w.c.metrics.slow_caught_up, 1);
}

static void its_room_does_not_sleep_without_it(void **state)
{
    (void)state;
    open_live();
    fall_behind();
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    assert_int_equal(shard_expect_attach(&w, s0).flags,
                     ATTACH_NATIVE | ATTACH_REATTACH | ATTACH_BEHIND | ATTACH_PAUSED);
}

static void who_takes_nothing_is_closed(void **state)
{
    (void)state;
    open_live();
    fall_behind();
    fake_env_advance(&w.c.env, BEHIND_STALL_MS - 1000);
    assert_int_equal(ann.code, 0);
    fake_env_advance(&w.c.env, 2000);
    assert_int_equal(ann.code, 1013);
    assert_string_equal(ann.reason, "slow_consumer");
    assert_int_equal(w.c.metrics.slow_closed, 1);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
}

/* It takes a little now and then: the stream says so by what it still holds. */
static void who_takes_something_has_longer(void **state)
{
    uint64_t ms = 0;

    (void)state;
    open_live();
    fall_behind();
    for (; ann.code == 0 && ms < 2 * BEHIND_MAX_MS; ms += BEHIND_STALL_MS / 2) {
        ann.stream->queued_bytes -= 1;
        fake_env_advance(&w.c.env, BEHIND_STALL_MS / 2);
    }
    assert_int_equal(ann.code, 1013);
    assert_true(ms >= BEHIND_MAX_MS);
    ann.stream->queued_bytes += ms / (BEHIND_STALL_MS / 2);
}

/* Nobody is there to catch it up: that is not its fault. */
static void who_has_read_waits_as_long_as_it_takes(void **state)
{
    (void)state;
    open_live();
    fall_behind();
    fake_unlisten(&s0->listener);
    fake_shard_break(s0);
    read_all(&ann);
    fake_env_advance(&w.c.env, 2 * BEHIND_MAX_MS);
    assert_int_equal(ann.code, 0);
}

static void talking_without_reading_is_closed_at_the_hard_mark(void **state)
{
    (void)state;
    open_live();
    fake_stream_hold(ann.stream, true);
    for (int i = 0; i < 200 && ann.code == 0; i++)
        client_say(&ann, "{\"type\":\"ping\"}");
    assert_int_equal(ann.code, 1013);
    assert_string_equal(ann.reason, "slow_consumer");
    assert_int_equal(w.c.metrics.slow_closed, 1);
}

/* A page may be larger than what else a socket may leave unread. */
static void a_large_page_closes_nobody(void **state)
{
    static char page[3 * HARD];
    struct fake_attach again;

    (void)state;
    memset(page, 'p', sizeof(page) - 1);
    open_live();
    fall_behind();
    read_all(&ann);
    again = shard_expect_attach(&w, s0);
    fake_stream_hold(ann.stream, true);
    shard_to_attach(s0, &again, 0, 14, page);
    shard_attached(s0, &again, 14);
    fake_env_run(&w.c.env);
    client_say(&ann, "{\"type\":\"ping\"}");
    fake_env_run(&w.c.env);
    assert_int_equal(ann.code, 0);
    for (int i = 0; i < 200 && ann.code == 0; i++)
        client_say(&ann, "{\"type\":\"ping\"}");
    assert_int_equal(ann.code, 1013);
}

static void who_went_without_presence_is_told_when_it_has_read(void **state)
{
    (void)state;
    open_live();
    fake_stream_hold(ann.stream, true);
    event(text150);
    event(text150);
    shard_room_event(s0, "r", 0, EVENT_EPHEMERAL, 0, "typing");
    fake_env_advance(&w.c.env, 1000);
    fake_shard_expect_nothing(s0);
    shard_room_event(s0, "r", 0, EVENT_EPHEMERAL | EVENT_PRESENCE, 0, "presence");
    fake_env_advance(&w.c.env, 1000);
    fake_shard_expect_nothing(s0);
    read_all(&ann);
    assert_int_equal(fake_shard_expect(s0, MSG_REFRESH)->REFRESH.attach, a.number);
    fake_env_advance(&w.c.env, 1000);
    fake_shard_expect_nothing(s0);
    expect_given(2);
    client_expect_nothing(&w, &ann);
    assert_int_equal(w.c.metrics.slow_dropped, 2);
}

/* ---- one socket in many rooms ---- */

enum { ROOMS = 3 * CATCHUPS_PER_SOCKET };

static struct fake_attach attaches[ROOMS];

static const char *room_name(int i)
{
    static char name[16];

    snprintf(name, sizeof(name), "r%d", i);
    return name;
}

static void open_many(void)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("bob"),
                                    .roles = SLICE_LIT("member"),
                                    .native = true,
                                    .many_rooms = true};

    client_open_as(&w, &bob, &params, NULL);
}

static void subscribe_all(void)
{
    for (int i = 0; i < ROOMS; i++) {
        char json[64];

        snprintf(json, sizeof(json), "{\"type\":\"subscribe\",\"roomId\":\"%s\"}",
                 room_name(i));
        client_say(&bob, json);
        attaches[i] = shard_expect_attach(&w, s0);
    }
}

/* Only so many rooms may send a page before others are done. */
static void rooms_of_one_socket_take_turns(void **state)
{
    (void)state;
    open_many();
    subscribe_all();
    for (int i = 0; i < ROOMS; i++) {
        bool is_paused = i >= CATCHUPS_PER_SOCKET;

        assert_int_equal(attaches[i].flags & ATTACH_PAUSED, is_paused ? ATTACH_PAUSED : 0);
        if (is_paused)
            shard_paged(s0, &attaches[i]);
    }
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    for (int i = 0; i < ROOMS; i++) {
        shard_attached(s0, &attaches[i], 10);
        fake_env_run(&w.c.env);
        if (i + CATCHUPS_PER_SOCKET < ROOMS)
            assert_int_equal(fake_shard_expect(s0, MSG_MORE)->MORE.attach,
                             attaches[i + CATCHUPS_PER_SOCKET].number);
        fake_shard_expect_nothing(s0);
    }
}

static void all_rooms_of_a_slow_socket_are_caught_up_in_turns(void **state)
{
    size_t asked = 0, live = 0;

    (void)state;
    open_many();
    subscribe_all();
    for (int i = 0; i < ROOMS; i++)
        shard_attached(s0, &attaches[i], 10);
    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
    fake_stream_hold(bob.stream, true);
    for (int i = 0; i < 3 + ROOMS; i++)
        shard_room_event(s0, room_name(i % ROOMS), 11 + (uint64_t)i / ROOMS, 0, 0, text150);
    for (int i = 3; i < ROOMS; i++)
        shard_room_event(s0, room_name(i), 12, 0, 0, text150);
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.sockets_behind, ROOMS);
    fake_stream_hold(bob.stream, false);
    fake_env_run(&w.c.env);
    while (live < ROOMS) {
        struct fake_attach again[CATCHUPS_PER_SOCKET];
        size_t n = 0;

        for (; fake_shard_count(s0) > 0; asked++) {
            assert_true(n < CATCHUPS_PER_SOCKET);
            again[n] = shard_expect_attach(&w, s0);
            assert_int_equal(again[n].flags & ATTACH_BEHIND, ATTACH_BEHIND);
            n++;
        }
        assert_true(n > 0);
        for (size_t i = 0; i < n; i++, live++)
            shard_attached(s0, &again[i], 12);
        fake_env_run(&w.c.env);
    }
    assert_int_equal(asked, ROOMS);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
    assert_int_equal(bob.code, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(drained_it_is_caught_up_from_where_it_stopped),
        T(an_old_client_is_told_nothing_of_it),
        T(a_second_form_follows_its_event),
        T(events_it_may_not_see_move_its_cursor_and_cost_nothing),
        T(a_whisper_marks_it_too),
        T(its_frames_are_taken_and_answered_behind_the_catch_up),
        T(answers_that_do_not_fit_are_asked_for_again),
        T(what_shows_the_room_is_not_kept),
        T(pages_wait_until_it_has_read),
        T(a_move_while_it_is_behind_waits_for_it),
        T(its_room_does_not_sleep_without_it),
        T(who_takes_nothing_is_closed),
        T(who_takes_something_has_longer),
        T(who_has_read_waits_as_long_as_it_takes),
        T(talking_without_reading_is_closed_at_the_hard_mark),
        T(a_large_page_closes_nobody),
        T(who_went_without_presence_is_told_when_it_has_read),
        T(rooms_of_one_socket_take_turns),
        T(all_rooms_of_a_slow_socket_are_caught_up_in_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
