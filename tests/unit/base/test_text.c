/* test_text.c - UTF-8 at every split, counting, trimming; hex and base64; lists; constant-time
 * compare. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/secret.h"
#include "common/base/utf8.h"
#include "tests/support/test.h"

static const struct {
    const char *name, *bytes;
    bool valid;
    size_t points, units; /* of a valid text */
} texts[] = {
    {"empty", "", true, 0, 0},
    {"ascii", "plain text, longer than eight", true, 29, 29},
    {"two bytes, first and last", "\xc2\x80\xdf\xbf", true, 2, 2},
    {"three bytes, first and last", "\xe0\xa0\x80\xef\xbf\xbf", true, 2, 2},
    {"four bytes, first and last", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true, 2, 4},
    {"around the surrogates", "\xed\x9f\xbf\xee\x80\x80", true, 2, 2},
    {"mixed", "a\xc3\xa9z\xe2\x82\xac....\xf0\x9f\x98\x80!", true, 10, 11},
    {"continuation alone", "\x80", false, 0, 0},
    {"overlong slash in two", "\xc0\xaf", false, 0, 0},
    {"c1 is always overlong", "\xc1\xbf", false, 0, 0},
    {"overlong in three", "\xe0\x9f\xbf", false, 0, 0},
    {"overlong in four", "\xf0\x8f\xbf\xbf", false, 0, 0},
    {"high surrogate", "\xed\xa0\x80", false, 0, 0},
    {"low surrogate", "\xed\xbf\xbf", false, 0, 0},
    {"above U+10FFFF", "\xf4\x90\x80\x80", false, 0, 0},
    {"f5 leads nothing", "\xf5\x80\x80\x80", false, 0, 0},
    {"ff", "abcdefgh\xff", false, 0, 0},
    {"two cut short", "abc\xc3", false, 0, 0},
    {"three cut short", "\xe2\x82", false, 0, 0},
    {"four cut short", "\xf0\x9f\x98", false, 0, 0},
    {"letter instead of continuation", "\xe2\x82x", false, 0, 0},
    {"second character too early", "\xe2\xe2\x82\xac", false, 0, 0},
};

static void utf8_at_every_split(void **state)
{
    static const size_t chunks[] = {1, 2, 3, 5, 64};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct slice whole = slice_str(texts[i].bytes);

        CHECK_EQ(utf8_is_valid(whole), texts[i].valid, texts[i].name);
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            struct utf8_check check = {0};
            bool good = true;

            for (size_t at = 0; at < whole.len && good; at += chunks[c])
                good = utf8_feed(&check,
                                 slice_of(whole.data + at, MIN(whole.len - at, chunks[c])));
            CHECK_EQ(good && utf8_is_complete(&check), texts[i].valid, texts[i].name);
        }
        if (texts[i].valid) {
            CHECK_EQ(utf8_code_points(whole), texts[i].points, texts[i].name);
            CHECK_EQ(utf8_utf16_units(whole), texts[i].units, texts[i].name);
        }
    }
}

static void utf8_accepts_exactly_the_scalar_values(void **state)
{
    size_t valid = 0;

    (void)state;
    for (uint32_t c = 0; c < 0x200000; c++) { /* as if every value had a 4-byte form */
        char text[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
                        (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};

        valid += utf8_is_valid(slice_of(text, 4));
    }
    assert_int_equal(valid, 0x100000);
    valid = 0;
    for (uint32_t c = 0; c < 0x10000; c++) {
        char text[3] = {(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)),
                        (char)(0x80 | (c & 0x3f))};

        valid += utf8_is_valid(slice_of(text, 3));
    }
    assert_int_equal(valid, 0x10000 - 0x800 - 0x800); /* less overlong ones and surrogates */
}

static void cutting_keeps_characters_whole(void **state)
{
    struct slice euro = SLICE_LIT("a\xe2\x82\xac");

    (void)state;
    CHECK_SLICE(utf8_cut(euro, 9), "a\xe2\x82\xac", "fits");
    CHECK_SLICE(utf8_cut(euro, 4), "a\xe2\x82\xac", "just fits");
    CHECK_SLICE(utf8_cut(euro, 3), "a", "in the middle");
    CHECK_SLICE(utf8_cut(euro, 1), "a", "before");
    CHECK_SLICE(utf8_cut(euro, 0), "", "nothing");
}

static void trims_as_javascript_does(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"  \t\r\n\v\f ", ""},
        {" a b ", "a b"},
        {"\xc2\xa0\xef\xbb\xbfx\xe3\x80\x80\xe2\x80\xa9", "x"},
        {"\xe2\x80\x8bx", "\xe2\x80\x8bx"}, /* U+200B is no white space */
        {"\xc2\x85x", "\xc2\x85x"},         /* nor is U+0085 */
        {"\xc3\xa9 ", "\xc3\xa9"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK_SLICE(utf8_trim(slice_str(cases[i].text)), cases[i].want, cases[i].text);
    assert_int_equal(utf8_trim((struct slice){0}).len, 0);
}

