/* test_seq_marks.c - which number a room was at, at some time. */
#include "tests/support/test.h"

#include "shard/room/seq_marks.h"

static void nothing_is_known_of_what_was_before_the_first_mark(void **state)
{
    struct seq_marks marks = {0};

    (void)state;
    assert_int_equal(seq_marks_at(&marks, 1000), 0);
    seq_marks_put(&marks, 1000, 7);
    assert_int_equal(seq_marks_at(&marks, 999), 0);
    assert_int_equal(seq_marks_at(&marks, 1000), 7);
    assert_int_equal(seq_marks_at(&marks, INT64_MAX), 7);
}

static void times_before_the_zero_of_the_clock_count(void **state)
{
    struct seq_marks marks = {0};

    (void)state;
    seq_marks_put(&marks, -90000, 3);
    seq_marks_put(&marks, 100, 4);
    assert_int_equal(seq_marks_at(&marks, -80000), 3);
    assert_int_equal(seq_marks_at(&marks, -90001), 0);
    assert_int_equal(seq_marks_at(&marks, 100), 4);
}

/* The answer is never above the truth, and at most two pauses below it. */
static void a_bound_from_below_over_the_whole_span(void **state)
{
    struct seq_marks marks = {0};
    const int64_t step_ms = 700, n = 1000;
    const int64_t span_ms = OLD_CLIENT_DOUBT_MS;

    (void)state;
    for (int64_t i = 1; i <= n; i++)
        seq_marks_put(&marks, i * step_ms, (uint64_t)i);
    for (int64_t at = n * step_ms; at >= n * step_ms - span_ms; at -= 50) {
        int64_t truth = at / step_ms;
        int64_t said = (int64_t)seq_marks_at(&marks, at);

        assert_true(said <= truth);
        assert_true(said >= truth - 2 * SEQ_MARKS_APART_MS / step_ms);
    }
}

/* Bursts that are a little less and a little more apart than marks are. */
static void bursts_are_told_apart_and_do_not_use_the_marks_up(void **state)
{
    struct seq_marks marks = {0};
    int64_t end_ms = 0;
    uint64_t seq = 0;

    (void)state;
    for (int64_t i = 0; i < 1000; i++) {
        end_ms += i % 2 ? SEQ_MARKS_APART_MS - 150 : 150;
        seq_marks_put(&marks, end_ms, ++seq);
    }
    assert_true(seq_marks_at(&marks, end_ms - OLD_CLIENT_DOUBT_MS) > 0);
    for (int64_t back_ms = 0; back_ms < OLD_CLIENT_DOUBT_MS; back_ms += SEQ_MARKS_APART_MS)
        assert_true(seq_marks_at(&marks, end_ms - back_ms) >=
                    seq - 2 * (uint64_t)back_ms / SEQ_MARKS_APART_MS - 4);
    seq_marks_put(&marks, end_ms + 60000, seq + 1);
    assert_int_equal(seq_marks_at(&marks, end_ms + 59999), seq);
}

/* After a burst there is no mark of its end; that all was quiet since is known. */
static void the_last_of_a_burst_is_known(void **state)
{
    struct seq_marks marks = {0};

    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        seq_marks_put(&marks, (int64_t)i, i);
    assert_int_equal(seq_marks_at(&marks, 99), 1);
    assert_int_equal(seq_marks_at(&marks, 100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_of_what_was_before_the_first_mark),
        cmocka_unit_test(times_before_the_zero_of_the_clock_count),
        cmocka_unit_test(a_bound_from_below_over_the_whole_span),
        cmocka_unit_test(bursts_are_told_apart_and_do_not_use_the_marks_up),
        cmocka_unit_test(the_last_of_a_burst_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
