/* test_pg_clock.c - the offset of PostgreSQL's clock, from answers that took their time. */
#include "shard/store/pg_clock.h"

#include "tests/support/test.h"

#define S INT64_C(1000000)

static void the_first_answer_counts(void **state)
{
    struct pg_clock clock = {0};

    (void)state;
    assert_true(pg_clock_take(&clock, 1000 * S, 1005 * S, 1002 * S));
    assert_int_equal(clock.offset_us, 4 * S);
    assert_int_equal(clock.error_us, 1 * S + 1);
    assert_int_equal(clock.at_us, 1002 * S);
}

static void a_quicker_one_is_better_and_a_slower_one_is_not(void **state)
{
    struct pg_clock clock = {0};

    (void)state;
    assert_true(pg_clock_take(&clock, 100 * S, 100 * S + 90000, 100 * S + 100000));
    assert_int_equal(clock.offset_us, 40000);
    assert_true(pg_clock_take(&clock, 101 * S, 101 * S + 1500, 101 * S + 2000));
    assert_int_equal(clock.offset_us, 500);
    assert_false(pg_clock_take(&clock, 102 * S, 102 * S + 40000, 102 * S + 50000));
    assert_int_equal(clock.offset_us, 500);
}

static void after_a_while_the_clocks_may_have_drifted(void **state)
{
    struct pg_clock clock = {0};

    (void)state;
    assert_true(pg_clock_take(&clock, 100 * S, 100 * S, 100 * S + 2000));
    /* 24.5 ms: more than 1 ms and what clocks drift in 200 s, less than with that of 300 s. */
    assert_false(pg_clock_take(&clock, 300 * S, 301 * S, 300 * S + 49000));
    assert_true(pg_clock_take(&clock, 400 * S, 401 * S, 400 * S + 49000));
    assert_int_equal(clock.offset_us, 1 * S - 24500);
}

static void an_answer_before_its_question_took_no_time(void **state)
{
    struct pg_clock clock = {0};

    (void)state;
    assert_true(pg_clock_take(&clock, 100 * S, 90 * S, 99 * S));
    assert_int_equal(clock.offset_us, -10 * S);
    assert_int_equal(clock.error_us, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_answer_counts),
        cmocka_unit_test(a_quicker_one_is_better_and_a_slower_one_is_not),
        cmocka_unit_test(after_a_while_the_clocks_may_have_drifted),
        cmocka_unit_test(an_answer_before_its_question_took_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
