/* test_heat.c - how busy a room is. */
#include "tests/support/test.h"

#include "shard/room/heat.h"

static void it_fades_by_half(void **state)
{
    struct heat heat = {0};

    (void)state;
    assert_int_equal(heat_now(&heat, 5000), 0);
    heat_add(&heat, 5000);
    heat_add(&heat, 5000);
    assert_int_equal(heat_now(&heat, 5000), 2 * HEAT_UNIT);
    assert_in_range(heat_now(&heat, 5000 + HEAT_HALF_MS), HEAT_UNIT, HEAT_UNIT);
    assert_in_range(heat_now(&heat, 5000 + 3 * HEAT_HALF_MS), HEAT_UNIT / 4, HEAT_UNIT / 4);
    assert_int_equal(heat_now(&heat, 5000 + 64 * HEAT_HALF_MS), 0);
    assert_int_equal(heat_now(&heat, UINT64_MAX), 0);
}

/* Small steps must not keep it from fading. */
static void it_settles_where_what_comes_is_what_fades(void **state)
{
    struct heat slow = {0}, fast = {0};
    uint64_t now_ms = 1000;

    (void)state;
    for (unsigned i = 0; i < 10000; i++, now_ms += 10) {
        heat_add(&fast, now_ms);
        if (i % 10 == 0)
            heat_add(&slow, now_ms);
    }
    assert_in_range(heat_now(&fast, now_ms), 200 * HEAT_UNIT, 410 * HEAT_UNIT);
    assert_in_range(heat_now(&slow, now_ms), 20 * HEAT_UNIT, 41 * HEAT_UNIT);
}

static void it_does_not_run_over(void **state)
{
    struct heat heat = {.at_ms = 5, .value = UINT32_MAX - 1};

    (void)state;
    heat_add(&heat, 5);
    assert_int_equal(heat_now(&heat, 5), UINT32_MAX);
    heat_add(&heat, 3); /* a clock never goes back; if it did, nothing would break */
    assert_int_equal(heat_now(&heat, 5), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fades_by_half),
        cmocka_unit_test(it_settles_where_what_comes_is_what_fades),
        cmocka_unit_test(it_does_not_run_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
