/* test_text.c - trimming and counting as JavaScript does. */
#include "tests/support/test.h"

#include "common/base/macros.h"
#include "shard/room/text.h"

static void trims_what_javascript_trims(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {" \t\r\n\v\f ", ""},
        {"  a b  ", "a b"},
        {"\xef\xbb\xbf\xc2\xa0x\xe3\x80\x80\xe2\x80\xa8", "x"},
        {"\xe2\x80\x8by\xe2\x80\x8b", "\xe2\x80\x8by\xe2\x80\x8b"}, /* zero width space stays */
        {"\xc3\xa9", "\xc3\xa9"},
        {"\xe2\x80\x82\xc3\xa0", "\xc3\xa0"}, /* ends in 0xa0, but is no space */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!slice_eq_str(text_trim(slice_str(rows[i].in)), rows[i].want))
            fail_msg("row %zu", i);
    }
}

static void counts_utf16_units(void **state)
{
    (void)state;
    assert_int_equal(text_utf16_len(SLICE_LIT("")), 0);
    assert_int_equal(text_utf16_len(SLICE_LIT("abc")), 3);
    assert_int_equal(text_utf16_len(SLICE_LIT("\xc3\xa9\xe2\x82\xac")), 2);
    assert_int_equal(text_utf16_len(SLICE_LIT("\xf0\x9f\x98\x80")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trims_what_javascript_trims),
        cmocka_unit_test(counts_utf16_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
