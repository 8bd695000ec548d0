/* test_ratelim.c - the token bucket: bursts, refill, skew of the clock, extremes. */
#include "common/base/ratelim.h"

#include "tests/support/test.h"

#define T0 UINT64_C(1000000)

static void burst_then_steady_rate(void **state)
{
    struct ratelim_rule rule = ratelim_rule(60, 60000); /* one a second */
    struct ratelim limit = {0};
    uint64_t retry = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        assert_int_equal(ratelim_left(&limit, &rule, T0), 60 - i);
        assert_true(ratelim_take(&limit, &rule, T0, 1, &retry));
    }
    assert_int_equal(ratelim_left(&limit, &rule, T0), 0);
    assert_false(ratelim_take(&limit, &rule, T0, 1, &retry));
    assert_int_equal(retry, 1000);
    assert_false(ratelim_take(&limit, &rule, T0 + 999, 1, &retry));
    assert_int_equal(retry, 1);
    assert_true(ratelim_take(&limit, &rule, T0 + 1000, 1, &retry));
    assert_false(ratelim_take(&limit, &rule, T0 + 1000, 1, NULL));
    assert_false(ratelim_is_idle(&limit, T0 + 60999));
    assert_true(ratelim_is_idle(&limit, T0 + 61000));
    assert_int_equal(ratelim_left(&limit, &rule, T0 + 61000), 60);
}

static void takes_all_or_nothing(void **state)
{
    struct ratelim_rule rule = ratelim_rule(10, 1000);
    struct ratelim limit = {0};
    uint64_t retry;

    (void)state;
    assert_true(ratelim_take(&limit, &rule, T0, 7, NULL));
    assert_false(ratelim_take(&limit, &rule, T0, 4, &retry));
    assert_int_equal(retry, 100);
    assert_true(ratelim_take(&limit, &rule, T0, 3, NULL)); /* the refusal has cost nothing */
}

static void clock_that_goes_back_costs_one_bucket_at_most(void **state)
{
    struct ratelim_rule rule = ratelim_rule(10, 1000);
    struct ratelim limit = {0};
    uint64_t retry;

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(ratelim_take(&limit, &rule, T0 + 3600000, 1, NULL));
    assert_false(ratelim_take(&limit, &rule, T0, 1, &retry)); /* an hour back */
    assert_int_equal(retry, 100);
    assert_int_equal(ratelim_left(&limit, &rule, T0), 0);
    assert_true(ratelim_take(&limit, &rule, T0 + 100, 1, NULL));
    assert_int_equal(ratelim_left(&limit, &rule, T0 + 1100), 10);

    limit.full_us = UINT64_MAX; /* garbage */
    assert_false(ratelim_take(&limit, &rule, T0, 1, NULL));
    assert_true(ratelim_take(&limit, &rule, T0 + 100, 1, NULL));
}

static void clock_that_jumps_ahead_gives_one_bucket_at_most(void **state)
{
    struct ratelim_rule rule = ratelim_rule(10, 1000);
    struct ratelim limit = {0};
    int taken = 0;

    (void)state;
    assert_true(ratelim_take(&limit, &rule, T0, 1, NULL));
    while (ratelim_take(&limit, &rule, T0 + (UINT64_C(1) << 40), 1, NULL))
        taken++;
    assert_int_equal(taken, 10);
}

static void long_run_keeps_to_the_rate(void **state)
{
    struct ratelim_rule rule = ratelim_rule(30, 60000);
    struct ratelim limit = {0};
    int taken = 0;

    (void)state;
    for (uint64_t now = T0; now < T0 + 10 * 60000; now += 7)
        taken += ratelim_take(&limit, &rule, now, 1, NULL);
    assert_in_range(taken, 30 + 299,
                    30 + 300); /* a full bucket, then 30 a minute for ten minutes */
}

static void no_limit_and_fast_limits(void **state)
{
    struct ratelim_rule none = ratelim_rule(0, 60000);
    struct ratelim_rule fast =
        ratelim_rule(5000000, 1000); /* faster than its clock can tell apart */
    struct ratelim limit = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(ratelim_take(&limit, &none, T0, 1, NULL));
    assert_true(ratelim_left(&limit, &none, T0) == UINT64_MAX);
    assert_true(ratelim_take(&limit, &fast, T0, 5000000, NULL));
    assert_false(ratelim_take(&limit, &fast, T0, 1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_steady_rate),
        cmocka_unit_test(takes_all_or_nothing),
        cmocka_unit_test(clock_that_goes_back_costs_one_bucket_at_most),
        cmocka_unit_test(clock_that_jumps_ahead_gives_one_bucket_at_most),
        cmocka_unit_test(long_run_keeps_to_the_rate),
        cmocka_unit_test(no_limit_and_fast_limits),
    };

    return cmocka_run_group_tests_name("ratelim", tests, NULL, NULL);
}
