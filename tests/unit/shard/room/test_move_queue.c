/* test_move_queue.c - the busiest first, at most so many at a time. */
#include "tests/support/test.h"

#include "shard/room/move_queue.h"

#define N 8

static struct move_queue queue;
static struct move_node nodes[N];

static int setup(void **state)
{
    (void)state;
    move_queue_init(&queue, 3, 3);
    for (size_t i = 0; i < N; i++)
        move_node_init(&nodes[i]);
    return 0;
}

/* The index of the next one, or -1; its place in *ret_number. */
static int next(uint64_t now_ms, uint64_t *ret_number)
{
    uint64_t number = 0;
    struct move_node *node = move_queue_next(&queue, now_ms, &number);

    if (ret_number)
        *ret_number = number;
    return node ? (int)(node - nodes) : -1;
}

static void the_busiest_go_first_and_equals_in_their_order(void **state)
{
    static const uint32_t heats[N] = {0, 1000, UINT32_MAX, 0, 1, 1023, 70000, 0};
    static const int want[N] = {2, 6, 1, 5, 4, 0, 3, 7};
    uint64_t number;

    (void)state;
    for (size_t i = 0; i < N; i++)
        move_queue_add(&queue, &nodes[i], heats[i]);
    assert_int_equal(queue.n_waiting, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(next(i, &number), want[i]);
        assert_false(move_is_waiting(&nodes[want[i]]));
        assert_int_equal(move_queue_done(&queue, number), i);
    }
    assert_int_equal(queue.n_waiting, 0);
    assert_int_equal(next(0, NULL), -1);
}

static void no_more_than_there_are_places(void **state)
{
    uint64_t numbers[3], number;

    (void)state;
    for (size_t i = 0; i < N; i++)
        move_queue_add(&queue, &nodes[i], 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(next(100 + i, &numbers[i]), i);
    assert_int_equal(next(200, NULL), -1);
    assert_int_equal(queue.n_taken, 3);
    assert_int_equal(move_queue_oldest_ms(&queue), 100);

    assert_int_equal(move_queue_done(&queue, numbers[0]), 100);
    assert_int_equal(move_queue_done(&queue, numbers[0]), UINT64_MAX); /* twice is once */
    assert_int_equal(move_queue_done(&queue, 0), UINT64_MAX);
    assert_int_equal(move_queue_done(&queue, 12345), UINT64_MAX);
    assert_int_equal(move_queue_oldest_ms(&queue), 101);
    assert_int_equal(next(200, &number), 3);
    assert_int_not_equal(number, numbers[0]); /* a late answer frees nobody else's place */
    assert_int_equal(next(200, NULL), -1);
}

static void places_fall_due_in_their_order(void **state)
{
    uint64_t first, second;

    (void)state;
    move_queue_add(&queue, &nodes[0], 0);
    move_queue_add(&queue, &nodes[1], 0);
    next(100, &first);
    next(150, &second);
    assert_int_equal(move_queue_overdue(&queue, 99), 0);
    assert_int_equal(move_queue_overdue(&queue, 100), first);
    move_queue_done(&queue, first);
    assert_int_equal(move_queue_overdue(&queue, 149), 0);
    assert_int_equal(move_queue_overdue(&queue, 150), second);
    move_queue_done(&queue, second);
    assert_int_equal(move_queue_overdue(&queue, UINT64_MAX), 0);
    assert_int_equal(move_queue_oldest_ms(&queue), UINT64_MAX);
}

static void who_stays_after_all_leaves_the_queue(void **state)
{
    (void)state;
    move_queue_add(&queue, &nodes[0], 5);
    move_queue_add(&queue, &nodes[1], 5);
    move_queue_add(&queue, &nodes[0], 9); /* waits already */
    assert_int_equal(queue.n_waiting, 2);
    move_queue_remove(&queue, &nodes[0]);
    move_queue_remove(&queue, &nodes[0]);
    assert_int_equal(queue.n_waiting, 1);
    assert_int_equal(next(0, NULL), 1);
    move_queue_add(&queue, &nodes[0], 5); /* and may come again */
    assert_int_equal(next(0, NULL), 0);
}

static void places_follow_what_moves_take(void **state)
{
    uint64_t numbers[N], late;

    (void)state;
    move_queue_init(&queue, 2, 5);
    for (size_t i = 0; i < N; i++)
        move_queue_add(&queue, &nodes[i], 0);
    next(0, &numbers[0]);
    next(0, &numbers[1]);
    assert_int_equal(next(0, NULL), -1);

    for (size_t i = 0; i < 6; i++) /* one more for each that is fast, up to five */
        move_queue_pace(&queue, numbers[0], true);
    for (size_t i = 2; i < 5; i++)
        assert_int_equal(next(0, &numbers[i]), i);
    assert_int_equal(next(0, NULL), -1);

    move_queue_pace(&queue, numbers[4], false); /* half of them, and never less than two */
    move_queue_pace(&queue, numbers[3], false); /* was under way when they were taken away */
    assert_int_equal(move_queue_done(&queue, numbers[0]), 0);
    assert_int_equal(move_queue_done(&queue, numbers[1]), 0);
    assert_int_equal(move_queue_done(&queue, numbers[2]), 0);
    assert_int_equal(next(7, NULL), -1); /* two are still out */
    assert_int_equal(move_queue_oldest_ms(&queue), 0);
    assert_int_equal(move_queue_done(&queue, numbers[3]), 0);
    assert_int_equal(move_queue_done(&queue, numbers[4]),
                     0); /* beyond the places that are left */
    assert_int_equal(next(8, &late), 5);
    move_queue_pace(&queue, late, false);
    move_queue_pace(&queue, late, true);
    assert_int_equal(queue.n_places, 3);
    move_queue_forget_pace(&queue);
    assert_int_equal(queue.n_places, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_busiest_go_first_and_equals_in_their_order, setup),
        cmocka_unit_test_setup(no_more_than_there_are_places, setup),
        cmocka_unit_test_setup(places_fall_due_in_their_order, setup),
        cmocka_unit_test_setup(places_follow_what_moves_take, setup),
        cmocka_unit_test_setup(who_stays_after_all_leaves_the_queue, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
