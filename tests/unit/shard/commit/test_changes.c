/* test_changes.c - changes of entries in the commit queue: what they become together, what
 * takes no number, what a failed batch makes of them, and how one sent again is recognised. */
#include <stdlib.h>

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

/* Three messages "m1".. with the tags 901.. */
static void begin(struct fx *fx, uint64_t seed, int rooms)
{
    fx_init(fx, seed, rooms, 1, NULL);
    for (unsigned i = 0; i < 3; i++) {
        char text[8];

        snprintf(text, sizeof(text), "m%u", i + 1);
        assert_int_equal(fx_push(fx, 0, 901 + i, text, NULL), 0);
    }
    fx_advance(fx, 20);
    fx->submits = 0;
}

static void change(struct fx *fx, unsigned tag, uint64_t seq, struct mutation m,
                   const char *key)
{
    assert_int_equal(fx_push_change(fx, 0, tag, seq, &m, key, false), 0);
}

static void several_changes_of_one_entry_become_one_row(void **state)
{
    struct fx *fx = *state;

    begin(fx, 1, 1);
    change(fx, 1, 2, fx_edit("e1"), "k1");
    change(fx, 2, 2, fx_reaction("a", true), "k2");
    assert_int_equal(fx_push(fx, 0, 3, "m4", NULL), 0);
    change(fx, 4, 2, fx_edit("e2"), NULL);
    change(fx, 5, 1, fx_reaction("b", true), "k5");
    fx_advance(fx, 20);
    assert_int_equal(fx->submits, 1);
    assert_int_equal(fx->rows[0], 5);
    assert_int_equal(fx->changed[0], 2);
    assert_int_equal(fx->keys[0], 3);
    assert_string_equal(fx_told(fx, 1)->content, "e1"); /* each as it was after it */
    assert_string_equal(fx_told(fx, 1)->reactions, "");
    assert_int_equal(fx_told(fx, 1)->updated_seq, 4);
    assert_string_equal(fx_told(fx, 2)->content, "e1");
    assert_string_equal(fx_told(fx, 2)->reactions, "{\"+\":[\"a\"]}");
    assert_int_equal(fx_told(fx, 2)->updated_seq, 5);
    assert_int_equal(fx_told(fx, 3)->seq, 6);
    assert_int_equal(fx_told(fx, 3)->message_no, 4);
    assert_string_equal(fx_told(fx, 4)->content, "e2");
    assert_int_equal(fx_told(fx, 4)->updated_seq, 7);
    assert_int_equal(fx_told(fx, 4)->version, 3);
    for (unsigned tag = 1; tag < 5; tag++)
        assert_true(fx_told(fx, tag) < fx_told(fx, tag + 1));
    assert_int_equal(fx_row(fx, 0, 2)->updated_seq, 7);
    assert_true(slice_eq_str(fx_row(fx, 0, 2)->content, "e2"));
    assert_true(slice_eq_str(fx_row(fx, 0, 2)->reactions, "{\"+\":[\"a\"]}"));
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->last_seq, 8);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->message_count, 4);
}

/* The next change is pushed while the one before it is under way: it starts from its result. */
static void changes_in_later_batches_build_on_those_in_flight(void **state)
{
    struct fx *fx = *state;

    begin(fx, 2, 1);
    change(fx, 1, 1, fx_reaction("a", true), NULL);
    fx_advance(fx, 1);
    assert_int_equal(fx->submits, 1);
    change(fx, 2, 1, fx_reaction("b", true), NULL);
    change(fx, 3, 1, fx_reaction("a", false), NULL);
    fx_advance(fx, 20);
    assert_int_equal(fx->submits, 2);
    assert_string_equal(fx_told(fx, 2)->reactions, "{\"+\":[\"a\",\"b\"]}");
    assert_string_equal(fx_told(fx, 3)->reactions, "{\"+\":[\"b\"]}");
    assert_true(slice_eq_str(fx_row(fx, 0, 1)->reactions, "{\"+\":[\"b\"]}"));
}

