/*
 * test_handover.c - rooms that are with their last owner for a while after a new
 * ring (contracts, "Moves"): who is asked first, when a gateway follows, what it
 * says to the shard that let go, and the token streams that it carries.
 */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

static struct fake_world w;
static struct fake_client ann, bob;
static struct fake_shard *from, *to; /* of room r, before and after `from` drains */

static int setup(void **state)
{
    unsigned rest;

    (void)state;
    fake_world_init(&w, 2);
    from = fake_cluster_owner(&w.c, 3, "room/p/r");
    rest = 3 & ~fake_cluster_bit(&w.c, from);
    to = fake_cluster_owner(&w.c, rest, "room/p/r");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (ann.stream || ann.remote.in.data)
        client_close(&w, &ann);
    if (bob.stream || bob.remote.in.data)
        client_close(&w, &bob);
    ann = bob = (struct fake_client){0};
    fake_world_deinit(&w);
    return 0;
}

static void drain(void)
{
    fake_cluster_drain(&w.c, 3, fake_cluster_bit(&w.c, from));
    fake_env_run(&w.c.env);
}

static void say_moved(struct fake_shard *s, uint64_t move)
{
    struct msg msg = {.type = MSG_MOVED,
                      .MOVED = {.object = SLICE_LIT("room/p/r"),
                                .ring_epoch = s->ring.epoch,
                                .ring_hash = s->ring.hash,
                                .move = move}};

    fake_shard_send(s, &msg);
    fake_env_run(&w.c.env);
}

static void say_wake(struct fake_shard *s, uint64_t wake)
{
    struct msg msg = {
        .type = MSG_WAKE,
        .WAKE = {.project = SLICE_LIT("p"), .room = SLICE_LIT("r"), .wake = wake}};

    fake_shard_send(s, &msg);
    fake_env_run(&w.c.env);
}

static void say_handover(struct fake_shard *s, uint64_t seq, struct slice text)
{
    struct msg msg = {.type = MSG_HANDOVER,
                      .HANDOVER = {.project = SLICE_LIT("p"),
                                   .room = SLICE_LIT("r"),
                                   .user = SLICE_LIT("ann"),
                                   .seq = seq,
                                   .text = text,
                                   .gateway = 1,
                                   .attach = 2,
                                   .n = 3}};

    fake_shard_send(s, &msg);
    fake_env_run(&w.c.env);
}

static void expect_handover(struct fake_shard *s, uint64_t seq, const char *text)
{
    const struct msg *m = fake_shard_expect(s, MSG_HANDOVER);

    CHECK_SLICE(m->HANDOVER.project, "p", "project");
    CHECK_SLICE(m->HANDOVER.room, "r", "room");
    CHECK_SLICE(m->HANDOVER.user, "ann", "user");
    CHECK_SLICE(m->HANDOVER.text, text, "text");
    assert_int_equal(m->HANDOVER.seq, seq);
    assert_int_equal(m->HANDOVER.gateway, 1);
    assert_int_equal(m->HANDOVER.attach, 2);
    assert_int_equal(m->HANDOVER.n, 3);
}

static void expect_arrived(struct fake_shard *s, uint64_t move)
{
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s, MSG_ARRIVED)->ARRIVED.move, move);
}

/* ---- where a room is looked for ---- */

static void a_room_stays_with_the_shard_that_drains_until_it_lets_go(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    fake_shard_expect_nothing(to);
    shard_room_event(from, "r", 6, 0, 0, "six");
    client_expect(&w, &ann, "six");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    fake_env_run(&w.c.env);
    fake_shard_expect(from, MSG_FRAME);

    say_moved(from, 0);
    a = shard_expect_attach(&w, to);
    assert_int_equal(a.last_seq, 6);
    shard_attached(to, &a, 6);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(to, MSG_FRAME)->FRAME.flags, FRAME_RESENT);
}

static void a_newcomer_asks_the_last_owner_first(void **state)
{
    struct fake_attach a;

    (void)state;
    drain();
    client_open(&w, &ann, "ann", "r");
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, from);
    fake_shard_expect_nothing(to);
    say_moved(from, 0);
    a = shard_expect_attach(&w, to);
    shard_attached(to, &a, 5);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(from);

    /* And the room's next socket goes where the room is. */
    client_open(&w, &bob, "bob", "r");
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, to);
    fake_shard_expect_nothing(from);
}

/* Both say that it is not theirs: nobody is asked in a circle. */
static void two_shards_that_both_decline_are_asked_with_pauses(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_moved(from, 0);
    for (int ms = 0; ms < 5000; ms += 5) {
        if (fake_shard_count(to) > 0) {
            shard_expect_attach(&w, to);
            say_moved(to, 0);
        }
        fake_env_advance(&w.c.env, 5);
    }
    assert_in_range(w.c.metrics.moved, 6, 14);
    fake_shard_expect_nothing(from);
}

static void a_last_owner_that_dies_is_waited_for_no_longer(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    fake_shard_expect_nothing(to);
    fake_unlisten(&from->listener);
    fake_shard_break(from);
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, to);
}

