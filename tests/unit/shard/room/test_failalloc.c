/* test_failalloc.c - entries and the tail with every allocation failing in turn: never a hole,
 * never a leak. */
#include "shard/room/tail.h"
#include "shard/room/turnout.h"
#include "tests/support/failalloc.h"
#include "tests/support/test.h"

static struct entry *message(uint64_t seq)
{
    struct entry from = {
        .kind = ENTRY_MESSAGE,
        .seq = seq,
        .updated_seq = seq,
        .user = SLICE_LIT("user"),
        .client_id = SLICE_LIT("c-1"),
        .content = SLICE_LIT("hello"),
    };

    from.dedupe[0] = (uint8_t)seq;
    return entry_new(&from);
}

static void fill_tail(void *arg)
{
    struct tail tail;

    (void)arg;
    tail_init(&tail, 64, 1 << 20, 0, 0);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        AUTO(entry_unref) struct entry *e = message(seq);

        if (!e) {
            assert_true(failalloc_has_failed());
            break;
        }
        CHECK_SLICE(e->content, "hello", "copied");
        tail_put(&tail, e);
        for (size_t i = 1; i < tail.count; i++)
            assert_int_equal(tail_at(&tail, i)->seq, tail_at(&tail, i - 1)->seq + 1);
        assert_true(tail.count == 0 || tail_at(&tail, tail.count - 1)->seq == seq);
        assert_true(tail.count > 0 || failalloc_has_failed());
    }
    tail_deinit(&tail);
}

static void tail_survives(void **state)
{
    (void)state;
    assert_true(failalloc_run(fill_tail, NULL) > 100);
}

/* News that cannot be kept is left out, and then the changes are known not to be all. */
static void come_and_go(void *arg)
{
    static const struct slice users[] = {SLICE_LIT("ann"), SLICE_LIT("bob"), SLICE_LIT("cid")};
    struct turnout t;

    (void)arg;
    turnout_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(users); i++)
        turnout_join(&t, users[i], SLICE_LIT("{}"), SLICE_LIT("{joined}"), NULL);
    assert_int_equal(t.n_notices + t.left_out, ARRAY_LEN(users));
    assert_true(t.is_incomplete ? t.n_changes == 0 : t.n_changes == ARRAY_LEN(users));
    assert_true(failalloc_has_failed() || (!t.is_incomplete && t.left_out == 0));
    turnout_leave(&t, users[0], SLICE_LIT("{left}"));
    turnout_published(&t, 2, 1000);
    assert_int_equal(t.n_changes, 0);
    turnout_deinit(&t);
}

static void turnout_survives(void **state)
{
    (void)state;
    assert_true(failalloc_run(come_and_go, NULL) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tail_survives),
                                       cmocka_unit_test(turnout_survives)};

    return cmocka_run_group_tests_name("room failalloc", tests, NULL, NULL);
}
