/* test_fair.c - whose request goes out next. */
#include "tests/support/test.h"

#include "common/base/fair.h"

enum { N = 1000, SHARE = 2 };

static struct fair fair;
static struct fair_item items[N];

static void begin(unsigned share)
{
    memset(items, 0, sizeof(items));
    fair_init(&fair, share);
}

static void push(size_t i, uint64_t tenant)
{
    items[i].tenant = tenant;
    fair_push(&fair, &items[i]);
}

/* Pops and sends; the tenant, or -1. */
static int next(void)
{
    struct fair_item *item = fair_pop(&fair);

    if (!item)
        return -1;
    fair_out(&fair, item->tenant);
    return (int)item->tenant;
}

static void tenants_take_turns_and_each_keeps_its_order(void **state)
{
    (void)state;
    begin(0);
    for (size_t i = 0; i < 100; i++)
        push(i, 1);
    push(100, 2);
    push(101, 3);
    push(102, 2);
    assert_ptr_equal(fair_pop(&fair), &items[0]);
    assert_ptr_equal(fair_pop(&fair), &items[100]);
    assert_ptr_equal(fair_pop(&fair), &items[101]);
    assert_ptr_equal(fair_pop(&fair), &items[1]);
    assert_ptr_equal(fair_pop(&fair), &items[102]);
    for (size_t i = 2; i < 100; i++)
        assert_ptr_equal(fair_pop(&fair), &items[i]);
    assert_null(fair_pop(&fair));
    assert_true(fair_is_empty(&fair));
}

static void a_tenant_has_no_more_than_its_share_out(void **state)
{
    (void)state;
    begin(SHARE);
    for (size_t i = 0; i < 10; i++)
        push(i, 1);
    assert_int_equal(next(), 1);
    assert_int_equal(next(), 1);
    assert_int_equal(next(), -1);
    assert_int_equal(fair.n, 8);
    assert_false(fair_may_go(&fair, 1));
    assert_true(fair_may_go(&fair, 2));
    push(10, 2);
    assert_false(fair_may_go(&fair, 2)); /* behind the one that waits */
    assert_int_equal(next(), 2);
    assert_int_equal(next(), -1);
    fair_back(&fair, 1);
    assert_int_equal(next(), 1);
    assert_int_equal(next(), -1);
    fair_reset(&fair);
    assert_int_equal(next(), 1);
    assert_int_equal(next(), 1);
    assert_int_equal(next(), -1);
}

static void what_is_taken_out_of_the_middle_is_gone(void **state)
{
    struct list drained;
    size_t n = 0;

    (void)state;
    begin(SHARE);
    push(0, 1);
    push(1, 1);
    push(2, 2);
    fair_remove(&fair, &items[0]);
    fair_remove(&fair, &items[2]);
    assert_int_equal(fair.n, 1);
    push(2, 2);
    fair_drain(&fair, &drained);
    for (; !list_empty(&drained); n++)
        list_del(drained.next);
    assert_int_equal(n, 2);
    assert_true(fair_is_empty(&fair));
    assert_int_equal(next(), -1);
}

static void count_first(struct fair_item *item, void *arg)
{
    assert_true(item == &items[0] || item == &items[2]);
    ++*(size_t *)arg;
}

static void the_oldest_of_each_are_found(void **state)
{
    size_t n = 0;

    (void)state;
    begin(1);
    push(0, 7);
    push(1, 7);
    push(2, 8 + (uint64_t)FAIR_SLOTS);
    push(3, 8); /* the same slot */
    fair_each_first(&fair, count_first, &n);
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenants_take_turns_and_each_keeps_its_order),
        cmocka_unit_test(a_tenant_has_no_more_than_its_share_out),
        cmocka_unit_test(what_is_taken_out_of_the_middle_is_gone),
        cmocka_unit_test(the_oldest_of_each_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
