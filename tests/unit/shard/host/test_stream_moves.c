/*
 * test_stream_moves.c - token streams that go with their room: what the old owner
 * says, what the new one makes of it, and deltas that come twice.
 */
#include "common/base/limits.h"
#include "shard/host/stream_handover.h"
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

#define START "{\"type\":\"stream\",\"op\":\"start\",\"content\":\"one\"}"
#define DELTA(text) "{\"type\":\"stream\",\"op\":\"delta\",\"content\":\"" text "\"}"
#define END "{\"type\":\"stream\",\"op\":\"end\"}"

/* ann streams from gate 0, bob looks on from gate 1. */
static void begin(struct fx *fx)
{
    fx_init(fx);
    fx->gates[0].hides_presence = fx->gates[1].hides_presence = true;
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NATIVE);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NATIVE);
    fake_env_advance(&fx->fake, PRESENCE_SETTLE_MS + 100);
    fx_frame(&fx->gates[0], 1, 1, 0, START);
    fx_run(fx);
    fx_forget(&fx->gates[0]);
    fx_forget(&fx->gates[1]);
}

/* The room has left with its stream; the same shard gets it again, as another would. */
static void move(struct fx *fx)
{
    fx_set_ring(fx, false);
    fx_run(fx);
    fx_forget(&fx->gates[0]);
    fx_forget(&fx->gates[1]);
    fx_set_ring(fx, true);
}

static void hand_over(struct fx *fx, const char *text, uint64_t n)
{
    struct msg_HANDOVER msg = {.project = SLICE_LIT("p"),
                               .room = SLICE_LIT("g"),
                               .user = SLICE_LIT("ann"),
                               .seq = 1,
                               .text = slice_str(text),
                               .gateway = fx->gates[0].incarnation,
                               .attach = 1,
                               .n = n};

    streams_on_handover(fx->host, &msg);
}

static void come_back(struct fx *fx)
{
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 1);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 1);
    fx_run(fx);
}

static void expect_text(struct fx *fx, const char *want)
{
    size_t n;
    const struct entry *e = sim_room_entries(fx_row(fx, "g"), &n)[0];

    CHECK_SLICE(e->content, want, "stored");
    assert_false(e->flags & ENTRY_STREAMING);
}

static void the_old_owner_gives_all_of_it_to_the_gateway_of_the_author(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx_frame(&fx.gates[0], 1, 2, 0, DELTA(" two"));
    fx_frame(&fx.gates[0], 1, 3, 0, DELTA(" three"));
    fx_set_ring(&fx, false);
    fx_run(&fx);
    fx_expect(&fx.gates[1], "moved room/p/g\n", "who looks on");
    assert_true(fx_got(&fx.gates[0], "handover g ann seq=1 by=256:1:3 {one two three}\n"
                                     "moved room/p/g\n"));
    fx_deinit(&fx);
}

/* The end was not in a batch: it comes again, to a stream that is still there. */
static void an_end_that_is_dropped_leaves_the_stream_open(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_frame(g, 1, 2, 0, DELTA(" two"));
    fx_say(g, 1, 3, "in flight", NULL);
    fake_env_run(&fx.fake);
    fx_frame(g, 1, 4, 0, END);
    fx_set_ring(&fx, false);
    fx_run(&fx);
    assert_true(fx_got(g, "handover g ann seq=1 by=256:1:2 {one two}\nmoved room/p/g\n"));
    assert_false(fx_got(g, "done=4"));
    fx_deinit(&fx);
}

static void the_new_owner_goes_on_with_it(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    move(&fx);
    hand_over(&fx, "one two", 2);
    come_back(&fx);
    assert_true(fx_got(&fx.gates[1], "{streamState"));
    fx_frame(g, 1, 2, FRAME_RESENT, DELTA(" two")); /* is in it */
    fx_frame(g, 1, 3, FRAME_RESENT, DELTA(" three"));
    fx_frame(g, 1, 4, 0, END);
    fx_run(&fx);
    assert_true(fx_got(g, "to 1 done=2"));
    assert_true(fx_got(g, "to 1 done=3"));
    assert_false(fx_got(g, "stream_not_open"));
    expect_text(&fx, "one two three");
    assert_int_equal(fx.metrics.streams_taken_over, 1);
    fx_deinit(&fx);
}

