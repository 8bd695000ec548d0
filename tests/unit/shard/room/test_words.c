/* test_words.c - blocked words: case, whole words, scripts, ways around. */
#include "tests/support/test.h"

#include "common/base/casefold.h"
#include "shard/room/words.h"

static void whole_words_without_case(void **state)
{
    static const struct {
        const char *content, *word;
        bool found;
    } rows[] = {
        {"you ass", "ass", true},
        {"You ASS!", "ass", true},
        {"class", "ass", false},
        {"assess", "ass", false},
        {"ass", "ass", true},
        {"(ass)", "ass", true},
        {"snake_ass", "ass", false},
        {"ass2", "ass", false},
        {"as s", "ass", false},
        {"a\xe2\x80\x8bs\xc2\xads", "ass", true}, /* invisible characters do not hide it */
        {"ass", "\xe2\x80\x8d ass \xe2\x80\x8b", true}, /* nor does what surrounds the word */
        {"class", "\xe2\x80\x8d ass \xe2\x80\x8b", false},
        {"a  b", "\xe2\x80\x8d ", false}, /* nothing is left of it */
        {"buy \t\n cheap pills now", "CHEAP  pills", true},
        {"cheappills", "cheap pills", false},
        {"das ist GR\xc3\x96SSE", "gr\xc3\xb6sse", true},
        {"\xd0\x94\xd0\xa3\xd0\xa0\xd0\x90\xd0\x9a", "\xd0\xb4\xd1\x83\xd1\x80\xd0\xb0\xd0\xba",
         true},
        {"\xd0\xb4\xd1\x83\xd1\x80\xd0\xb0\xd0\xba\xd0\xb8",
         "\xd0\xb4\xd1\x83\xd1\x80\xd0\xb0\xd0\xba", false},
        {"\xce\xa3\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x82",
         "\xcf\x83\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x83",
         true}, /* both forms of sigma */
        {"\xe3\x81\x93\xe3\x81\xae\xe9\xa6\xac\xe9\xb9\xbf\xe3\x82\x84\xe3\x82\x8d\xe3\x81\x86",
         "\xe9\xa6\xac\xe9\xb9\xbf", true},
        {"ass\xf0\x9f\x98\x80", "ass", true}, /* an emoji ends a word */
        {"$$$ now", "$$$", true},
        {"a$$$", "$$$", true},
        {" ", "ass", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice word = slice_str(rows[i].word);

        if ((words_find(slice_str(rows[i].content), &word, 1, false) <
             strlen(rows[i].content)) != rows[i].found)
            fail_msg("\"%s\" in \"%s\"", rows[i].word, rows[i].content);
    }
}

static void says_where_the_first_one_stands(void **state)
{
    struct slice words[] = {SLICE_LIT("one"), SLICE_LIT("two"), SLICE_LIT("three")};

    (void)state;
    assert_int_equal(words_find(SLICE_LIT("\xc3\xa4 Two one"), words, 3, false), 3);
    assert_int_equal(words_find(SLICE_LIT("it takes four"), words, 3, false), 13);
    assert_int_equal(words_find(SLICE_LIT("one"), words, 0, false), 3);
    assert_int_equal(words_find(SLICE_LIT(""), words, 3, false), 0);
}

static void what_an_open_text_ends_with_is_not_found_yet(void **state)
{
    struct slice word = SLICE_LIT("ass");

    (void)state;
    assert_int_equal(words_find(SLICE_LIT("an ass"), &word, 1, true), 6);
    assert_int_equal(words_find(SLICE_LIT("an assembly"), &word, 1, true), 11);
    assert_int_equal(words_find(SLICE_LIT("an ass,"), &word, 1, true), 3);
}

/* Wherever in a long text the word stands. */
static void long_texts_are_searched_to_their_end(void **state)
{
    struct slice word = SLICE_LIT("needle in hay");
    char text[5000];

    (void)state;
    for (size_t at = 0; at + word.len < sizeof(text); at += 37) {
        memset(text, 'x', sizeof(text));
        memcpy(text + at, word.data, word.len);
        if (at > 0)
            text[at - 1] = ' ';
        assert_int_equal(words_find(slice_of(text, sizeof(text)), &word, 1, false),
                         sizeof(text));
        text[at + word.len] = '.';
        assert_int_equal(words_find(slice_of(text, sizeof(text)), &word, 1, false), at);
        if (at > 0)
            text[at - 1] = 'x';
        assert_int_equal(words_find(slice_of(text, sizeof(text)), &word, 1, false),
                         at > 0 ? sizeof(text) : 0);
    }
}

/* Folding twice is folding once, else some pair of letters would never meet. */
static void folding_is_final(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (casefold(casefold(c)) != casefold(c))
            fail_msg("U+%04X", (unsigned)c);
    }
    assert_int_equal(casefold('Z'), 'z');
    assert_int_equal(casefold(0x212a), 'k');
    assert_int_equal(casefold(0x0130), 0x0130); /* dotted capital I has no simple folding */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_words_without_case),
        cmocka_unit_test(says_where_the_first_one_stands),
        cmocka_unit_test(what_an_open_text_ends_with_is_not_found_yet),
        cmocka_unit_test(long_texts_are_searched_to_their_end),
        cmocka_unit_test(folding_is_final),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