static void what_changes_nothing_takes_no_number(void **state)
{
    struct fx *fx = *state;
    struct mutation foreign = fx_edit("x");

    begin(fx, 3, 1);
    foreign.actor = SLICE_LIT("eve");
    change(fx, 1, 1, fx_reaction("a", false), "k1"); /* there is none */
    change(fx, 2, 2, fx_delete(), "k2");
    change(fx, 3, 2, fx_delete(), "k3");
    change(fx, 4, 2, fx_edit("late"), "k4");
    change(fx, 5, 3, foreign, "k5");
    assert_int_equal(fx_push(fx, 0, 6, "m4", NULL), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx->submits, 1);
    assert_int_equal(fx->rows[0], 2);
    assert_int_equal(fx->keys[0], 1);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_NOTHING);
    assert_string_equal(fx_told(fx, 1)->content, "m1");
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 2)->updated_seq, 4);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_NOTHING);
    assert_int_equal(fx_told(fx, 3)->updated_seq, 4); /* as it is by then */
    assert_int_equal(fx_told(fx, 4)->outcome, COMMIT_REJECTED);
    assert_int_equal(fx_told(fx, 4)->error, ERROR_message_deleted);
    assert_int_equal(fx_told(fx, 5)->outcome, COMMIT_REJECTED);
    assert_int_equal(fx_told(fx, 5)->error, ERROR_forbidden);
    assert_int_equal(fx_told(fx, 6)->seq, 5);
    for (unsigned tag = 1; tag < 6; tag++)
        assert_true(fx_told(fx, tag) < fx_told(fx, tag + 1));
    assert_int_equal(committer_stats(fx->c)->voids, 4);
}

static void without_a_number_there_is_no_batch(void **state)
{
    struct fx *fx = *state;

    begin(fx, 4, 1);
    change(fx, 1, 1, fx_reaction("a", false), "k1");
    change(fx, 2, 2, fx_reaction("a", false), NULL);
    fx_advance(fx, 5);
    assert_int_equal(fx->submits, 0);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_NOTHING);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_NOTHING);
    assert_int_equal(committer_stats(fx->c)->queued_entries, 0);
    change(fx, 3, 1, fx_edit("e"), NULL);
    fx_advance(fx, 20);
    assert_int_equal(fx_told(fx, 3)->updated_seq, 4);
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
        {"locked", {SIM_LOCKED}, 1},
        {"unavailable, then lost", {SIM_UNAVAILABLE, SIM_UNKNOWN_NOW}, 2},
        {"lost, held and locked", {SIM_UNKNOWN_HELD, SIM_UNKNOWN_NEVER, SIM_LOCKED}, 3},
    };
    struct fx *fx = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0)
            fx_deinit(fx);
        begin(fx, 5 + i, 2);
        for (int k = 0; k < rows[i].n; k++)
            sim_server_script(&fx->server, rows[i].fates[k]);
        change(fx, 1, 2, fx_reaction("a", true), "k1");
        change(fx, 2, 2, fx_reaction("b", true), "k2");
        fx_advance(fx, 5);
        change(fx, 3, 2, fx_edit("e"), "k3");
        assert_int_equal(fx_push(fx, 1, 4, "other room", NULL), 0);
        fx_advance(fx, 4000);
        for (unsigned tag = 1; tag <= 4; tag++)
            CHECK_EQ(fx_told(fx, tag)->outcome, COMMIT_DONE, rows[i].name);
        CHECK_EQ(fx_told(fx, 3)->updated_seq, 6, rows[i].name);
        CHECK_EQ(sim_room_row(fx_db_room(fx, 0))->last_seq, 6, rows[i].name);
        assert_true(slice_eq_str(fx_row(fx, 0, 2)->reactions, "{\"+\":[\"a\",\"b\"]}"));
        assert_true(slice_eq_str(fx_row(fx, 0, 2)->content, "e"));
        assert_int_equal(fx_row(fx, 0, 2)->version, 2); /* once */
    }
}

