/* test_file_meta.c - names, types and ranges of files, as hostile as they come. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "gateway/api/file_meta.h"

static void names_are_made_safe(void **state)
{
    static const struct {
        const char *sent, *kept;
    } cases[] = {
        {"a.png", "a.png"},
        {"", "file"},
        {".", "file"},
        {"..", "file"},
        {"..%2f..%2fetc%2fpasswd", "passwd"},
        {"C%3a%5cdir%5cx.txt", "x.txt"},
        {"dir%2f", "file"},
        {"%20x%20y%20", "x y"},
        {"gr%C3%BC%C3%9Fe", "gr\xc3\xbc\xc3\x9f"
                            "e"},
        {"a%E2%80%AEb", "ab"},          /* right-to-left override */
        {"a%E2%81%A6b%E2%81%A9", "ab"}, /* isolates */
        {"a%C2%85b", "ab"},             /* NEL */
        {"%F0%9F%93%84.txt", "\xf0\x9f\x93\x84.txt"},
    };
    static const char *const bad[] = {"%", "%z1", "%00", "%ff", "%c3", "%ed%a0%80", "a%0ab"};
    char longest[4 * FILE_NAME_MAX_CHARS];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF out = BUF_INIT;

        CHECK_EQ(file_name_clean(slice_str(cases[i].sent), &out), 0, cases[i].sent);
        CHECK_SLICE(buf_slice(&out), cases[i].kept, cases[i].sent);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_BUF out = BUF_INIT;

        CHECK_EQ(file_name_clean(slice_str(bad[i]), &out), FILE_NAME_BAD, bad[i]);
    }
    memset(longest, 'x', sizeof(longest));
    {
        AUTO_BUF out = BUF_INIT;

        assert_int_equal(file_name_clean(slice_of(longest, sizeof(longest)), &out), 0);
        assert_int_equal(out.len, FILE_NAME_MAX_CHARS);
    }
}

static void types_are_checked(void **state)
{
    static const struct {
        const char *sent;
        int answer;
        const char *kept;
        bool is_inline;
    } cases[] = {
        {"", 0, "application/octet-stream", false},
        {"image/png", 0, "image/png", true},
        {"Text/Plain ; charset=x", 0, "text/plain", true},
        {"video/mp4", 0, "video/mp4", true},
        {"image/svg+xml", 0, "image/svg+xml", false},
        {"text/html", 0, "text/html", false},
        {"multipart/form-data; boundary=b", FILE_TYPE_FORM, NULL, false},
        {"MULTIPART/mixed", FILE_TYPE_FORM, NULL, false},
        {"application/x-www-form-urlencoded", FILE_TYPE_FORM, NULL, false},
        {"message/rfc822", FILE_TYPE_FORM, NULL, false},
        {"image", FILE_TYPE_BAD, NULL, false},
        {"/png", FILE_TYPE_BAD, NULL, false},
        {"image/", FILE_TYPE_BAD, NULL, false},
        {"image/a/b", FILE_TYPE_BAD, NULL, false},
        {"ima ge/png", FILE_TYPE_BAD, NULL, false},
        {"image/p\"ng", FILE_TYPE_BAD, NULL, false},
    };
    char type[FILE_TYPE_MAX + 1], longest[FILE_TYPE_MAX + 2];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(file_type_clean(slice_str(cases[i].sent), type), cases[i].answer,
                 cases[i].sent);
        if (cases[i].answer)
            continue;
        CHECK_SLICE(slice_str(type), cases[i].kept, cases[i].sent);
        CHECK_EQ(file_type_is_inline(slice_str(type)), cases[i].is_inline, cases[i].sent);
    }
    memset(longest, 'a', sizeof(longest));
    longest[1] = '/';
    assert_int_equal(file_type_clean(slice_of(longest, FILE_TYPE_MAX), type), 0);
    assert_int_equal(file_type_clean(slice_of(longest, FILE_TYPE_MAX + 1), type),
                     FILE_TYPE_BAD);
}

static void dispositions_hold_any_name(void **state)
{
    static const struct {
        bool is_inline;
        const char *name, *want;
    } cases[] = {
        {true, "a.png", "inline; filename=\"a.png\"; filename*=UTF-8''a.png"},
        {false, "a\"b\\c%d",
         "attachment; filename=\"a_b_c_d\"; filename*=UTF-8''a%22b%5Cc%25d"},
        {false, "\xc3\xbc \xf0\x9f\x93\x84",
         "attachment; filename=\"_ _\"; filename*=UTF-8''%C3%BC%20%F0%9F%93%84"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF out = BUF_INIT;

        file_disposition_write(&out, cases[i].is_inline, slice_str(cases[i].name));
        CHECK_SLICE(buf_slice(&out), cases[i].want, cases[i].name);
    }
}

static void ranges_are_read(void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        int answer;
        uint64_t first, last;
    } cases[] = {
        {"bytes=0-0", 10, 0, 0, 0},
        {"bytes=2-5", 10, 0, 2, 5},
        {"Bytes=2-", 10, 0, 2, 9},
        {"bytes=-3", 10, 0, 7, 9},
        {"bytes=-30", 10, 0, 0, 9},
        {"bytes=5-99", 10, 0, 5, 9},
        {"bytes=9-9", 10, 0, 9, 9},
        {"bytes=10-", 10, FILE_RANGE_OUTSIDE, 0, 0},
        {"bytes=-0", 10, FILE_RANGE_OUTSIDE, 0, 0},
        {"bytes=0-", 0, FILE_RANGE_OUTSIDE, 0, 0},
        {"bytes=-1", 0, FILE_RANGE_OUTSIDE, 0, 0},
        {"bytes=5-2", 10, FILE_RANGE_NONE, 0, 0},
        {"bytes=-", 10, FILE_RANGE_NONE, 0, 0},
        {"bytes=", 10, FILE_RANGE_NONE, 0, 0},
        {"bytes=1-2,4-5", 10, FILE_RANGE_NONE, 0, 0},
        {"bytes= 1-2", 10, FILE_RANGE_NONE, 0, 0},
        {"lines=1-2", 10, FILE_RANGE_NONE, 0, 0},
        {"bytes=9999999999999999999-", 10, FILE_RANGE_NONE, 0, 0},
        {"", 10, FILE_RANGE_NONE, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t first = 0, last = 0;

        CHECK_EQ(file_range_read(slice_str(cases[i].header), cases[i].size, &first, &last),
                 cases[i].answer, cases[i].header);
        CHECK_EQ(first, cases[i].first, cases[i].header);
        CHECK_EQ(last, cases[i].last, cases[i].header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made_safe),
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(dispositions_hold_any_name),
        cmocka_unit_test(ranges_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
