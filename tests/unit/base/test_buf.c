/* test_buf.c - slices, blobs and the growing buffer. */
#include "common/base/buf.h"

#include <stdlib.h>

#include "tests/support/test.h"

static void appends_and_grows(void **state)
{
    AUTO_BUF buf = BUF_INIT;
    size_t want = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        buf_put_str(&buf, "abc");
        buf_put_char(&buf, '-');
        want += 4;
        assert_int_equal(buf.len, want);
    }
    assert_false(buf_failed(&buf));
    assert_memory_equal(buf.data + 3996, "abc-", 4);
}

static void numbers_are_decimal(void **state)
{
    static const struct {
        int64_t v;
        const char *want;
    } cases[] = {
        {0, "0"},
        {7, "7"},
        {-1, "-1"},
        {1234567890, "1234567890"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF buf = BUF_INIT;

        buf_put_i64_dec(&buf, cases[i].v);
        CHECK_SLICE(buf_slice(&buf), cases[i].want, cases[i].want);
    }
    AUTO_BUF buf = BUF_INIT;
    buf_put_u64_dec(&buf, UINT64_MAX);
    CHECK_SLICE(buf_slice(&buf), "18446744073709551615", "max");
}

static void printf_and_drop_front(void **state)
{
    AUTO_BUF buf = BUF_INIT;

    (void)state;
    buf_printf(&buf, "%s=%d;", "key", 42);
    buf_printf(&buf, "%s", "");
    CHECK_SLICE(buf_slice(&buf), "key=42;", "formatted");
    buf_drop_front(&buf, 4);
    CHECK_SLICE(buf_slice(&buf), "42;", "front dropped");
    buf_drop_front(&buf, 3);
    assert_int_equal(buf.len, 0);
    buf_drop_front(&buf, 0);
}

static void errors_stick_until_cleared(void **state)
{
    AUTO_BUF buf = BUF_INIT;

    (void)state;
    buf_put_str(&buf, "kept");
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf_failed(&buf));
    buf_put_str(&buf, "ignored");
    CHECK_SLICE(buf_slice(&buf), "kept", "nothing after a failure");
    assert_null(buf_to_blob(&buf));
    buf_clear(&buf);
    buf_put_str(&buf, "again");
    CHECK_SLICE(buf_slice(&buf), "again", "after clear");
}

static void blobs_are_counted(void **state)
{
    AUTO_BUF buf = BUF_INIT;
    struct blob *blob, *empty;

    (void)state;
    buf_put_str(&buf, "shared");
    blob = buf_to_blob(&buf);
    assert_non_null(blob);
    assert_ptr_equal(blob_ref(blob), blob);
    assert_int_equal(blob->refs, 2);
    blob_unref(blob);
    CHECK_SLICE(blob_slice(blob), "shared", "still there");
    blob_unref(blob);
    blob_unref(NULL);

    empty = blob_copy((struct slice){0});
    assert_non_null(empty);
    assert_int_equal(empty->len, 0);
    blob_unref(empty);
    assert_null(blob_new((size_t)UINT32_MAX + 1));
}

static void slices_compare_by_content(void **state)
{
    char *copy = slice_dup(SLICE_LIT("a\0b"));

    (void)state;
    assert_true(slice_eq(slice_of(copy, 3), SLICE_LIT("a\0b")));
    assert_int_equal(copy[3], '\0');
    assert_true(slice_eq((struct slice){0}, SLICE_LIT("")));
    assert_true(slice_eq_str((struct slice){0}, ""));
    assert_true(slice_eq(slice_str(NULL), SLICE_LIT("")));
    assert_false(slice_eq_str(SLICE_LIT("ab"), "abc"));
    assert_false(slice_eq_str(SLICE_LIT("abd"), "abc"));
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_grows),     cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(printf_and_drop_front), cmocka_unit_test(errors_stick_until_cleared),
        cmocka_unit_test(blobs_are_counted),     cmocka_unit_test(slices_compare_by_content),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
