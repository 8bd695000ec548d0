/* test_faults.c - the committer while the store refuses, is locked, loses answers or is away.
 */
#include <stdlib.h>

#include "fixture.h"
#include "shard/limits.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fx));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    fx_check_db(*state);
    fx_deinit(*state);
    free(*state);
    return 0;
}

static void push_many(struct fx *fx, int room, unsigned first_tag, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[16];

        snprintf(text, sizeof(text), "t%u", first_tag + i);
        assert_int_equal(fx_push(fx, room, first_tag + i, text, NULL), 0);
    }
}

static void a_bad_value_is_refused_alone(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 1, 8, 2, NULL); /* four tenants with two rooms each */
    for (int i = 0; i < 8; i++)
        push_many(fx, i, 100 * ((unsigned)i + 1), 10);
    assert_int_equal(fx_push(fx, 3, 1, "bad", NULL), 0);
    push_many(fx, 3, 450, 10);
    fx_advance(fx, 500);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_REFUSED);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 90);
    assert_int_equal(fx_count(fx, COMMIT_REFUSED), 1);
    for (int i = 0; i < 8;
         i++) /* other tenants fail once, the offender's own other room at most twice */
        assert_true(i == 3 || fx->refusals[i] == (i == 2 ? 2 : 1));
    assert_true(fx_told(fx, 409) < fx_told(fx, 1)); /* in order */
    assert_true(fx_told(fx, 1) < fx_told(fx, 450));
}

static void its_tenant_shares_no_batch_for_a_while(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 2, 4, 2, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "bad", NULL), 0);
    fx_advance(fx, 50);
    assert_int_equal(fx_push(fx, 0, 2, "bad", "k2"), 0);
    push_many(fx, 1, 10, 3);
    push_many(fx, 2, 20, 3);
    push_many(fx, 3, 30, 3);
    fx_advance(fx, 100);
    assert_int_equal(fx->refusals[2], 0);
    assert_int_equal(fx->refusals[3], 0);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 9);
    assert_int_equal(fx_count(fx, COMMIT_REFUSED), 2);
    fx_advance(fx, 11000); /* forgiven */
    fx->submits = 0;
    push_many(fx, 0, 40, 1);
    push_many(fx, 2, 50, 1);
    fx_advance(fx, 50);
    assert_int_equal(fx->submits, 1);
}

static void many_bad_values_are_all_found(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 3, 2, 2, NULL);
    for (unsigned i = 1; i <= 60; i++) {
        char key[8];

        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(fx_push(fx, (int)(i % 2), i, i % 7 == 0 ? "bad" : "good", key), 0);
    }
    fx_advance(fx, 3000);
    for (unsigned i = 1; i <= 60; i++)
        assert_int_equal(fx_told(fx, i)->outcome, i % 7 == 0 ? COMMIT_REFUSED : COMMIT_DONE);
    for (size_t i = 0, last[2] = {0}; i < fx->n_log; i++) { /* in order */
        assert_true(fx->log[i].tag > last[fx->log[i].room]);
        last[fx->log[i].room] = fx->log[i].tag;
    }
}

static void repeats_of_a_refused_one_are_refused(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 4, 1, 1, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "bad", "k"), 0);
    assert_int_equal(fx_push(fx, 0, 2, "bad", "k"), 0);
    push_many(fx, 0, 10, 1);
    fx_advance(fx, 100);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_REFUSED);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_REFUSED);
    assert_int_equal(fx_told(fx, 10)->outcome, COMMIT_DONE);
}

static void a_lost_answer_is_resolved(void **state)
{
    static const struct {
        const char *name;
        enum sim_fate fates[3];
        int n;
    } rows[] = {
        {"it had committed", {SIM_UNKNOWN_NOW}, 1},
        {"it commits later", {SIM_UNKNOWN_LATER}, 1},
        {"it holds its locks and commits later", {SIM_UNKNOWN_HELD}, 1},
        {"it never arrived", {SIM_UNKNOWN_NEVER}, 1},
        {"lost, then the store is away",
         {SIM_UNKNOWN_NOW, SIM_UNAVAILABLE, SIM_UNAVAILABLE},
         3},
        {"lost twice", {SIM_UNKNOWN_LATER, SIM_UNKNOWN_LATER}, 2},
        {"lost, held and locked", {SIM_UNKNOWN_HELD, SIM_UNKNOWN_NEVER, SIM_LOCKED}, 3},
    };
    struct fx *fx = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0)
            fx_deinit(fx);
        fx_init(fx, 5 + i, 3, 1, NULL);
        for (int k = 0; k < rows[i].n; k++)
            sim_server_script(&fx->server, rows[i].fates[k]);
        push_many(fx, 0, 100, 5);
        push_many(fx, 1, 200, 5);
        fx_advance(fx, 5);
        push_many(fx, 0, 300, 5); /* wait until the first are resolved */
        push_many(fx, 2, 400, 5);
        fx_advance(fx, 4000);
        CHECK_EQ(fx_count(fx, COMMIT_DONE), 20, rows[i].name);
        CHECK_EQ(fx->n_log, 20, rows[i].name);
        CHECK_EQ(sim_room_row(fx_db_room(fx, 0))->last_seq, 10, rows[i].name);
        CHECK_EQ(fx_told(fx, 304)->seq, 10, rows[i].name);
        fx_check_db(fx);
    }
}

