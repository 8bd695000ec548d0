/* test_limiter.c - message rates: burst, refill, ways, refund, forgetting. */
#include "tests/support/test.h"

#include "shard/room/limiter.h"

#define ANN SLICE_LIT("ann")

static void burst_then_one_a_second(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, 60);
    for (int i = 0; i < 60; i++)
        assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 5000), 0);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 5000), 1000);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 5400), 600);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_REST, 5000), 0);
    assert_int_equal(limiter_take(&l, SLICE_LIT("bob"), LIMITER_SOCKET, 5000), 0);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 6000), 0);
    assert_true(limiter_take(&l, ANN, LIMITER_SOCKET, 6000) > 0);
    limiter_deinit(&l);
}

static void refund_gives_one_back_and_never_more_than_the_burst(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, 2);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 0), 0);
    limiter_refund(&l, ANN, LIMITER_SOCKET, 0);
    limiter_refund(&l, ANN, LIMITER_SOCKET, 0);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 0), 0);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 0), 0);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 0), 30000);
    limiter_deinit(&l);
}

static void full_buckets_are_forgotten(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, 60);
    assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 1000), 0);
    assert_int_equal(l.by_user.count, 1);
    limiter_prune(&l, 1999);
    assert_int_equal(l.by_user.count, 1);
    limiter_prune(&l, 2000);
    assert_int_equal(l.by_user.count, 0);
    limiter_deinit(&l);
}

static void zero_means_no_limit(void **state)
{
    struct limiter l;

    (void)state;
    limiter_init(&l, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(limiter_take(&l, ANN, LIMITER_SOCKET, 1), 0);
    assert_int_equal(l.by_user.count, 0);
    limiter_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_one_a_second),
        cmocka_unit_test(refund_gives_one_back_and_never_more_than_the_burst),
        cmocka_unit_test(full_buckets_are_forgotten),
        cmocka_unit_test(zero_means_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
