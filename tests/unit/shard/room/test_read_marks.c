/* test_read_marks.c - the newest message of each user, oldest marks first, and back again. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "shard/room/read_marks.h"

static void check_text(const struct list *marks, const char *want, const char *name)
{
    AUTO_BUF out = BUF_INIT;

    read_marks_write(&out, marks);
    CHECK_SLICE(buf_slice(&out), want, name);
}

static void put(struct read_marks *marks, const char *user, int64_t id)
{
    assert_non_null(read_marks_put(marks, slice_str(user), id));
}

static void of_each_user_the_newest_counts(void **state)
{
    struct read_marks marks;

    (void)state;
    read_marks_init(&marks);
    put(&marks, "ada", 5);
    put(&marks, "bob", 9);
    put(&marks, "ada", 7);
    put(&marks, "ada", 6);
    assert_int_equal(read_marks_count(&marks), 2);
    check_text(&marks.marks, "[{\"u\":\"ada\",\"i\":7},{\"u\":\"bob\",\"i\":9}]", "all");
    assert_null(read_marks_find(&marks, SLICE_LIT("eve")));
    read_marks_deinit(&marks);
}

static void a_batch_leaves_and_comes_back(void **state)
{
    struct read_marks marks;
    struct list batch, wait_old, wait_young;
    struct read_mark *mark;

    (void)state;
    read_marks_init(&marks);
    put(&marks, "ada", 5);
    put(&marks, "bob", 9);
    put(&marks, "cid", 2);
    list_add_tail(&read_marks_find(&marks, SLICE_LIT("ada"))->waits, &wait_old);
    read_marks_take(&marks, 2, &batch);
    check_text(&batch, "[{\"u\":\"ada\",\"i\":5},{\"u\":\"bob\",\"i\":9}]", "taken");
    check_text(&marks.marks, "[{\"u\":\"cid\",\"i\":2}]", "left");
    mark = read_marks_put(&marks, SLICE_LIT("ada"), 4);
    list_add_tail(&mark->waits, &wait_young);
    /* The older one is the further one: it counts, and both wait for it. */
    assert_int_equal(read_marks_give_back(&marks, list_first(&batch, struct read_mark, link)),
                     0);
    assert_int_equal(read_marks_give_back(&marks, list_first(&batch, struct read_mark, link)),
                     0);
    assert_true(list_empty(&batch));
    check_text(&marks.marks,
               "[{\"u\":\"bob\",\"i\":9},{\"u\":\"cid\",\"i\":2},{\"u\":\"ada\",\"i\":5}]",
               "back");
    mark = read_marks_find(&marks, SLICE_LIT("ada"));
    assert_ptr_equal(mark->waits.next, &wait_young);
    assert_ptr_equal(mark->waits.prev, &wait_old);
    list_del(&wait_old);
    list_del(&wait_young);
    read_marks_take(&marks, 10, &batch);
    assert_int_equal(read_marks_count(&marks), 0);
    while (!list_empty(&batch))
        read_mark_free(list_first(&batch, struct read_mark, link));
    check_text(&marks.marks, "[]", "none");
    read_marks_deinit(&marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_user_the_newest_counts),
        cmocka_unit_test(a_batch_leaves_and_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
