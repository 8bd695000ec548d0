/*
 * test_attach.c - the life of sockets in a room over scripted shards: entering,
 * catching up, link breaks, moves, sleep and wake, refusals.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

static struct fake_world w;
static struct fake_client ann, bob;
static struct fake_shard *s0 = &w.c.shards[0];

static int setup(void **state)
{
    (void)state;
    fake_world_init(&w, 1);
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

static void message_frame(struct fake_world *world, struct fake_shard *s, uint64_t n,
                          uint32_t flags, const char *json)
{
    const struct msg *m;

    fake_env_run(&world->c.env);
    m = fake_shard_expect(s, MSG_FRAME);
    CHECK_EQ(m->FRAME.n, n, json);
    CHECK_EQ(m->FRAME.flags, flags, json);
    CHECK_SLICE(m->FRAME.json, json, "FRAME.json");
}

/* ---- entering ---- */

static void a_fresh_attach_says_all_that_the_shard_needs(void **state)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .roles = SLICE_LIT("owner,member"),
                                    .user_info = SLICE_LIT("{\"name\":\"Ann\"}")};
    struct enter_params enter = {.room = SLICE_LIT("r"),
                                 .attach_flags =
                                     ATTACH_HAS_SEQ | ATTACH_AS_REPLAY | ATTACH_REATTACH,
                                 .replay_limit = 77,
                                 .last_seq = 5,
                                 .generation = SLICE_LIT("g0"),
                                 .trace = SLICE_LIT("trace-1")};
    const struct msg_ATTACH *in;

    (void)state;
    client_open_as(&w, &ann, &params, &enter);
    fake_env_run(&w.c.env);
    in = &fake_shard_expect(s0, MSG_ATTACH)->ATTACH;
    assert_int_equal(in->epoch, 1);
    assert_int_equal(in->flags,
                     ATTACH_HAS_SEQ | ATTACH_AS_REPLAY); /* REATTACH is not the edge's to set */
    CHECK_SLICE(in->project, "p", "project");
    CHECK_SLICE(in->room, "r", "room");
    CHECK_SLICE(in->user, "ann", "user");
    CHECK_SLICE(in->roles, "owner,member", "roles");
    CHECK_SLICE(in->user_info, "{\"name\":\"Ann\"}", "user_info");
    CHECK_SLICE(in->generation, "g0", "generation");
    CHECK_SLICE(in->trace, "trace-1", "trace");
    assert_int_equal(in->socket_id.len, 36);
    assert_int_equal(in->last_seq, 5);
    assert_int_equal(in->replay_limit, 77);
}

static void the_catch_up_comes_in_order_and_live_events_follow(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_NATIVE);
    shard_room_event(s0, "r", 3, 0, 0, "early"); /* not live: in the snapshot */
    shard_to_attach(s0, &a, 0, 3, "history");
    shard_to_attach(s0, &a, 0, 0, "subscribed");
    shard_room_event(s0, "r", 4, 0, 0, "four");
    shard_attached(s0, &a, 4);
    shard_room_event(s0, "r", 4, 0, 0, "four again");
    shard_room_event(s0, "r", 5, 0, 0, "five");
    client_expect(&w, &ann, "history");
    client_expect(&w, &ann, "subscribed");
    client_expect(&w, &ann, "five");
    client_expect_nothing(&w, &ann);
}

static void a_refusal_closes_the_socket_with_its_word(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    shard_close(s0, &a, 1008, "not_member");
    fake_env_run(&w.c.env);
    assert_int_equal(ann.code, 1008);
    assert_string_equal(ann.reason, "not_member");
    assert_int_equal(w.c.metrics.connections, 0);
    assert_int_equal(w.c.metrics.rooms, 0);
}

static void a_fresh_attach_without_an_answer_ends_in_time(void **state)
{
    (void)state;
    client_open(&w, &ann, "ann", "r");
    shard_expect_attach(&w, s0);
    fake_env_advance(&w.c.env, ATTACH_DEADLINE_MS - 100);
    assert_int_equal(ann.code, 0);
    fake_env_advance(&w.c.env, 2 * SESSION_SWEEP_MS);
    assert_int_equal(ann.code, 1013);
    assert_string_equal(ann.reason, "unavailable");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_DETACH);
}

static void without_any_shard_a_fresh_attach_ends_in_time_too(void **state)
{
    (void)state;
    fake_shard_break(s0);
    fake_unlisten(&s0->listener);
    fake_env_run(&w.c.env);
    client_open(&w, &ann, "ann", "r");
    fake_env_advance(&w.c.env, ATTACH_DEADLINE_MS + 2 * SESSION_SWEEP_MS);
    assert_int_equal(ann.code, 1013);
}