static void a_last_owner_that_is_evicted_is_waited_for_no_longer(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    fake_shard_expect_nothing(to);
    fake_cluster_set_ring(&w.c, fake_cluster_bit(&w.c, to));
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, to);
}

static void a_last_owner_that_never_lets_go_is_waited_for_so_long(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    fake_env_advance(&w.c.env, HANDOVER_MS - 1000);
    fake_shard_expect_nothing(to);
    fake_env_advance(&w.c.env, 2000);
    shard_expect_attach(&w, to);
}

/* Its link is slow: the ATTACH may arrive only now, and nobody would ever end it. */
static void who_leaves_is_detached_also_where_the_room_was_taken_away(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    a = client_open_live(&w, &bob, "bob", "r", from, 5);
    fake_cluster_set_ring(&w.c, fake_cluster_bit(&w.c, to));
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, to);
    shard_expect_attach(&w, to);
    client_close(&w, &bob);
    bob = (struct fake_client){0};
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(from, MSG_DETACH)->DETACH.attach, a.number);
    assert_int_equal(fake_shard_expect(to, MSG_DETACH)->DETACH.attach, a.number);
}

/* The new owner does not know the ring yet: it is taught in front of the next try. */
static void an_owner_with_an_older_ring_is_taught_and_asked_again_at_once(void **state)
{
    struct ring_identity old = from->ring;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_moved(from, 0);
    shard_expect_attach(&w, to);
    to->ring = old;
    say_moved(to, 0);
    assert_int_equal(fake_shard_expect(to, MSG_RING)->RING.epoch, w.c.epoch);
    shard_expect_attach(&w, to);
    say_moved(to, 0); /* it does not learn: it is not asked at that pace */
    fake_shard_expect(to, MSG_RING);
    fake_shard_expect_nothing(to);
}

static void sleeping_rooms_are_woken_later_and_find_their_owner(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    shard_sleep(from, "r");
    fake_env_run(&w.c.env);
    drain();
    fake_shard_expect_nothing(from);
    fake_shard_expect_nothing(to);
    fake_env_advance(&w.c.env, 2 * SESSION_SWEEP_MS);
    shard_expect_attach(&w, from); /* somebody else may have woken it there */
    say_moved(from, 0);
    shard_expect_attach(&w, to);
}

/* ---- WAKE of another shard ---- */

static void a_wake_of_the_new_owner_is_followed_when_the_last_words_have_come(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_wake(to, 7);
    fake_shard_expect_nothing(to); /* nor AWAKE: nobody here counts as gone */
    shard_room_event(from, "r", 6, 0, 0, "six");
    client_expect(&w, &ann, "six");
    say_moved(from, 0);
    a = shard_expect_attach(&w, to);
    assert_int_equal(a.last_seq, 6);
    assert_int_equal(fake_shard_expect(to, MSG_AWAKE)->AWAKE.wake, 7);
}

static void a_wake_of_the_new_owner_is_followed_when_they_do_not_come(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_wake(to, 7);
    fake_env_advance(&w.c.env, WAKE_FOLLOW_MS - 10);
    fake_shard_expect_nothing(to);
    fake_env_advance(&w.c.env, 20);
    shard_expect_attach(&w, to);
    assert_int_equal(fake_shard_expect(to, MSG_AWAKE)->AWAKE.wake, 7);
}

/* It has claimed the room by a ring that we do not know yet. */
static void a_wake_before_the_ring_is_followed_with_the_ring(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    say_wake(to, 7);
    fake_env_advance(&w.c.env, 2 * WAKE_FOLLOW_MS);
    fake_shard_expect_nothing(to);
    drain();
    shard_expect_attach(&w, to);
    assert_int_equal(fake_shard_expect(to, MSG_AWAKE)->AWAKE.wake, 7);
}

/* ---- ARRIVED ---- */

static void the_last_owner_hears_once_that_the_room_has_arrived(void **state)
{
    struct fake_attach a, b;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    client_open_live(&w, &bob, "bob", "r", from, 5);
    drain();
    say_moved(from, 9);
    a = shard_expect_attach(&w, to);
    b = shard_expect_attach(&w, to);
    fake_shard_expect_nothing(from);
    shard_attached(to, &a, 5);
    expect_arrived(from, 9);
    shard_attached(to, &b, 5);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(from);
}

static void a_room_that_nobody_is_in_any_more_has_arrived(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_moved(from, 9);
    shard_expect_attach(&w, to);
    client_close(&w, &ann);
    ann = (struct fake_client){0};
    expect_arrived(from, 9);
    say_moved(from, 10); /* it crossed the last one's leaving */
    expect_arrived(from, 10);
}

/* ---- token streams ---- */