/* Another gateway was faster: the room is active already. */
static void it_may_come_after_the_first_sockets(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    move(&fx);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 1);
    fx_run(&fx);
    hand_over(&fx, "one two", 2);
    assert_true(fx_got(&fx.gates[1], " two"));
    come_back(&fx);
    fx_frame(g, 1, 3, 0, DELTA(" three"));
    fx_frame(g, 1, 4, 0, END);
    fx_run(&fx);
    expect_text(&fx, "one two three");
    fx_deinit(&fx);
}

static void nothing_is_added_to_a_text_with_a_hole(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    move(&fx);
    come_back(&fx);
    fx_frame(g, 1, 3, 0, DELTA(" three"));
    assert_true(fx_got(g, "stream_not_open"));
    hand_over(&fx, "one two", 2); /* too late */
    fx_frame(g, 1, 4, 0, DELTA(" four"));
    fx_run(&fx);
    assert_int_equal(fx_count(g, "stream_not_open"), 2);
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    expect_text(&fx, "one");
    fx_deinit(&fx);
}

static void what_does_not_fit_is_not_taken(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    move(&fx);
    hand_over(&fx, "something else", 2);
    come_back(&fx);
    hand_over(&fx, "on", 2);
    hand_over(&fx, "one \xff", 2);
    assert_int_equal(fx.metrics.streams_taken_over, 0);
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    expect_text(&fx, "one");
    fx_deinit(&fx);
}

static void an_author_who_does_not_come_ends_it_with_all_of_it(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    move(&fx);
    hand_over(&fx, "one two", 2);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 1);
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    expect_text(&fx, "one two");
    fx_deinit(&fx);
}

static void an_author_who_is_here_has_his_time(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    move(&fx);
    hand_over(&fx, "one two", 2);
    come_back(&fx);
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    fx_frame(&fx.gates[0], 1, 3, 0, DELTA(" three"));
    fx_frame(&fx.gates[0], 1, 4, 0, END);
    fx_run(&fx);
    expect_text(&fx, "one two three");
    fx_deinit(&fx);
}

/* The tail of the fixture has eight entries. */
static void a_stream_that_began_long_ago_goes_on(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    for (unsigned n = 2; n <= 22; n++) {
        fx_say(g, 1, 2 * n, "x", NULL);
        fake_env_advance(&fx.fake, 2000);
        fx_frame(g, 1, 2 * n + 1, 0, DELTA("."));
        fx_run(&fx);
    }
    move(&fx);
    hand_over(&fx, "one.....................", 122);
    come_back(&fx);
    fx_frame(g, 1, 123, FRAME_RESENT, DELTA(" two"));
    fx_frame(g, 1, 124, 0, END);
    fx_run(&fx);
    expect_text(&fx, "one..................... two");
    fx_deinit(&fx);
}

static void a_stream_that_began_long_ago_ends_after_a_crash(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    for (unsigned n = 2; n <= 22; n++) {
        fx_say(g, 1, n, "x", NULL);
        fake_env_advance(&fx.fake, 2000);
    }
    move(&fx);
    come_back(&fx);
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    expect_text(&fx, "one");
    fx_deinit(&fx);
}

/* The link broke behind the delta: its gateway has not heard that it is settled. */
static void a_delta_that_comes_again_is_in_the_text_once(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_frame(g, 1, 2, 0, DELTA(" two"));
    fx_link_down(g);
    fx_link_up(g);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 1);
    fx_run(&fx);
    fx_frame(g, 1, 2, FRAME_RESENT, DELTA(" two"));
    fx_frame(g, 1, 3, FRAME_RESENT, DELTA(" three"));
    fx_frame(g, 1, 4, 0, END);
    fx_run(&fx);
    expect_text(&fx, "one two three");
    fx_deinit(&fx);
}

