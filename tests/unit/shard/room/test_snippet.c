/* test_snippet.c - what is shown of a message that was found. */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "shard/limits.h"
#include "shard/room/snippet.h"

static void words_are_marked_and_all_else_is_escaped(void **state)
{
    static const struct {
        const char *content, *query, *snippet;
    } rows[] = {
        {"Hello world", "hello", "<mark>Hello</mark> world"},
        {"Hello worlds", "world",
         "Hello <mark>worlds</mark>"}, /* the last word as a beginning */
        {"worlds hello", "world hel", "worlds <mark>hello</mark>"},
        {"a <b>bold</b> & 'quoted' \"word\"", "bold",
         "a &lt;b&gt;<mark>bold</mark>&lt;/b&gt; &amp; &#39;quoted&#39; &quot;word&quot;"},
        {"<mark>", "mark", "&lt;<mark>mark</mark>&gt;"},
        {"\xc3\x84rger", "\xc3\xa4rger", "<mark>\xc3\x84rger</mark>"},
        {"\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\xa7\xe3\x81\x99", "\xe5\xad\x97",
         "\xe6\xbc\xa2<mark>\xe5\xad\x97</mark>\xe3\x81\xa7\xe3\x81\x99"},
        {"nothing here", "absent", "nothing here"},
        {"anything", "!!!", "anything"},
        {"", "x", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_BUF out = BUF_INIT;

        snippet_write(&out, slice_str(rows[i].content), slice_str(rows[i].query));
        if (!slice_eq_str(buf_slice(&out), rows[i].snippet))
            fail_msg("%s in \"%s\": %.*s", rows[i].query, rows[i].content, (int)out.len,
                     out.data);
    }
}

static void long_texts_are_cut_around_the_first_word_found(void **state)
{
    char content[4 * CONTENT_MAX_CHARS];
    AUTO_BUF out = BUF_INIT;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(content + len, sizeof(content) - len, "word%d ", i);
    len += (size_t)snprintf(content + len, sizeof(content) - len, "needle ");
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(content + len, sizeof(content) - len, "word%d ", i);
    snippet_write(&out, slice_of(content, len), SLICE_LIT("needle"));
    buf_put_char(&out, 0);
    assert_non_null(strstr(out.data, "<mark>needle</mark>"));
    assert_memory_equal(out.data, "\xe2\x80\xa6word", 7); /* at the beginning of a word */
    assert_true(out.len < SNIPPET_CHARS + 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_marked_and_all_else_is_escaped),
        cmocka_unit_test(long_texts_are_cut_around_the_first_word_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