/* The refused edit leaves no trace in the images of those behind it. */
static void a_refused_value_is_left_out_of_the_images(void **state)
{
    struct fx *fx = *state;

    begin(fx, 20, 1);
    change(fx, 1, 1, fx_reaction("a", true), NULL);
    change(fx, 2, 1, fx_edit("bad"), NULL);
    change(fx, 3, 1, fx_reaction("b", true), NULL);
    change(fx, 4, 2, fx_edit("good"), NULL);
    fx_advance(fx, 500);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_REFUSED);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 4)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 3)->updated_seq, 5);
    assert_int_equal(fx_told(fx, 3)->version, 1);
    assert_string_equal(fx_told(fx, 3)->content, "m1");
    assert_true(slice_eq_str(fx_row(fx, 0, 1)->reactions, "{\"+\":[\"a\",\"b\"]}"));
    assert_true(slice_eq_str(fx_row(fx, 0, 1)->content, "m1"));
    for (unsigned tag = 1; tag < 4; tag++)
        assert_true(fx_told(fx, tag) < fx_told(fx, tag + 1));
}

static void what_had_nothing_to_do_is_decided_anew(void **state)
{
    struct fx *fx = *state;
    struct side_op bad = {.kind = SIDE_AUDIT, .text = slice_of("b\0d", 3)};
    struct mutation m = fx_reaction("a", true);

    begin(fx, 21, 1);
    assert_int_equal(fx_push_change_with(fx, 0, 1, 1, &m, NULL, &bad, 1), 0);
    change(fx, 2, 1, m, NULL); /* void behind the first, which is refused */
    change(fx, 3, 1, m, NULL); /* void behind that */
    fx_advance(fx, 500);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_REFUSED);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 2)->updated_seq, 4);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_NOTHING);
}

static void a_lost_fence_changes_nothing(void **state)
{
    struct fx *fx = *state;

    begin(fx, 22, 1);
    sim_room_set_fence(fx_db_room(fx, 0), 2);
    change(fx, 1, 1, fx_edit("e"), "k1");
    change(fx, 2, 1, fx_reaction("a", false), NULL);
    fx_advance(fx, 100);
    assert_true(fx->rooms[0].lost);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_DROPPED);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DROPPED);
    assert_true(slice_eq_str(fx_row(fx, 0, 1)->content, "m1"));
    fx_open(fx, 0);
    change(fx, 3, 1, fx_edit("e"), "k1");
    fx_advance(fx, 100);
    assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_DONE);
    assert_int_equal(fx_told(fx, 3)->updated_seq, 4);
}

/* The room is closed and opened again by the same owner, with the same fence, while a batch of
 * its earlier life is lost on the way: both lead to the same seq. */
static void what_an_earlier_life_has_written_is_not_ours(void **state)
{
    struct fx *fx = *state;

    begin(fx, 24, 1);
    sim_server_script(&fx->server, SIM_UNKNOWN_LATER);
    for (int i = 0; i < 30; i++)
        sim_server_script(&fx->server, SIM_LOCKED);
    change(fx, 1, 1, fx_edit("first life"), NULL);
    fx_advance(fx, 1);
    committer_close_queue(&fx->rooms[0].queue);
    fx_open(fx, 0);
    assert_int_equal(fx->rooms[0].queue.head.last_seq, 3);
    change(fx, 2, 2, fx_edit("second life"), NULL);
    fx_advance(fx, 4000);
    assert_true(slice_eq_str(fx_row(fx, 0, 1)->content, "first life"));
    assert_true(slice_eq_str(fx_row(fx, 0, 2)->content, "m2"));
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_DROPPED);
    assert_true(fx->rooms[0].lost);
}

static void a_change_that_nobody_knows_of_is_done_later(void **state)
{
    struct fx *fx = *state;

    begin(fx, 23, 1);
    change(fx, 1, 1, fx_edit("e"), NULL);
    fx_advance(fx, 1);
    sim_server_set_stalled(&fx->server, true);
    change(fx, 2, 1, fx_edit("never"), NULL); /* waits behind it */
    fx_advance(fx, 6000);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_UNKNOWN);
    assert_int_equal(fx_told(fx, 2)->outcome, COMMIT_UNAVAILABLE);
    sim_server_set_stalled(&fx->server, false);
    fx_advance(fx, 2000);
    assert_int_equal(fx_told(fx, 0)->outcome, COMMIT_DONE); /* without its requester */
    assert_int_equal(fx_told(fx, 0)->updated_seq, 4);
    change(fx, 3, 1, fx_reaction("a", true), NULL);
    fx_advance(fx, 20);
    assert_string_equal(fx_told(fx, 3)->content, "e");
}

/* ---- keys ---- */