/* It is ended from another socket than it was written on, and that one goes at the same time.
 */
static void who_ends_it_and_goes_needs_no_answer(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    FX_ATTACH(&fx.gates[1], .number = 9, .room = "g", .user = "ann", .flags = ATTACH_NATIVE);
    fx_run(&fx);
    fx_frame(&fx.gates[1], 9, 1, 0, END);
    fake_env_run(&fx.fake); /* in a batch */
    fx_detach(&fx.gates[1], 9);
    fx_run(&fx);
    expect_text(&fx, "one");
    fx_deinit(&fx);
}

/* Its gateway has given frames up: some of them may have been text of the stream. */
static void a_stream_with_lost_text_takes_no_more(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_frame(g, 1, 2, 0, DELTA(" two"));
    fx_frame(g, 1, 5, 0, DELTA(" three"));
    assert_false(fx_got(g, "stream_not_open"));
    fx_frame(g, 1, 9, FRAME_GAP, "{\"type\":\"read\",\"messageId\":1}"); /* whatever it is */
    fx_frame(g, 1, 10, FRAME_GAP, DELTA(" ten"));
    assert_true(fx_got(g, "stream_not_open"));
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    expect_text(&fx, "one two three");
    fx_forget(g);
    fx_frame(g, 1, 11, FRAME_GAP, START); /* the next one is not concerned */
    fx_run(&fx);
    fx_frame(g, 1, 12, FRAME_GAP, DELTA(" more"));
    fx_run(&fx);
    assert_false(fx_got(g, "stream_not_open"));
    fx_deinit(&fx);
}

/* Between two owners that both had the stream one has refused text of it: the other one's
 * stream, which ends before that text, takes none behind it. */
static void a_stream_takes_nothing_behind_what_another_owner_has_refused(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    move(&fx);
    hand_over(&fx, "one", 1);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 1, .gap_n = 3);
    fx_run(&fx);
    fx_frame(g, 1, 3, FRAME_RESENT, DELTA(" three"));
    assert_true(fx_got(g, "stream_not_open"));
    fake_env_advance(&fx.fake, STREAM_ORPHAN_MS + 1000);
    expect_text(&fx, "one");
    fx_deinit(&fx);
}

/* A start that waited for its end is not taken for a repeat of the one that is open. */
static void a_second_start_that_is_sent_again_is_another_one(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    move(&fx);
    hand_over(&fx, "one", 1);
    come_back(&fx);
    fx_forget(g);
    fx_frame(g, 1, 5, FRAME_RESENT, "{\"type\":\"stream\",\"op\":\"start\",\"content\":\"b\"}");
    assert_true(fx_got(g, "stream_open"));
    fx_forget(g);
    fx_frame(g, 1, 6, FRAME_RESENT, START); /* without a key of its own: by its number */
    assert_true(fx_got(g, "stream_open"));
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_old_owner_gives_all_of_it_to_the_gateway_of_the_author),
        cmocka_unit_test(an_end_that_is_dropped_leaves_the_stream_open),
        cmocka_unit_test(the_new_owner_goes_on_with_it),
        cmocka_unit_test(it_may_come_after_the_first_sockets),
        cmocka_unit_test(nothing_is_added_to_a_text_with_a_hole),
        cmocka_unit_test(what_does_not_fit_is_not_taken),
        cmocka_unit_test(an_author_who_does_not_come_ends_it_with_all_of_it),
        cmocka_unit_test(an_author_who_is_here_has_his_time),
        cmocka_unit_test(a_stream_that_began_long_ago_goes_on),
        cmocka_unit_test(a_stream_that_began_long_ago_ends_after_a_crash),
        cmocka_unit_test(a_delta_that_comes_again_is_in_the_text_once),
        cmocka_unit_test(who_ends_it_and_goes_needs_no_answer),
        cmocka_unit_test(a_stream_with_lost_text_takes_no_more),
        cmocka_unit_test(a_stream_takes_nothing_behind_what_another_owner_has_refused),
        cmocka_unit_test(a_second_start_that_is_sent_again_is_another_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
