/* test_tail.c - the newest entries of a room: order, bounds, look-up. */
#include "tests/support/test.h"

#include "shard/room/tail.h"

static void push(struct tail *tail, uint64_t seq, const char *content)
{
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .seq = seq,
                         .updated_seq = seq,
                         .user = SLICE_LIT("ann"),
                         .content = slice_str(content)};
    struct entry *e;

    memcpy(from.dedupe, &seq, sizeof(seq));
    e = entry_new(&from);
    assert_non_null(e);
    tail_push(tail, e);
    entry_unref(e);
}

static struct entry *find(const struct tail *tail, uint64_t seq)
{
    uint8_t dedupe[DEDUPE_LEN] = {0};

    memcpy(dedupe, &seq, sizeof(seq));
    return tail_find(tail, dedupe);
}

static void keeps_the_newest_in_order(void **state)
{
    struct tail tail;

    (void)state;
    tail_init(&tail, 100, 1 << 20, 7);
    assert_true(tail_covers(&tail, 7));
    assert_false(tail_covers(&tail, 6));
    for (uint64_t seq = 8; seq < 308; seq++)
        push(&tail, seq, "x");
    assert_int_equal(tail.count, 100);
    assert_int_equal(tail.floor, 207);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(tail_at(&tail, i)->seq, 208 + i);
    assert_true(tail_covers(&tail, 207));
    assert_false(tail_covers(&tail, 206));
    tail_deinit(&tail);
}

static void finds_by_dedupe_key_until_dropped(void **state)
{
    struct tail tail;

    (void)state;
    tail_init(&tail, 50, 1 << 20, 0);
    assert_null(find(&tail, 1));
    for (uint64_t seq = 1; seq <= 200; seq++) {
        push(&tail, seq, "x");
        assert_int_equal(find(&tail, seq)->seq, seq);
    }
    for (uint64_t seq = 1; seq <= 200; seq++)
        assert_true((find(&tail, seq) != NULL) == (seq > 150));
    tail_deinit(&tail);
}

static void index_after_a_seq(void **state)
{
    struct tail tail;

    (void)state;
    tail_init(&tail, 4, 1 << 20, 10);
    assert_int_equal(tail_index_after(&tail, 10), 0);
    for (uint64_t seq = 11; seq <= 16; seq++) /* 13..16 stay */
        push(&tail, seq, "x");
    assert_int_equal(tail_index_after(&tail, 1), 0);
    assert_int_equal(tail_index_after(&tail, 12), 0);
    assert_int_equal(tail_index_after(&tail, 13), 1);
    assert_int_equal(tail_index_after(&tail, 15), 3);
    assert_int_equal(tail_index_after(&tail, 16), 4);
    assert_int_equal(tail_index_after(&tail, 99), 4);
    tail_deinit(&tail);
}

static void bytes_are_bounded_but_the_newest_stays(void **state)
{
    char big[2000];
    struct tail tail;

    (void)state;
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    tail_init(&tail, 100, 5000, 0);
    for (uint64_t seq = 1; seq <= 10; seq++)
        push(&tail, seq, big);
    assert_true(tail.bytes <= 5000);
    assert_int_equal(tail.count, 2);
    assert_int_equal(tail.floor, 8);
    tail_deinit(&tail);
    tail_init(&tail, 100, 100, 0); /* one entry alone is over the bound */
    push(&tail, 1, big);
    push(&tail, 2, big);
    assert_int_equal(tail.count, 1);
    assert_int_equal(tail_at(&tail, 0)->seq, 2);
    tail_deinit(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest_in_order),
        cmocka_unit_test(finds_by_dedupe_key_until_dropped),
        cmocka_unit_test(index_after_a_seq),
        cmocka_unit_test(bytes_are_bounded_but_the_newest_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