static void a_live_attach_waits_for_its_shard_as_long_as_it_takes(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 7);
    fake_shard_break(s0);
    fake_unlisten(&s0->listener);
    fake_env_advance(&w.c.env, 10 * ATTACH_DEADLINE_MS);
    assert_int_equal(ann.code, 0);
    fake_listen(&w.c.env, &s0->listener);
    fake_env_advance(&w.c.env, 2 * LINK_RETRY_MAX_MS);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.last_seq, 7);
}

static void closing_detaches(void **state)
{
    struct fake_attach a;
    const struct msg *m;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    client_close(&w, &ann);
    m = fake_shard_expect(s0, MSG_DETACH);
    assert_int_equal(m->DETACH.attach, a.number);
    CHECK_SLICE(m->DETACH.room, "r", "room");
    CHECK_SLICE(m->DETACH.project, "p", "project");
    CHECK_SLICE(m->DETACH.user, "ann", "user");
    assert_int_equal(m->DETACH.is_old, 0);
    assert_int_equal(m->DETACH.doubt_ms, OLD_CLIENT_DOUBT_MS);
    assert_int_equal(m->DETACH.cursor, 1);
    assert_int_equal(w.c.metrics.attaches, 0);
    assert_int_equal(w.c.metrics.rooms, 0);
}

/* ---- link breaks ---- */

static void after_a_break_the_attach_goes_on_from_its_cursor(void **state)
{
    struct fake_attach a, again;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 10);
    shard_room_event(s0, "r", 11, 0, 0, "eleven");
    shard_room_event(s0, "r", 12, EVENT_OLD_ONLY, 0, "not for natives");
    client_expect(&w, &ann, "eleven");
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    again = shard_expect_attach(&w, s0);
    assert_int_equal(again.number, a.number);
    assert_int_equal(again.epoch, a.epoch + 1);
    assert_int_equal(again.flags, ATTACH_REATTACH | ATTACH_NATIVE);
    assert_int_equal(again.last_seq, 12); /* the cursor moves also past what is not shown */
    assert_string_equal(again.generation, "g1");
    shard_to_attach(s0, &again, 0, 13, "thirteen");
    shard_attached(s0, &again, 13);
    shard_room_event(s0, "r", 13, 0, 0, "thirteen again");
    shard_room_event(s0, "r", 14, 0, 0, "fourteen");
    client_expect(&w, &ann, "thirteen");
    client_expect(&w, &ann, "fourteen");
    client_expect_nothing(&w, &ann);
}

/* A whisper comes to its readers one by one; the shard need not know what a page from the store
 * has told of it already. */
static void a_whisper_that_was_in_the_catch_up_is_dropped(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    shard_to_attach(s0, &a, 0, 5, "replay");
    shard_attached(s0, &a, 5);
    shard_to_attach(s0, &a, 0, 5, "whisper");
    shard_to_attach(s0, &a, 0, 6, "next whisper");
    shard_to_attach(s0, &a, 0, 0, "ack");
    client_expect(&w, &ann, "replay");
    client_expect(&w, &ann, "next whisper");
    client_expect(&w, &ann, "ack");
    client_expect_nothing(&w, &ann);
}

static void a_catch_up_that_gave_nothing_starts_over(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    shard_to_attach(s0, &a, 0, 0, "cached");
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_NATIVE);
    assert_int_equal(a.last_seq, 0);
}

static void a_catch_up_that_was_cut_goes_on_behind_what_was_given(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    shard_to_attach(s0, &a, 0, 20, "history");
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_NATIVE | ATTACH_HAS_SEQ);
    assert_int_equal(a.last_seq, 20);
    assert_string_equal(a.generation, "g1");
}

/* Its shard is told that the cursor is none of the client's, which has never heard of one. */
static void an_old_clients_catch_up_that_was_cut(void **state)
{
    struct session_params params = {.project = SLICE_LIT("p"), .user = SLICE_LIT("ann")};
    struct enter_params enter = {.room = SLICE_LIT("r"), .attach_flags = ATTACH_AS_REPLAY};
    struct fake_attach a;
    const struct msg *m;

    (void)state;
    client_open_as(&w, &ann, &params, &enter);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_AS_REPLAY);
    shard_to_attach(s0, &a, 0, 20, "replay");
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_AS_REPLAY | ATTACH_HAS_SEQ | ATTACH_CUT);
    assert_int_equal(a.last_seq, 20);
    shard_attached(s0, &a, 21);
    fake_env_run(&w.c.env);
    session_on_goodbye(ann.session);
    client_close(&w, &ann);
    fake_env_run(&w.c.env);
    m = fake_shard_expect(s0, MSG_DETACH);
    assert_int_equal(m->DETACH.is_old, 1);
    assert_int_equal(m->DETACH.doubt_ms, OLD_CLIENT_CLOSED_DOUBT_MS);
    assert_int_equal(m->DETACH.cursor, 21);
}

