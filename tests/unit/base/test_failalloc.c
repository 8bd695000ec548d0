/* test_failalloc.c - every allocation of the base containers may fail: no crash, no leak, an
 * honest answer. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/base/timers.h"
#include "tests/support/failalloc.h"
#include "tests/support/test.h"

static void use_buf(void *arg)
{
    AUTO_BUF buf = BUF_INIT;
    struct blob *blob;

    (void)arg;
    for (int i = 0; i < 1000; i++)
        buf_put_str(&buf, "0123456789");
    blob = buf_to_blob(&buf);
    assert_int_equal(blob == NULL, failalloc_has_failed());
    if (!blob)
        return;
    assert_int_equal(blob->len, 10000);
    blob_unref(blob);
}

static void use_slice(void *arg)
{
    char *copy = slice_dup(SLICE_LIT("copy"));

    (void)arg;
    assert_int_equal(copy == NULL, failalloc_has_failed());
    free(copy);
}

static bool node_eq(const struct map_node *node, const void *key)
{
    return node == key;
}

static void use_map(void *arg)
{
    static struct map_node nodes[200];
    struct map map;

    (void)arg;
    map_init(&map);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        int r = map_insert(&map, &nodes[i], hash_u64(i));

        assert_true(r == 0 ||
                    (r == -ENOMEM && i == 0)); /* growth may be put off, never refused */
        if (r < 0) {
            assert_null(map_find(&map, hash_u64(0), node_eq, &nodes[0]));
            return;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        assert_ptr_equal(map_find(&map, hash_u64(i), node_eq, &nodes[i]), &nodes[i]);
    map_deinit(&map);
}

static void never(struct timer *timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static void use_timers(void *arg)
{
    static struct timer all[100];
    struct timers timers;

    (void)arg;
    timers_init(&timers);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int r;

        timer_init(&all[i], never, NULL);
        r = timer_set(&timers, &all[i], 1000 - i);
        assert_int_equal(timer_is_armed(&all[i]), r == 0);
        assert_int_equal(r, failalloc_has_failed() && r ? -ENOMEM : 0);
        if (r == 0)
            assert_int_equal(timer_set(&timers, &all[i], 2000 - i),
                             0); /* re-arming needs no memory */
    }
    timers_deinit(&timers);
}

static void containers_survive(void **state)
{
    (void)state;
    assert_true(failalloc_run(use_buf, NULL) > 5);
    assert_int_equal(failalloc_run(use_slice, NULL), 2);
    assert_true(failalloc_run(use_map, NULL) > 4);
    assert_true(failalloc_run(use_timers, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(containers_survive)};

    return cmocka_run_group_tests_name("failalloc", tests, NULL, NULL);
}
