/* test_committer.c - batches, numbers, order, bounds: the committer while the store is well. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "fixture.h"

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

static void items_of_one_turn_share_a_batch(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 1, 4, 2, NULL);
    for (unsigned i = 0; i < 12; i++) {
        char text[8];

        snprintf(text, sizeof(text), "m%u", i);
        assert_int_equal(fx_push(fx, (int)(i % 4), i + 1, text, NULL), 0);
    }
    assert_int_equal(fx->submits, 0); /* not before the end of the turn */
    assert_int_equal(fx->n_log, 0);
    fx_advance(fx, 10);
    assert_int_equal(fx->submits, 1);
    assert_int_equal(fx->rows[0], 12);
    assert_int_equal(fx->rooms_in[0], 4);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 12);
    assert_int_equal(fx_told(fx, 1)->seq, 1);
    assert_int_equal(fx_told(fx, 9)->seq, 3);
    assert_string_equal(fx_told(fx, 9)->content, "m8");
    assert_true(commit_queue_is_empty(&fx->rooms[0].queue));
    assert_int_equal(committer_stats(fx->c)->queued_entries, 0);
    assert_int_equal(committer_stats(fx->c)->entries, 12);
}

static void the_next_batch_forms_while_one_is_in_flight(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 2, 2, 1, NULL);
    fx->server.latency_min_ms = fx->server.latency_max_ms = 10;
    assert_int_equal(fx_push(fx, 0, 1, "a", NULL), 0);
    fx_advance(fx, 1);
    assert_int_equal(fx_push(fx, 0, 2, "b", NULL), 0);
    assert_int_equal(fx_push(fx, 1, 3, "c", NULL), 0);
    fx_advance(fx, 5);
    assert_int_equal(fx_push(fx, 0, 4, "d", NULL), 0);
    assert_int_equal(fx->submits, 1); /* one in flight per lane */
    fx_advance(fx, 30);
    assert_int_equal(fx->submits, 2); /* left when the first came back */
    assert_int_equal(fx->rows[1], 3);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 1);
    fx_advance(fx, 30);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 4);
    assert_int_equal(fx_told(fx, 4)->seq, 3);
}

static void ids_below_the_rooms_last_are_thrown_away(void **state)
{
    struct fx *fx = *state;
    struct batch_room in = {
        .project = SLICE_LIT("p0"), .room = SLICE_LIT("r0"), .fence = 1, .new_seq = 1};
    struct entry from = {
        .kind = ENTRY_MESSAGE, .seq = 1, .updated_seq = 1, .id = 5000, .dedupe = "x"};
    struct entry *e = entry_new(&from);
    struct batch batch = {&in, 1};
    struct sim_commit *commit;
    bool dup;

    fx_init(fx, 3, 2, 1, NULL); /* ids from 1000 are here, and from 2000 as spare */
    in.last_id = 5000;
    in.entries = &e;
    in.n_entries = 1;
    commit = sim_commit_new(&batch);
    assert_int_equal(sim_commit_start(fx->server.db, commit, &dup), STORE_OK);
    sim_commit_finish(fx->server.db, commit, 0);
    sim_commit_free(commit);
    entry_unref(e);
    sim_db_skip_ids(fx->server.db, 6000);
    committer_close_queue(&fx->rooms[0].queue);
    fx_open(fx, 0);
    assert_int_equal(fx_push(fx, 0, 1, "a", NULL), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_DONE);
    assert_true(fx_told(fx, 1)->id >= 6000);
    assert_int_equal(fx_told(fx, 1)->seq, 2);
}

static void more_rows_than_ids_go_in_several_batches(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 4, 1, 1, NULL);
    committer_forget_ids(fx->c);
    fx->server.id_block = 7;
    fx_advance(fx, 10);
    for (unsigned i = 1; i <= 100; i++) {
        char text[8];

        snprintf(text, sizeof(text), "m%u", i);
        assert_int_equal(fx_push(fx, 0, i, text, NULL), 0);
    }
    fx_advance(fx, 1000);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 100);
}