static void who_waits_too_long_is_told_unknown_and_released_later(void **state)
{
    struct fx *fx = *state;
    size_t released = 0;

    fx_init(fx, 20, 1, 1, NULL);
    fx->server.is_stalled = true;
    push_many(fx, 0, 1, 3);
    fx_advance(fx, 100);
    push_many(fx, 0, 10, 1);
    assert_int_equal(fx_push(fx, 0, 20, "t1", NULL), 0); /* a repeat of one in flight */
    fx_advance(fx, 4800);
    assert_int_equal(fx->n_log, 0);
    fx_advance(fx, 300);
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(fx_told(fx, i)->outcome, COMMIT_UNKNOWN);
    assert_int_equal(fx_told(fx, 10)->outcome, COMMIT_UNAVAILABLE);
    assert_int_equal(fx_told(fx, 20)->outcome, COMMIT_UNKNOWN);
    sim_server_set_stalled(&fx->server, false);
    fx_advance(fx, 100);
    for (size_t i = 0; i < fx->n_log; i++)
        released += fx->log[i].outcome == COMMIT_DONE && fx->log[i].tag == 0;
    assert_int_equal(released, 3);
    assert_int_equal(fx->n_log, 8);
    push_many(fx, 0, 30, 1);
    fx_advance(fx, 100);
    assert_int_equal(fx_told(fx, 30)->seq, 4);
}

static void while_the_store_is_away_writes_end_in_bounded_time(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 21, 2, 1, NULL);
    sim_server_set_up(&fx->server, false);
    push_many(fx, 0, 1, 3);
    assert_int_equal(fx_push_item(fx, 1, 10, "suspect", NULL, true), 0);
    fx_advance(fx, 4900);
    assert_int_equal(fx->n_log, 0);
    fx_advance(fx, 200);
    assert_int_equal(fx_count(fx, COMMIT_UNAVAILABLE), 4);
    push_many(fx, 0, 20, 2);
    fx_advance(fx, 1000);
    sim_server_set_up(&fx->server, true);
    fx_advance(fx, 500); /* service returns by itself */
    assert_int_equal(fx_told(fx, 20)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 21)->seq, 2);
}

/* Its sender has lost his connection, and sent all of it again by another one. */
static void a_repeat_takes_the_place_of_one_that_waited_too_long(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 22, 1, 1, NULL);
    sim_server_set_up(&fx->server, false);
    assert_int_equal(fx_push(fx, 0, 1, "a", NULL), 0);
    fx_advance(fx, 1000);
    assert_int_equal(fx_push(fx, 0, 2, "b", NULL), 0);
    fx_advance(fx, 1000);
    assert_int_equal(fx_push(fx, 0, 11, "a", NULL), 0);
    assert_int_equal(fx_push(fx, 0, 12, "b", NULL), 0);
    fx_advance(fx, 3050);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_UNAVAILABLE);
    sim_server_set_up(&fx->server, true);
    fx_advance(fx, 700);
    assert_int_equal(fx_told(fx, 11)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 11)->seq, 1);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 2)->seq, 2);
    assert_int_equal(fx_told(fx, 12)->outcome, COMMIT_DUPLICATE);
    assert_int_equal(fx_told(fx, 12)->seq, 2);
}

/* a, b, c were sent by socket 1. When a has waited too long and is gone, all is sent again by
 * socket 2: b and c do not come before the new a in the places of the old ones. */
static void check_order_of_second_sending(struct fx *fx)
{
    fx_advance(fx, 1500);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fx_told(fx, 11 + i)->outcome, COMMIT_DONE);
        assert_int_equal(fx_told(fx, 11 + i)->seq, 1 + i);
    }
}

static void push_and_expire_first(struct fx *fx)
{
    assert_int_equal(fx_push_by(fx, 0, 1, 1, "a"), 0);
    fx_advance(fx, 200);
    assert_int_equal(fx_push_by(fx, 0, 1, 2, "b"), 0);
    assert_int_equal(fx_push_by(fx, 0, 1, 3, "c"), 0);
    fx_advance(fx, COMMIT_DEADLINE_MS - 150);
    for (unsigned tag = 1; tag <= 3; tag++) /* what was sent after it goes with it */
        assert_int_equal(fx_told(fx, tag)->outcome, COMMIT_UNAVAILABLE);
    assert_int_equal(fx->n_log, 3);
}