static void a_re_attach_that_was_cut_says_so(void **state)
{
    struct session_params params = {
        .project = SLICE_LIT("p"), .user = SLICE_LIT("ann"), .roles = SLICE_LIT("member")};
    struct enter_params enter = {.room = SLICE_LIT("r")};
    struct fake_attach a;

    (void)state;
    client_open_as(&w, &ann, &params, &enter);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 10);
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_REATTACH);
    shard_to_attach(s0, &a, 0, 12, "twelve");
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_REATTACH | ATTACH_CUT);
    assert_int_equal(a.last_seq, 12);
    shard_attached(s0, &a, 12);
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_REATTACH);
}

static void a_reset_moves_the_cursor_down(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 100);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.last_seq, 100);
    shard_to_attach(s0, &a, 0, 40, "reset");
    client_expect(&w, &ann, "reset");
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.last_seq, 40);
    shard_attached(s0, &a, 40);
    shard_room_event(s0, "r", 41, 0, 0, "forty-one");
    client_expect(&w, &ann, "forty-one");
}

static void unsettled_frames_are_sent_again_in_order(void **state)
{
    struct fake_attach a;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"1\"}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"2\"}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"3\"}");
    message_frame(&w, s0, 1, 0, "{\"type\":\"message\",\"content\":\"1\"}");
    message_frame(&w, s0, 2, 0, "{\"type\":\"message\",\"content\":\"2\"}");
    message_frame(&w, s0, 3, 0, "{\"type\":\"message\",\"content\":\"3\"}");
    shard_to_attach(s0, &a, 1, 0, "ack 1");
    client_expect(&w, &ann, "ack 1");
    fake_shard_break(s0);
    fake_env_run(&w.c.env);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"4\"}"); /* while there is no link */
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    client_say(&ann,
               "{\"type\":\"message\",\"content\":\"5\"}"); /* while it waits for the answer */
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    shard_attached(s0, &a, 1);
    message_frame(&w, s0, 2, FRAME_RESENT, "{\"type\":\"message\",\"content\":\"2\"}");
    message_frame(&w, s0, 3, FRAME_RESENT, "{\"type\":\"message\",\"content\":\"3\"}");
    message_frame(&w, s0, 4, 0, "{\"type\":\"message\",\"content\":\"4\"}");
    message_frame(&w, s0, 5, 0, "{\"type\":\"message\",\"content\":\"5\"}");
    assert_int_equal(w.c.metrics.frames_resent, 2);
    shard_to_attach(s0, &a, 5, 0, "ack 5");
    client_expect(&w, &ann, "ack 5");
    fake_env_advance(&w.c.env, 2 * WRITE_DEADLINE_MS);
    client_expect_nothing(&w, &ann); /* all settled: no deadline passes */
}

static void answers_of_an_earlier_epoch_are_dropped(void **state)
{
    struct fake_attach old, now;

    (void)state;
    old = client_open_live(&w, &ann, "ann", "r", s0, 1);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    now = shard_expect_attach(&w, s0);
    shard_to_attach(s0, &old, 0, 9, "stale");
    shard_attached(s0, &old, 9);
    shard_close(s0, &old, 1008, "stale");
    shard_room_event(s0, "r", 10, 0, 0, "ten");
    client_expect_nothing(&w, &ann);
    assert_int_equal(ann.code, 0);
    shard_attached(s0, &now, 1);
    shard_room_event(s0, "r", 2, 0, 0, "two");
    client_expect(&w, &ann, "two");
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_fresh_attach_says_all_that_the_shard_needs),
        ONE(the_catch_up_comes_in_order_and_live_events_follow),
        ONE(a_refusal_closes_the_socket_with_its_word),
        ONE(a_fresh_attach_without_an_answer_ends_in_time),
        ONE(without_any_shard_a_fresh_attach_ends_in_time_too),
        ONE(a_live_attach_waits_for_its_shard_as_long_as_it_takes),
        ONE(closing_detaches),
        ONE(after_a_break_the_attach_goes_on_from_its_cursor),
        ONE(a_whisper_that_was_in_the_catch_up_is_dropped),
        ONE(a_catch_up_that_gave_nothing_starts_over),
        ONE(a_catch_up_that_was_cut_goes_on_behind_what_was_given),
        ONE(an_old_clients_catch_up_that_was_cut),
        ONE(a_re_attach_that_was_cut_says_so),
        ONE(a_reset_moves_the_cursor_down),
        ONE(unsettled_frames_are_sent_again_in_order),
        ONE(answers_of_an_earlier_epoch_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
