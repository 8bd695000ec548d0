/* test_number.c - createdAt: unique, rising, never far ahead of the clock. */
#include "shard/commit/committer.h"
#include "tests/support/test.h"

#define T INT64_C(1700000000000000)

static const struct {
    const char *name;
    int64_t last_us, now_us, want_us;
} cases[] = {
    {"first in the room", 0, T, T},
    {"clock in whole milliseconds", 0, T + 999, T},
    {"clock has moved", T, T + 5000, T + 5000},
    {"clock has moved within the millisecond", T, T + 900, T + 1000},
    {"clock stands", T, T, T + 1000},
    {"ahead by 48 ms", T + 48000, T, T + 49000},
    {"ahead by 49 ms", T + 49000, T, T + 49001},
    {"microseconds go on", T + 49001, T, T + 49002},
    {"back to milliseconds when the clock has caught up", T + 49002, T + 10000, T + 50000},
    {"clock passes microseconds", T + 49002, T + 50000, T + 50000},
    {"clock jumped back an hour", T, T - 3600000000, T + 1},
    {"last has microseconds, clock in the same millisecond", T + 7, T + 500, T + 1000},
};

static void created_at_rises_and_stays_near_the_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK_EQ(commit_next_created_us(cases[i].last_us, cases[i].now_us), cases[i].want_us,
                 cases[i].name);
}

static void a_burst_runs_ahead_by_less_than_50_ms(void **state)
{
    int64_t last = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t now = T + i; /* a message per microsecond */
        int64_t next = commit_next_created_us(last, now);

        assert_true(next > last);
        assert_true(next - now < 60000);
        last = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(created_at_rises_and_stays_near_the_clock),
        cmocka_unit_test(a_burst_runs_ahead_by_less_than_50_ms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