static void a_repeat_waits_for_the_first_and_gets_it(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 5, 1, 1, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "a", "k1"), 0);
    assert_int_equal(fx_push(fx, 0, 2, "a again", "k1"), 0); /* first is queued */
    assert_int_equal(fx_push(fx, 0, 3, "b", "k2"), 0);
    fx_advance(fx, 1);
    assert_int_equal(fx_push(fx, 0, 4, "a again", "k1"), 0); /* first is in flight */
    assert_int_equal(fx_push(fx, 0, 5, "c", "k3"), 0);
    assert_int_equal(fx_push(fx, 0, 6, "c again", "k3"), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx->rows[0], 2);
    assert_int_equal(fx->n_log, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(fx->log[i].tag, i + 1); /* in order */
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DUPLICATE);
    assert_int_equal(fx_told(fx, 2)->seq, 1);
    assert_string_equal(fx_told(fx, 2)->content, "a");
    assert_int_equal(fx_told(fx, 4)->seq, 1);
    assert_int_equal(fx_told(fx, 6)->seq, 3);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 3);
}

static void an_old_duplicate_is_answered_and_the_rest_commits(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 6, 3, 1, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "old", "k"), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx_push(fx, 0, 2, "before", NULL), 0);
    assert_int_equal(fx_push(fx, 0, 3, "old again", "k"), 0);
    assert_int_equal(fx_push(fx, 0, 4, "after", NULL), 0);
    assert_int_equal(fx_push(fx, 1, 5, "other", NULL), 0);
    assert_int_equal(fx_push(fx, 2, 6, "k", NULL), 0); /* same key, another room */
    fx_advance(fx, 50);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_DUPLICATE);
    assert_int_equal(fx_told(fx, 3)->seq, 1);
    assert_string_equal(fx_told(fx, 3)->content, "old");
    assert_int_equal(fx_told(fx, 2)->seq, 2);
    assert_int_equal(fx_told(fx, 4)->seq, 3);
    assert_int_equal(fx_told(fx, 5)->seq, 1);
    assert_int_equal(fx_told(fx, 6)->outcome, COMMIT_DONE);
    assert_int_equal(fx->refusals[1], 1);
    assert_int_equal(fx->refusals[0], 1);
}

static void a_suspect_is_looked_up_and_holds_back_its_room_only(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 7, 2, 1, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "old", "k"), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx_push(fx, 0, 2, "first", NULL), 0);
    assert_int_equal(fx_push_item(fx, 0, 3, "old again", "k", true), 0);
    assert_int_equal(fx_push_item(fx, 0, 4, "new", NULL, true), 0);
    assert_int_equal(fx_push(fx, 0, 5, "last", NULL), 0);
    assert_int_equal(fx_push(fx, 1, 6, "other", NULL), 0);
    fx_advance(fx, 1);
    assert_int_equal(fx->rows[1], 2); /* "first" and "other" did not wait */
    fx_advance(fx, 30);
    assert_int_equal(fx->submits, 3);
    assert_int_equal(fx->refusals[0], 0);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_DUPLICATE);
    assert_int_equal(fx_told(fx, 4)->seq, 3);
    assert_int_equal(fx_told(fx, 5)->seq, 4);
    for (unsigned i = 1; i <= 2; i++)
        assert_true(fx_told(fx, i + 1) < fx_told(fx, i + 2)); /* in order */
}

static void two_changes_of_one_user_take_two_batches(void **state)
{
    struct fx *fx = *state;
    struct sim_claim claim;

    fx_init(fx, 8, 1, 1, NULL);
    assert_int_equal(fx_push_member(fx, 0, 1, "ann", ROLE_MEMBER), 0);
    assert_int_equal(fx_push_member(fx, 0, 2, "bob", ROLE_ADMIN), 0);
    assert_int_equal(fx_push_member(fx, 0, 3, "ann", ROLE_NONE), 0);
    assert_int_equal(fx_push_member(fx, 0, 4, "ann", ROLE_MODERATOR), 0);
    fx_advance(fx, 50);
    assert_int_equal(fx->rows[0], 2);
    assert_int_equal(fx->submits, 3);
    sim_room_claim(fx_db_room(fx, 0), 0, 0, &claim);
    assert_int_equal(claim.result.n_members, 2);
    CHECK_SLICE(claim.members[0].user, "ann", "first");
    assert_int_equal(claim.members[0].role, ROLE_MODERATOR);
    assert_int_equal(claim.members[0].joined_us, fx_told(fx, 4)->created_us);
    assert_int_equal(claim.members[1].role, ROLE_ADMIN);
    sim_claim_deinit(&claim);
}