static void a_repeat_in_the_queue_is_a_duplicate(void **state)
{
    struct fx *fx = *state;

    begin(fx, 30, 1);
    change(fx, 1, 1, fx_edit("e1"), "k");
    change(fx, 2, 1, fx_edit("e2"), NULL);
    change(fx, 3, 1, fx_edit("e1"), "k");
    fx_advance(fx, 1);
    change(fx, 4, 1, fx_edit("e1"), "k"); /* while it is under way */
    fx_advance(fx, 20);
    assert_int_equal(fx_told(fx, 1)->updated_seq, 4);
    for (unsigned tag = 3; tag <= 4; tag++) {
        assert_int_equal(fx_told(fx, tag)->outcome, COMMIT_DUPLICATE);
        assert_int_equal(fx_told(fx, tag)->change_seq, 4);
    }
    assert_true(slice_eq_str(fx_row(fx, 0, 1)->content, "e2"));
}

static void a_repeat_of_a_rejected_one_is_rejected(void **state)
{
    struct fx *fx = *state;

    begin(fx, 31, 1);
    change(fx, 1, 1, fx_delete(), NULL);
    change(fx, 2, 1, fx_edit("e"), "k");
    change(fx, 3, 1, fx_edit("e"), "k");
    change(fx, 4, 2, fx_reaction("a", false), "n");
    change(fx, 5, 2, fx_reaction("a", false), "n");
    fx_advance(fx, 20);
    for (unsigned tag = 2; tag <= 3; tag++) {
        assert_int_equal(fx_told(fx, tag)->outcome, COMMIT_REJECTED);
        assert_int_equal(fx_told(fx, tag)->error, ERROR_message_deleted);
    }
    assert_int_equal(fx_told(fx, 4)->outcome, COMMIT_NOTHING);
    assert_int_equal(fx_told(fx, 5)->outcome, COMMIT_DUPLICATE);
}

/* The room was another shard's when the change was made: no memory of it here. */
static void an_old_key_is_recognised(void **state)
{
    struct fx *fx = *state;

    for (int is_suspect = 0; is_suspect < 2; is_suspect++) {
        struct mutation m = fx_edit("e1");

        if (is_suspect)
            fx_deinit(fx);
        begin(fx, 32 + (uint64_t)is_suspect, 1);
        change(fx, 1, 1, m, "k");
        change(fx, 2, 1, fx_edit("e2"), NULL);
        fx_advance(fx, 20);
        committer_close_queue(&fx->rooms[0].queue);
        fx_open(fx, 0);
        assert_int_equal(fx_push_change(fx, 0, 3, 1, &m, "k", is_suspect), 0);
        change(fx, 4, 2, fx_edit("e4"), "k4");
        fx_advance(fx, 200);
        assert_int_equal(fx_told(fx, 3)->outcome, COMMIT_DUPLICATE);
        assert_int_equal(fx_told(fx, 3)->change_seq, 4);
        assert_string_equal(fx_told(fx, 3)->content, "e2"); /* as it is now */
        assert_int_equal(fx_told(fx, 4)->updated_seq, 6);
        assert_int_equal(committer_stats(fx->c)->bad_batches, is_suspect ? 0 : 1);
        assert_true(slice_eq_str(fx_row(fx, 0, 1)->content, "e2"));
    }
}

static void changes_without_a_key_are_all_made(void **state)
{
    struct fx *fx = *state;

    begin(fx, 34, 1);
    for (unsigned tag = 1; tag <= 5; tag++)
        change(fx, tag, 1, fx_edit("same"), NULL);
    fx_advance(fx, 20);
    assert_int_equal(fx_told(fx, 5)->version, 6);
    assert_int_equal(fx->keys[0], 0);
}

/* ---- what is written beside ---- */