static void streams_go_in_front_of_the_sockets_until_one_is_live(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_handover(from, 4, SLICE_LIT("so far"));
    say_handover(from, 5, SLICE_LIT("another"));
    fake_shard_expect_nothing(to);
    say_moved(from, 0);
    expect_handover(to, 4, "so far");
    expect_handover(to, 5, "another");
    shard_expect_attach(&w, to);

    /* It may not have come through. */
    fake_shard_break(to);
    fake_env_advance(&w.c.env, 2 * LINK_RETRY_MAX_MS);
    expect_handover(to, 4, "so far");
    expect_handover(to, 5, "another");
    a = shard_expect_attach(&w, to);
    shard_attached(to, &a, 5);
    fake_env_run(&w.c.env);

    fake_shard_break(to);
    fake_env_advance(&w.c.env, 2 * LINK_RETRY_MAX_MS);
    shard_expect_attach(&w, to);
    assert_int_equal(w.c.metrics.handovers, 2);
}

static void a_newer_text_of_the_same_stream_takes_its_place(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_handover(from, 4, SLICE_LIT("so"));
    say_handover(from, 4, SLICE_LIT("so far"));
    say_moved(from, 0);
    expect_handover(to, 4, "so far");
    shard_expect_attach(&w, to);
}

static void too_many_streams_or_too_long_ones_are_not_carried(void **state)
{
    char *text = malloc(STREAM_MAX_BYTES + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', STREAM_MAX_BYTES + 1);
    client_open_live(&w, &ann, "ann", "r", from, 5);
    say_handover(from, 999, slice_of(text, STREAM_MAX_BYTES + 1));
    assert_int_equal(w.c.metrics.handovers_dropped, 1);
    for (size_t i = 0; i < ROOM_STREAMS_MAX + 1; i++)
        say_handover(from, i + 1, slice_of(text, STREAM_MAX_BYTES));
    assert_int_equal(w.c.metrics.handovers, ROOM_STREAMS_MAX);
    assert_int_equal(w.c.metrics.handovers_dropped, 2);
    free(text);
}

/* The room goes to the shard that woke it before its last owner has given the stream away. */
static void send_ahead(void)
{
    client_open_live(&w, &ann, "ann", "r", from, 5);
    drain();
    say_wake(to, 7);
    fake_env_advance(&w.c.env, 2 * WAKE_FOLLOW_MS);
    shard_expect_attach(&w, to);
    fake_shard_expect(to, MSG_AWAKE);
    say_handover(from, 4, SLICE_LIT("so far"));
    expect_handover(to, 4, "so far");
}

static void a_stream_of_a_room_that_has_gone_ahead_follows_it(void **state)
{
    (void)state;
    send_ahead();
}

/* The shard ahead does not know yet that the room is its own, and has kept nothing of it. */
static void a_stream_that_was_sent_ahead_is_kept_until_the_room_is_live(void **state)
{
    struct fake_attach a;

    (void)state;
    send_ahead();
    say_moved(to, 0);
    fake_env_advance(&w.c.env, MOVED_RETRY_MAX_MS);
    expect_handover(from, 4,
                    "so far"); /* as if it were the owner still, which it says it is not */
    shard_expect_attach(&w, from);
    say_moved(from, 0);
    expect_handover(to, 4, "so far");
    a = shard_expect_attach(&w, to);
    shard_attached(to, &a, 5);
    fake_env_run(&w.c.env);

    say_handover(from, 5, SLICE_LIT("late")); /* it has the room, and what it needs */
    expect_handover(to, 5, "late");
    fake_shard_break(to);
    fake_env_advance(&w.c.env, 2 * LINK_RETRY_MAX_MS);
    shard_expect_attach(&w, to);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_room_stays_with_the_shard_that_drains_until_it_lets_go),
        TEST(a_newcomer_asks_the_last_owner_first),
        TEST(two_shards_that_both_decline_are_asked_with_pauses),
        TEST(a_last_owner_that_dies_is_waited_for_no_longer),
        TEST(a_last_owner_that_is_evicted_is_waited_for_no_longer),
        TEST(a_last_owner_that_never_lets_go_is_waited_for_so_long),
        TEST(who_leaves_is_detached_also_where_the_room_was_taken_away),
        TEST(an_owner_with_an_older_ring_is_taught_and_asked_again_at_once),
        TEST(sleeping_rooms_are_woken_later_and_find_their_owner),
        TEST(a_wake_of_the_new_owner_is_followed_when_the_last_words_have_come),
        TEST(a_wake_of_the_new_owner_is_followed_when_they_do_not_come),
        TEST(a_wake_before_the_ring_is_followed_with_the_ring),
        TEST(the_last_owner_hears_once_that_the_room_has_arrived),
        TEST(a_room_that_nobody_is_in_any_more_has_arrived),
        TEST(streams_go_in_front_of_the_sockets_until_one_is_live),
        TEST(a_newer_text_of_the_same_stream_takes_its_place),
        TEST(too_many_streams_or_too_long_ones_are_not_carried),
        TEST(a_stream_of_a_room_that_has_gone_ahead_follows_it),
        TEST(a_stream_that_was_sent_ahead_is_kept_until_the_room_is_live),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