static void who_sends_again_keeps_his_order_though_the_first_is_gone(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 40, 1, 1, NULL);
    sim_server_set_up(&fx->server, false);
    push_and_expire_first(fx);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(fx_push_by(fx, 0, 2, 11 + i, (const char *[]){"a", "b", "c"}[i]), 0);
    sim_server_set_up(&fx->server, true);
    check_order_of_second_sending(fx);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_UNAVAILABLE);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_UNAVAILABLE);
    fx_check_db(fx);
}

/* Each frame of the second sending finds the others in a part that waits to go again. */
static void who_sends_again_slowly_keeps_his_order(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 41, 1, 1, NULL);
    sim_server_set_up(&fx->server, false);
    assert_int_equal(fx_push_by(fx, 0, 1, 1, "a"), 0);
    fx_advance(fx, 2500);
    assert_int_equal(fx_push_by(fx, 0, 1, 2, "b"), 0);
    assert_int_equal(fx_push_by(fx, 0, 1, 3, "c"), 0);
    fx_advance(fx, COMMIT_DEADLINE_MS - 2450);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_UNAVAILABLE);
    for (unsigned i = 0; i < 3; i++) {
        fx_advance(fx, 700); /* longer than the longest pause */
        assert_int_equal(fx_push_by(fx, 0, 2, 11 + i, (const char *[]){"a", "b", "c"}[i]), 0);
    }
    sim_server_set_up(&fx->server, true);
    check_order_of_second_sending(fx);
    fx_check_db(fx);
}

/* The second sending has come as far as b when a batch goes: the c of the first is not in it.
 */
static void what_comes_after_one_that_gives_way_goes_with_it(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 44, 1, 1, NULL);
    sim_server_set_up(&fx->server, false);
    push_and_expire_first(fx);
    assert_int_equal(fx_push_by(fx, 0, 2, 11, "a"), 0);
    assert_int_equal(fx_push_by(fx, 0, 2, 12, "b"), 0);
    sim_server_set_up(&fx->server, true);
    fx_advance(fx, 1500);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_UNAVAILABLE);
    assert_int_equal(fx_push_by(fx, 0, 2, 13, "c"), 0);
    check_order_of_second_sending(fx);
    fx_check_db(fx);
}

/* The socket has lived through it: it was told of a, and sends all again. b goes only then. */
static void a_repeat_comes_not_before_what_its_sender_sent_earlier(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 43, 1, 1, NULL);
    sim_server_set_up(&fx->server, false);
    push_and_expire_first(fx);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(fx_push_by(fx, 0, 1, 11 + i, (const char *[]){"a", "b", "c"}[i]), 0);
    fx_advance(fx, 300);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_UNAVAILABLE);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_UNAVAILABLE);
    sim_server_set_up(&fx->server, true);
    check_order_of_second_sending(fx);
    fx_check_db(fx);
}

/* What is sent twice by one socket has the place of the first. */
static void a_repeat_by_the_same_socket_has_the_place_of_the_first(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 42, 1, 1, NULL);
    sim_server_set_up(&fx->server, false);
    assert_int_equal(fx_push_by(fx, 0, 1, 1, "a"), 0);
    assert_int_equal(fx_push_by(fx, 0, 1, 2, "b"), 0);
    assert_int_equal(fx_push_by(fx, 0, 1, 11, "a"), 0);
    sim_server_set_up(&fx->server, true);
    fx_advance(fx, 1500);
    assert_int_equal(fx_told(fx, 1)->seq, 1);
    assert_int_equal(fx_told(fx, 2)->seq, 2);
    assert_int_equal(fx_told(fx, 11)->outcome, COMMIT_DUPLICATE);
}

static void lost_and_then_away_is_unknown_not_unavailable(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 27, 1, 1, NULL);
    fx->server.later_max_ms = 50;
    sim_server_script(&fx->server, SIM_UNKNOWN_LATER);
    for (int i = 0; i < 60; i++)
        sim_server_script(&fx->server, SIM_UNAVAILABLE);
    push_many(fx, 0, 1, 2);
    fx_advance(fx, 100);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->last_seq,
                     2); /* it has committed meanwhile */
    push_many(fx, 0, 10, 1);
    fx_advance(fx, 5200);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_UNKNOWN);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_UNKNOWN);
    assert_int_equal(fx_told(fx, 10)->outcome, COMMIT_UNAVAILABLE);
    fx_advance(fx, 30000);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 2); /* released */
    push_many(fx, 0, 20, 1);
    fx_advance(fx, 100);
    assert_int_equal(fx_told(fx, 20)->seq, 3);
}