static void side_writes_bear_the_numbers_of_their_event(void **state)
{
    struct fx *fx = *state;
    struct side_op ops[] = {{.kind = SIDE_PIN, .id = 77, .actor = SLICE_LIT("u")},
                            {.kind = SIDE_MENTION, .user = SLICE_LIT("bob")},
                            {.kind = SIDE_AUDIT, .text = SLICE_LIT("message.edit")}};
    struct mutation m = fx_edit("e");

    begin(fx, 40, 1);
    assert_int_equal(fx_push_change_with(fx, 0, 1, 2, &m, NULL, ops, ARRAY_LEN(ops)), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx_told(fx, 1)->n_ops, 3);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->pinned_id, 77);
    assert_true(sim_room_row(fx_db_room(fx, 0))->pinned_us >= fx_row(fx, 0, 3)->created_us);
    assert_int_equal(fx->op_seqs[SIDE_PIN], 4);
    assert_int_equal(fx->op_seqs[SIDE_AUDIT], 4);
    assert_int_equal(fx->op_seqs[SIDE_MENTION], 2); /* of the entry */
}

static void a_change_that_is_void_writes_nothing_beside(void **state)
{
    struct fx *fx = *state;
    struct side_op op = {.kind = SIDE_PIN, .id = 77, .actor = SLICE_LIT("u")};
    struct mutation m = fx_reaction("a", false);

    begin(fx, 41, 1);
    assert_int_equal(fx_push_change_with(fx, 0, 1, 2, &m, NULL, &op, 1), 0);
    assert_int_equal(fx_push(fx, 0, 2, "m4", NULL), 0);
    fx_advance(fx, 20);
    assert_int_equal(fx_told(fx, 1)->outcome, COMMIT_NOTHING);
    assert_int_equal(fx_told(fx, 1)->n_ops, 0);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->pinned_id, 0);
}

static void two_of_a_kind_go_one_after_the_other(void **state)
{
    struct fx *fx = *state;

    begin(fx, 42, 1);
    for (unsigned tag = 1; tag <= 3; tag++) {
        struct side_op op = {.kind = SIDE_PIN, .id = 70 + tag, .actor = SLICE_LIT("u")};
        struct mutation m = fx_edit("e");

        assert_int_equal(fx_push_change_with(fx, 0, tag, 2, &m, NULL, &op, 1), 0);
    }
    fx_advance(fx, 50);
    assert_int_equal(fx->submits, 3);
    assert_int_equal(sim_room_row(fx_db_room(fx, 0))->pinned_id, 73);
    assert_int_equal(fx_told(fx, 3)->version, 4);
}

/* A small change of a large entry is a large row. */
static void large_images_count_for_the_bounds(void **state)
{
    struct fx *fx = *state;
    struct commit_config config = commit_config_default();
    struct mutation m = fx_reaction("a", true);
    static char text[20001];
    int r = 0;

    memset(text, 'x', sizeof(text) - 1);
    config.queue_bytes = 100000;
    config.batch_bytes = 50000;
    fx_init(fx, 43, 1, 1, &config);
    assert_int_equal(fx_push(fx, 0, 901, text, "k"), 0);
    fx_advance(fx, 20);
    fx->submits = 0;
    for (unsigned tag = 1; tag <= 10 && r == 0; tag++) {
        m.is_added = tag % 2 == 1;
        r = fx_push_change(fx, 0, tag, 1, &m, NULL, false);
        assert_int_equal(r, tag <= 4 ? 0 : COMMIT_PUSH_FULL);
    }
    fx_advance(fx, 50);
    assert_int_equal(fx->submits, 2);
    assert_int_equal(fx->rows[0] + fx->rows[1], 4);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(several_changes_of_one_entry_become_one_row),
        CASE(changes_in_later_batches_build_on_those_in_flight),
        CASE(what_changes_nothing_takes_no_number),
        CASE(without_a_number_there_is_no_batch),
        CASE(a_lost_answer_is_resolved),
        CASE(a_refused_value_is_left_out_of_the_images),
        CASE(what_had_nothing_to_do_is_decided_anew),
        CASE(a_lost_fence_changes_nothing),
        CASE(what_an_earlier_life_has_written_is_not_ours),
        CASE(a_change_that_nobody_knows_of_is_done_later),
        CASE(a_repeat_in_the_queue_is_a_duplicate),
        CASE(a_repeat_of_a_rejected_one_is_rejected),
        CASE(an_old_key_is_recognised),
        CASE(changes_without_a_key_are_all_made),
        CASE(side_writes_bear_the_numbers_of_their_event),
        CASE(a_change_that_is_void_writes_nothing_beside),
        CASE(two_of_a_kind_go_one_after_the_other),
        CASE(large_images_count_for_the_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