static void hex_both_ways(void **state)
{
    uint8_t bytes[3];
    char text[7];

    (void)state;
    hex_encode("\x00\xab\xff", 3, text);
    assert_string_equal(text, "00abff");
    assert_int_equal(hex_decode(SLICE_LIT("00aBFf"), bytes, 3), 0);
    assert_memory_equal(bytes, "\x00\xab\xff", 3);
    assert_int_equal(hex_decode(SLICE_LIT("00ab"), bytes, 3), -EINVAL);
    assert_int_equal(hex_decode(SLICE_LIT("00abfff"), bytes, 3), -EINVAL);
    assert_int_equal(hex_decode(SLICE_LIT("00abfg"), bytes, 3), -EINVAL);
}

static void base64_both_ways(void **state)
{
    /* RFC 4648 section 10, and bytes that need the last two letters. */
    static const struct {
        const char *bytes, *standard, *url;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/", "-_-_"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice bytes = slice_str(cases[i].bytes);
        char text[BASE64_LEN(8) + 1];
        uint8_t back[8];
        size_t len;

        assert_int_equal(base64_encode(BASE64_STANDARD, bytes.data, bytes.len, text),
                         strlen(cases[i].standard));
        assert_string_equal(text, cases[i].standard);
        assert_int_equal(
            base64_decode(BASE64_STANDARD, slice_str(text), back, sizeof(back), &len), 0);
        CHECK_SLICE(slice_of(back, len), cases[i].bytes, text);
        base64_encode(BASE64_URL, bytes.data, bytes.len, text);
        assert_string_equal(text, cases[i].url);
        assert_int_equal(base64_decode(BASE64_URL, slice_str(text), back, sizeof(back), &len),
                         0);
        CHECK_SLICE(slice_of(back, len), cases[i].bytes, text);
    }
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *text;
        enum base64_kind kind;
        int want;
    } cases[] = {
        {"Zg", BASE64_STANDARD, -EINVAL},   /* padding missing */
        {"Zg=", BASE64_STANDARD, -EINVAL},  /* half of it */
        {"Z===", BASE64_STANDARD, -EINVAL}, /* too much */
        {"====", BASE64_STANDARD, -EINVAL}, /* nothing but */
        {"Zh==", BASE64_STANDARD, -EINVAL}, /* bits left over */
        {"-_-_", BASE64_STANDARD, -EINVAL}, /* the other alphabet */
        {"Zm9v\nZm9v", BASE64_STANDARD, -EINVAL},
        {"Z=9v", BASE64_STANDARD, -EINVAL},
        {"Zg==", BASE64_URL, -EINVAL},
        {"Zh", BASE64_URL, -EINVAL},
        {"Z", BASE64_URL, -EINVAL},
        {"+/+/", BASE64_URL, -EINVAL},
        {"Zm9vYg", BASE64_URL, -E2BIG}, /* four bytes into three */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t back[3];
        size_t len;

        CHECK_EQ(
            base64_decode(cases[i].kind, slice_str(cases[i].text), back, sizeof(back), &len),
            cases[i].want, cases[i].text);
    }
}

static void digits_of_either_case(void **state)
{
    static const char digits[] = "0123456789abcdef";

    (void)state;
    for (int c = -128; c < 128; c++) {
        const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 0x20 : c) : NULL;

        assert_int_equal(hex_digit((char)c), at ? (int)(at - digits) : -1);
    }
}

static void lists_have_whole_words(void **state)
{
    static const struct {
        const char *list, *word;
        bool has;
    } rows[] = {
        {"", "a", false},       {"a", "a", true},          {"a,bc,d", "a", true},
        {"a,bc,d", "bc", true}, {"a,bc,d", "d", true},     {"a,bc,d", "b", false},
        {"a,bc,d", "c", false}, {"a,bc,d", "a,bc", false}, {"a,,d", "", true},
        {"ab", "a", false},     {"a", "ab", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(slice_list_has(slice_str(rows[i].list), slice_str(rows[i].word)) == rows[i].has,
              rows[i].list);
}

static void compares_and_wipes(void **state)
{
    char secret[] = "secret";

    (void)state;
    assert_true(mem_equal_ct("abc", "abc", 3));
    assert_false(mem_equal_ct("abc", "abd", 3));
    assert_false(mem_equal_ct("abc", "bbc", 3));
    assert_true(slice_equal_ct((struct slice){0}, SLICE_LIT("")));
    assert_false(slice_equal_ct(SLICE_LIT("ab"), SLICE_LIT("abc")));
    secret_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, "\0\0\0\0\0\0", sizeof(secret));
    secret_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_at_every_split),
        cmocka_unit_test(utf8_accepts_exactly_the_scalar_values),
        cmocka_unit_test(cutting_keeps_characters_whole),
        cmocka_unit_test(trims_as_javascript_does),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(digits_of_either_case),
        cmocka_unit_test(lists_have_whole_words),
        cmocka_unit_test(base64_both_ways),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(compares_and_wipes),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
