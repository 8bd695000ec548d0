/* test_rate_table.c - buckets by key: independent, bounded, the least recently used gives way.
 */
#include "tests/support/test.h"

#include "gateway/api/rate_table.h"

static bool take(struct rate_table *t, uint64_t key, uint64_t n, uint64_t now_ms)
{
    uint64_t left, retry_ms;

    return rate_table_take(t, key, n, now_ms, &left, &retry_ms);
}

static void each_key_has_its_own_bucket(void **state)
{
    struct rate_table t;
    uint64_t left, retry_ms;

    (void)state;
    rate_table_init(&t, ratelim_rule(2, 60000), 10);
    assert_true(rate_table_take(&t, 1, 1, 0, &left, &retry_ms));
    assert_int_equal(left, 1);
    assert_true(take(&t, 1, 1, 0));
    assert_false(rate_table_take(&t, 1, 1, 0, &left, &retry_ms));
    assert_int_equal(left, 0);
    assert_int_equal(retry_ms, 30000);
    assert_true(take(&t, 2, 1, 0));
    assert_true(take(&t, 1, 1, 30000));
    rate_table_deinit(&t);
}

static void asking_takes_nothing(void **state)
{
    struct rate_table t;
    uint64_t left, retry_ms;

    (void)state;
    rate_table_init(&t, ratelim_rule(2, 60000), 10);
    for (int i = 0; i < 5; i++)
        assert_true(rate_table_take(&t, 1, 0, 0, &left, &retry_ms));
    assert_int_equal(left, 2);
    rate_table_deinit(&t);
}

static void the_least_recently_used_bucket_is_forgotten(void **state)
{
    struct rate_table t;

    (void)state;
    rate_table_init(&t, ratelim_rule(1, 60000), 2);
    assert_true(take(&t, 1, 1, 0));
    assert_true(take(&t, 2, 1, 0));
    assert_false(take(&t, 1, 1, 0)); /* used: now 2 is the oldest */
    assert_true(take(&t, 3, 1, 0));
    assert_int_equal(t.map.count, 2);
    assert_false(take(&t, 1, 1, 0));
    assert_true(take(&t, 2, 1, 0)); /* forgotten, so full again */
    rate_table_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_its_own_bucket),
        cmocka_unit_test(asking_takes_nothing),
        cmocka_unit_test(the_least_recently_used_bucket_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