static void a_failed_store_answers_unavailable(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 22, 1, 1, NULL);
    for (int i = 0; i < 60; i++)
        sim_server_script(&fx->server, SIM_FAILED);
    push_many(fx, 0, 1, 2);
    fx_advance(fx, 5200);
    assert_int_equal(fx_count(fx, COMMIT_UNAVAILABLE), 2);
}

static void a_locked_row_is_tried_again(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 23, 2, 1, NULL);
    sim_server_script(&fx->server, SIM_LOCKED);
    sim_server_script(&fx->server, SIM_LOCKED);
    push_many(fx, 0, 1, 3);
    push_many(fx, 1, 10, 3);
    fx_advance(fx, 200);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 6);
    assert_false(fx->rooms[0].lost);
}

static void a_room_with_another_fence_is_lost_and_the_others_commit(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 24, 3, 1, NULL);
    sim_room_set_fence(fx_db_room(fx, 1), 99);
    push_many(fx, 0, 10, 3);
    push_many(fx, 1, 20, 3);
    push_many(fx, 2, 30, 3);
    fx_advance(fx, 1);
    push_many(fx, 1, 40, 2);
    fx_advance(fx, 100);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 6);
    assert_int_equal(fx_count(fx, COMMIT_DROPPED), 5);
    assert_true(fx->rooms[1].lost);
    assert_false(fx->rooms[0].lost || fx->rooms[2].lost);
    assert_int_equal(committer_stats(fx->c)->lost, 1);
}

static void a_row_that_moved_without_us_is_lost(void **state)
{
    struct fx *fx = *state;

    /* The batch is lost; the room is closed and claimed again with the same fence; then the old
     * batch commits. */
    fx_init(fx, 25, 1, 1, NULL);
    fx->server.later_max_ms = 1;
    sim_server_script(&fx->server, SIM_UNKNOWN_LATER);
    push_many(fx, 0, 1, 2);
    fake_env_run(&fx->fake);
    committer_close_queue(&fx->rooms[0].queue);
    fx_open(fx, 0);
    fx_advance(fx, 10);
    push_many(fx, 0, 10, 2); /* the same length: only the ids differ */
    fx_advance(fx, 100);
    assert_true(fx->rooms[0].lost);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 0);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->last_seq, 2);
}

static void closing_while_the_outcome_is_unknown_is_safe(void **state)
{
    static const enum sim_fate fates[] = {SIM_UNKNOWN_NOW,  SIM_UNKNOWN_LATER,
                                          SIM_UNKNOWN_HELD, SIM_UNKNOWN_NEVER,
                                          SIM_LOCKED,       SIM_UNAVAILABLE};
    struct fx *fx = *state;

    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        for (uint64_t at = 0; at < 60; at += 3) {
            if (i > 0 || at > 0)
                fx_deinit(fx);
            fx_init(fx, 26 + at, 2, 1, NULL);
            sim_server_script(&fx->server, fates[i]);
            push_many(fx, 0, 1, 3);
            push_many(fx, 1, 10, 3);
            fx_advance(fx, at);
            committer_close_queue(&fx->rooms[0].queue);
            fx_advance(fx, 3000);
            assert_int_equal(fx_count(fx, COMMIT_DONE) + fx_count(fx, COMMIT_DROPPED), 6);
            assert_int_equal(fx_told(fx, 12)->outcome, COMMIT_DONE);
            fx_check_db(fx);
        }
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bad_value_is_refused_alone),
        TEST(its_tenant_shares_no_batch_for_a_while),
        TEST(many_bad_values_are_all_found),
        TEST(repeats_of_a_refused_one_are_refused),
        TEST(a_lost_answer_is_resolved),
        TEST(who_waits_too_long_is_told_unknown_and_released_later),
        TEST(while_the_store_is_away_writes_end_in_bounded_time),
        TEST(a_repeat_takes_the_place_of_one_that_waited_too_long),
        TEST(who_sends_again_keeps_his_order_though_the_first_is_gone),
        TEST(who_sends_again_slowly_keeps_his_order),
        TEST(what_comes_after_one_that_gives_way_goes_with_it),
        TEST(a_repeat_comes_not_before_what_its_sender_sent_earlier),
        TEST(a_repeat_by_the_same_socket_has_the_place_of_the_first),
        TEST(lost_and_then_away_is_unknown_not_unavailable),
        TEST(a_failed_store_answers_unavailable),
        TEST(a_locked_row_is_tried_again),
        TEST(a_room_with_another_fence_is_lost_and_the_others_commit),
        TEST(a_row_that_moved_without_us_is_lost),
        TEST(closing_while_the_outcome_is_unknown_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
