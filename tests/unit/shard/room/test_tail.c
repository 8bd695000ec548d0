/* test_tail.c - the newest entries of a room: order, bounds, look-up. */
#include <stdio.h>

#include "tests/support/test.h"

#include "shard/room/tail.h"

static void touch(struct tail *tail, uint64_t seq, uint64_t updated_seq, const char *content)
{
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .seq = seq,
                         .updated_seq = updated_seq,
                         .id = 100 + (int64_t)seq,
                         .user = SLICE_LIT("ann"),
                         .content = slice_str(content)};
    struct entry *e;

    memcpy(from.dedupe, &seq, sizeof(seq));
    e = entry_new(&from);
    assert_non_null(e);
    tail_put(tail, e);
    entry_unref(e);
}

static void push(struct tail *tail, uint64_t seq, const char *content)
{
    touch(tail, seq, seq, content);
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
    tail_init(&tail, 100, 1 << 20, 7, 7);
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
    tail_init(&tail, 50, 1 << 20, 0, 0);
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
    tail_init(&tail, 4, 1 << 20, 10, 10);
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
    tail_init(&tail, 100, 5000, 0, 0);
    for (uint64_t seq = 1; seq <= 10; seq++)
        push(&tail, seq, big);
    assert_true(tail.bytes <= 5000);
    assert_int_equal(tail.count, 2);
    assert_int_equal(tail.floor, 8);
    tail_deinit(&tail);
    tail_init(&tail, 100, 100, 0, 0); /* one entry alone is over the bound */
    push(&tail, 1, big);
    push(&tail, 2, big);
    assert_int_equal(tail.count, 1);
    assert_int_equal(tail_at(&tail, 0)->seq, 2);
    tail_deinit(&tail);
}

static void check_touched(const struct tail *tail, uint64_t after, const char *want)
{
    char got[256] = "";

    for (uint32_t at = tail_touched_after(tail, after); at != TAIL_NONE;
         at = tail_next(tail, at)) {
        const struct entry *e = tail_touched(tail, at);

        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%d:%d", got[0] ? " " : "",
                 (int)e->updated_seq, (int)e->seq);
    }
    assert_string_equal(got, want);
}

static void a_changed_entry_stands_last_by_touch_and_in_its_place_by_seq(void **state)
{
    struct tail tail;

    (void)state;
    tail_init(&tail, 100, 1 << 20, 0, 0);
    for (uint64_t seq = 1; seq <= 4; seq++)
        push(&tail, seq, "x");
    touch(&tail, 2, 5, "changed");
    push(&tail, 6, "x");
    touch(&tail, 2, 7, "again");
    check_touched(&tail, 0, "1:1 3:3 4:4 6:6 7:2");
    check_touched(&tail, 4, "6:6 7:2");
    check_touched(&tail, 6, "7:2");
    check_touched(&tail, 7, "");
    assert_int_equal(tail.count, 5);
    for (size_t i = 1; i < tail.count; i++)
        assert_true(tail_at(&tail, i)->seq > tail_at(&tail, i - 1)->seq);
    assert_true(slice_eq_str(tail_find_seq(&tail, 2)->content, "again"));
    assert_true(slice_eq_str(tail_find_id(&tail, 102)->content, "again"));
    assert_true(slice_eq_str(find(&tail, 2)->content, "again"));
    assert_null(tail_find_seq(&tail, 5));
    assert_null(tail_find_id(&tail, 105));
    tail_deinit(&tail);
}

static void what_was_touched_longest_ago_goes_first(void **state)
{
    struct tail tail;

    (void)state;
    tail_init(&tail, 4, 1 << 20, 0, 0);
    for (uint64_t seq = 1; seq <= 4; seq++)
        push(&tail, seq, "x");
    touch(&tail, 1, 5, "changed");
    push(&tail, 6, "x"); /* 2 goes */
    check_touched(&tail, 0, "3:3 4:4 5:1 6:6");
    assert_int_equal(tail.floor, 2);
    assert_int_equal(tail.seq_floor, 2);
    assert_true(tail_covers(&tail, 2));
    assert_false(tail_covers(&tail, 1));
    assert_true(tail_has_seqs(&tail, 2));
    assert_false(tail_has_seqs(&tail, 1)); /* 1 is here, 2 is not */
    tail_deinit(&tail);
}

static void an_older_entry_comes_in_when_it_changes(void **state)
{
    struct tail tail;

    (void)state;
    tail_init(&tail, 4, 1 << 20, 10, 10);
    push(&tail, 11, "x");
    touch(&tail, 5, 12, "old");
    push(&tail, 13, "x");
    check_touched(&tail, 10, "11:11 12:5 13:13");
    assert_int_equal(tail_at(&tail, 0)->seq, 5);
    assert_int_equal(tail_index_after(&tail, tail.seq_floor), 1);
    assert_true(tail_covers(&tail, 10));
    push(&tail, 14, "x");
    push(&tail, 15, "x"); /* 11 goes */
    assert_int_equal(tail.floor, 11);
    assert_int_equal(tail.seq_floor, 11);
    push(&tail, 16, "x"); /* 5, touched at 12, goes */
    assert_int_equal(tail.floor, 12);
    assert_int_equal(tail.seq_floor, 11);
    tail_deinit(&tail);
}

static void random_touches_keep_both_orders(void **state)
{
    enum { SEQS = 3000, MAX = 64 };
    static uint64_t updated[SEQS + 1];
    struct tail tail;
    unsigned r = 7;

    (void)state;
    memset(updated, 0, sizeof(updated));
    tail_init(&tail, MAX, 1 << 20, 0, 0);
    for (uint64_t seq = 1; seq <= SEQS; seq++) {
        uint64_t target = seq;

        r = r * 1103515245u + 12345u;
        if ((r >> 16) % 3 == 0 && seq > 1) {
            target = 1 + (r >> 8) % (seq - 1);
            if (updated[target] == 0)
                target = seq;
        }
        updated[target] = seq;
        touch(&tail, target, seq, "x");
        assert_true(tail.count <= MAX);
        for (uint64_t s = 1; s <= seq && seq % 50 == 0; s++) {
            struct entry *e = tail_find_seq(&tail, s);
            bool is_owed = updated[s] > 0 && (updated[s] > tail.floor || s > tail.seq_floor);

            assert_true(!is_owed || e);
            if (e)
                assert_int_equal(e->updated_seq, updated[s]);
        }
    }
    tail_deinit(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest_in_order),
        cmocka_unit_test(finds_by_dedupe_key_until_dropped),
        cmocka_unit_test(index_after_a_seq),
        cmocka_unit_test(bytes_are_bounded_but_the_newest_stays),
        cmocka_unit_test(a_changed_entry_stands_last_by_touch_and_in_its_place_by_seq),
        cmocka_unit_test(what_was_touched_longest_ago_goes_first),
        cmocka_unit_test(an_older_entry_comes_in_when_it_changes),
        cmocka_unit_test(random_touches_keep_both_orders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