static void a_busy_tenant_leaves_room_for_others(void **state)
{
    struct fx *fx = *state;
    struct commit_config config = commit_config_default();

    config.batch_entries = 100;
    fx_init(fx, 9, 4, 2, &config); /* rooms 0, 1: tenant p0; 2, 3: p1 */
    for (unsigned i = 0; i < 1000; i++) {
        char text[8];

        snprintf(text, sizeof(text), "m%u", i);
        assert_int_equal(fx_push(fx, 0, 10 + i, text, NULL), 0);
    }
    assert_int_equal(fx_push(fx, 2, 1, "a", NULL), 0);
    fx_advance(fx, 3);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_DONE); /* in the first batch */
    assert_int_equal(fx->rows[0], 100);
    fx_advance(fx, 100);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 1001);
    assert_int_equal(fx->server.largest_batch, 100);
}

static void bounds_turn_pushes_away(void **state)
{
    static const struct {
        const char *name;
        size_t queue_entries, queue_bytes, lane_entries, lane_bytes;
        unsigned fit_one_room, fit_both;
    } rows[] = {
        {"entries of a room", 3, 1 << 20, 100, 1 << 20, 3, 6},
        {"entries of a lane", 10, 1 << 20, 5, 1 << 20, 5, 5},
        {"bytes of a room", 10, 2 * (sizeof(struct entry) + 2), 100, 1 << 20, 2, 4},
        {"bytes of a lane", 10, 1 << 20, 100, 3 * (sizeof(struct entry) + 2), 3, 3},
    };
    struct fx *fx = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct commit_config config = commit_config_default();
        unsigned n = 0;
        char key[8];

        if (i > 0)
            fx_deinit(fx);
        config.queue_entries = rows[i].queue_entries;
        config.queue_bytes = rows[i].queue_bytes;
        config.lane_entries = rows[i].lane_entries;
        config.lane_bytes = rows[i].lane_bytes;
        fx_init(fx, 10, 2, 1, &config);
        do
            snprintf(key, sizeof(key), "k%u", n);
        while (fx_push(fx, 0, n + 1, "x", key) == 0 && n++ < 100);
        CHECK_EQ(n, rows[i].fit_one_room, rows[i].name);
        do
            snprintf(key, sizeof(key), "k%u", n);
        while (fx_push(fx, 1, n + 1, "x", key) == 0 && n++ < 100);
        CHECK_EQ(n, rows[i].fit_both, rows[i].name);
        CHECK_EQ(fx_push(fx, 1, 99, "x", "y"), COMMIT_PUSH_FULL, rows[i].name);
        fx_advance(fx, 50);
        CHECK_EQ(fx_count(fx, COMMIT_DONE), n, rows[i].name);
        CHECK_EQ(fx_push(fx, 1, 99, "x", "y"), 0, rows[i].name); /* there is room again */
        fx_advance(fx, 50);
    }
}

static void closing_a_room_gives_back_its_requesters(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 11, 2, 1, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "in flight", NULL), 0);
    assert_int_equal(fx_push(fx, 1, 2, "other", NULL), 0);
    fx_advance(fx, 1);
    assert_int_equal(fx_push(fx, 0, 3, "queued", NULL), 0);
    assert_int_equal(fx_push_item(fx, 0, 4, "suspect", NULL, true), 0);
    assert_int_equal(fx_push(fx, 0, 5, "again", "queued"), 0);
    committer_close_queue(&fx->rooms[0].queue);
    committer_close_queue(&fx->rooms[0].queue); /* nothing more */
    assert_int_equal(fx->n_log, 4);
    assert_int_equal(fx_count(fx, COMMIT_DROPPED), 4);
    fx_advance(fx, 50);
    assert_int_equal(fx->n_log, 5);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DONE);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->last_seq, 1); /* it was on its way */
    assert_int_equal(committer_stats(fx->c)->queued_entries, 0);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void flush_waits_for_all_that_was_pushed(void **state)
{
    struct fx *fx = *state;
    struct commit_flush flush = {0}, idle = {0}, cancelled = {0};
    bool flushed = false, idle_done = false, never = false;

    fx_init(fx, 12, 2, 1, NULL);
    committer_flush(&fx->rooms[1].queue, &idle, set_flag, &idle_done);
    assert_false(idle_done); /* later */
    assert_int_equal(fx_push(fx, 0, 1, "a", NULL), 0);
    fx_advance(fx, 1);
    assert_true(idle_done);
    assert_int_equal(fx_push(fx, 0, 2, "b", NULL), 0);
    committer_flush(&fx->rooms[0].queue, &flush, set_flag, &flushed);
    committer_flush(&fx->rooms[0].queue, &cancelled, set_flag, &never);
    committer_flush_cancel(&cancelled);
    committer_flush_cancel(&cancelled);
    fx_advance(fx, 3);
    assert_false(flushed);
    fx_advance(fx, 20);
    assert_true(flushed);
    assert_false(never);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 2);
}

