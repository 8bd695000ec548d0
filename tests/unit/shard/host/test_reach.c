/* test_reach.c - how far who had come, remembered for some minutes. */
#include "tests/support/test.h"

#include <stdio.h>

#include "shard/host/reach.h"
#include "shard/limits.h"

static const struct reach_key ann = {SLICE_LIT("p"), SLICE_LIT("r"), SLICE_LIT("ann")};

static void each_user_of_each_room_of_each_project_has_a_place(void **state)
{
    static const struct reach_key others[] = {
        {SLICE_LIT("q"), SLICE_LIT("r"), SLICE_LIT("ann")},
        {SLICE_LIT("p"), SLICE_LIT("s"), SLICE_LIT("ann")},
        {SLICE_LIT("p"), SLICE_LIT("r"), SLICE_LIT("bob")},
        {SLICE_LIT("p"), SLICE_LIT("r"), SLICE_LIT("")},
    };
    struct reaches reaches;

    (void)state;
    reaches_init(&reaches);
    reaches_put(&reaches, &ann, 7, 1000);
    assert_int_equal(reaches_find(&reaches, &ann, 1000), 7);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(reaches_find(&reaches, &others[i], 1000), UINT64_MAX);
    reaches_forget(&reaches);
    assert_int_equal(reaches_find(&reaches, &ann, 1000), UINT64_MAX);
    reaches_deinit(&reaches);
}

/* Two sockets: the one that had less counts for as long as it may come back, then the other. */
static void the_smallest_counts_each_for_its_time(void **state)
{
    struct reaches reaches;

    (void)state;
    reaches_init(&reaches);
    reaches_put(&reaches, &ann, 10, 1000);
    reaches_put(&reaches, &ann, 20, 5000);
    assert_int_equal(reaches_find(&reaches, &ann, 5000), 10);
    assert_int_equal(reaches_find(&reaches, &ann, 999 + REACH_KEEP_MS), 10);
    assert_int_equal(reaches_find(&reaches, &ann, 1000 + REACH_KEEP_MS), 20);
    assert_int_equal(reaches_find(&reaches, &ann, 5000 + REACH_KEEP_MS), UINT64_MAX);
    reaches_put(&reaches, &ann, 5, 6000); /* later and less: what was before does not matter */
    assert_int_equal(reaches_find(&reaches, &ann, 5999 + REACH_KEEP_MS), 5);
    assert_int_equal(reaches_find(&reaches, &ann, 6000 + REACH_KEEP_MS), UINT64_MAX);
    reaches_deinit(&reaches);
}

/* Whoever comes and goes all the time: never more is claimed to have arrived than had. */
static void many_goings_are_merged_on_the_safe_side(void **state)
{
    struct reaches reaches;

    (void)state;
    reaches_init(&reaches);
    for (uint64_t i = 1; i <= 100; i++) {
        uint64_t now_ms = i * 60000, found;
        uint64_t oldest = i > 10 ? i - 9 : 1;

        reaches_put(&reaches, &ann, i, now_ms);
        found = reaches_find(&reaches, &ann, now_ms);
        assert_true(found <= oldest);
    }
    assert_int_equal(reaches.notes.count, 1);
    assert_true(reaches_find(&reaches, &ann, 100 * 60000) > 0);
    assert_int_equal(reaches_find(&reaches, &ann, 100 * 60000 + REACH_KEEP_MS), UINT64_MAX);
    reaches_deinit(&reaches);
}

static void the_longest_gone_are_forgotten_first(void **state)
{
    struct reaches reaches;
    char user[16];
    struct reach_key key = {SLICE_LIT("p"), SLICE_LIT("r"), {0}};

    (void)state;
    reaches_init(&reaches);
    reaches_put(&reaches, &ann, 1, 1);
    for (unsigned i = 0; i < REACH_NOTES_MAX; i++) {
        (void)snprintf(user, sizeof(user), "u%u", i);
        key.user = slice_str(user);
        reaches_put(&reaches, &key, i + 2, 2);
    }
    assert_int_equal(reaches.notes.count, REACH_NOTES_MAX);
    assert_int_equal(reaches_find(&reaches, &ann, 2), UINT64_MAX);
    assert_int_equal(reaches_find(&reaches, &key, 2), REACH_NOTES_MAX + 1);
    for (unsigned i = 0; i < REACH_NOTES_MAX / REACH_PRUNE; i++) {
        assert_true(reaches.notes.count > 0);
        reaches_prune(&reaches, 1 + REACH_KEEP_MS); /* too early */
        reaches_prune(&reaches, 2 + REACH_KEEP_MS);
    }
    assert_int_equal(reaches.notes.count, 0);
    reaches_deinit(&reaches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_user_of_each_room_of_each_project_has_a_place),
        cmocka_unit_test(the_smallest_counts_each_for_its_time),
        cmocka_unit_test(many_goings_are_merged_on_the_safe_side),
        cmocka_unit_test(the_longest_gone_are_forgotten_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