static void a_move_drops_what_is_queued_and_flushes_what_is_out(void **state)
{
    struct fx *fx = *state;
    struct commit_flush flush = {0};
    bool flushed = false;

    fx_init(fx, 13, 1, 1, NULL);
    assert_int_equal(fx_push(fx, 0, 1, "out", NULL), 0);
    fx_advance(fx, 1);
    assert_int_equal(fx_push(fx, 0, 2, "queued", NULL), 0);
    committer_drop_queued(&fx->rooms[0].queue);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DROPPED);
    committer_flush(&fx->rooms[0].queue, &flush, set_flag, &flushed);
    fx_advance(fx, 20);
    assert_true(flushed);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_DONE);
    assert_int_equal(fx->submits, 1);
}

static void the_time_under_way_does_not_follow_the_time_of_day(void **state)
{
    struct fx *fx = *state;

    fx_init(fx, 1, 1, 1, NULL);
    fx->server.latency_min_ms = fx->server.latency_max_ms = 10;
    for (unsigned i = 0; i < 2; i++) { /* somebody sets the clock, forth and back */
        assert_int_equal(fx_push(fx, 0, 1 + i, i ? "b" : "a", NULL), 0);
        for (unsigned ms = 0; committer_stats(fx->c)->in_flight == 0; ms++) {
            assert_true(ms < 100);
            fx_advance(fx, 1);
        }
        fx->fake.wall_us += i ? -INT64_C(3600000000) : INT64_C(1800000000);
        fx_advance(fx, 100);
        assert_int_equal(committer_stats(fx->c)->batches, 1 + i);
        assert_in_range(committer_stats(fx->c)->flight_us, 10000 * (1 + i), 60000 * (1 + i));
    }
}

static void lanes_have_one_batch_in_flight_each(void **state)
{
    struct fx *fx = *state;
    struct commit_config config = commit_config_default();

    config.lanes = 4;
    fx_init(fx, 14, 8, 2, &config);
    fx->server.latency_min_ms = fx->server.latency_max_ms = 10;
    for (int i = 0; i < 8; i++)
        assert_int_equal(fx_push(fx, i, (unsigned)i + 1, "a", NULL), 0);
    fx_advance(fx, 1);
    assert_true(fx->submits > 1);
    assert_int_equal(committer_stats(fx->c)->in_flight, fx->submits);
    fx_advance(fx, 100);
    assert_int_equal(fx_count(fx, COMMIT_DONE), 8);
    assert_int_equal(committer_stats(fx->c)->in_flight, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_of_one_turn_share_a_batch),
        TEST(the_next_batch_forms_while_one_is_in_flight),
        TEST(ids_below_the_rooms_last_are_thrown_away),
        TEST(more_rows_than_ids_go_in_several_batches),
        TEST(a_repeat_waits_for_the_first_and_gets_it),
        TEST(an_old_duplicate_is_answered_and_the_rest_commits),
        TEST(a_suspect_is_looked_up_and_holds_back_its_room_only),
        TEST(two_changes_of_one_user_take_two_batches),
        TEST(a_busy_tenant_leaves_room_for_others),
        TEST(bounds_turn_pushes_away),
        TEST(closing_a_room_gives_back_its_requesters),
        TEST(flush_waits_for_all_that_was_pushed),
        TEST(a_move_drops_what_is_queued_and_flushes_what_is_out),
        TEST(lanes_have_one_batch_in_flight_each),
        TEST(the_time_under_way_does_not_follow_the_time_of_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
