/*
 * fuzz_words.c - blocked words and the words of a search: lines of words, an
 * empty line, the text. A word is found where it stands, whatever stands far
 * before or behind it; a snippet is HTML in which nothing but the marks is not
 * escaped.
 */
#include <string.h>

#include "common/base/macros.h"
#include "common/base/utf8.h"
#include "shard/limits.h"
#include "shard/room/snippet.h"
#include "shard/room/words.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 8u

/* As the settings of a room keep them: trimmed, not empty, not too long. And without what the
 * texts are lengthened with here. */
static bool is_word(struct slice word)
{
    struct slice trimmed = utf8_trim(word);

    return word.len > 0 && word.len == trimmed.len && !memchr(word.data, '.', word.len) &&
           utf8_code_points(word) <= BLOCKED_WORD_MAX;
}

static size_t read_words(struct slice *rest, struct slice words[WORDS_MAX])
{
    size_t n = 0;

    while (rest->len > 0 && n < WORDS_MAX) {
        const char *end = memchr(rest->data, '\n', rest->len);
        struct slice line = slice_of(rest->data, end ? (size_t)(end - rest->data) : rest->len);

        *rest = slice_of(rest->data + line.len + (end ? 1 : 0),
                         rest->len - line.len - (end ? 1 : 0));
        if (line.len == 0)
            break;
        if (is_word(line))
            words[n++] = line;
    }
    return n;
}

static void check_blocked(struct slice text, const struct slice *words, size_t n)
{
    size_t at = words_find(text, words, n, false), open = words_find(text, words, n, true);
    struct buf longer = BUF_INIT;
    size_t before = 0;

    FUZZ_CHECK(at <= text.len && open >= at && open <= text.len);
    if (at < text.len) /* no character is cut */
        FUZZ_CHECK(((unsigned char)text.data[at] & 0xc0) != 0x80);
    for (; before < 2100; before += 2)
        buf_put_str(&longer, ". ");
    before -= text.len % 7 * 2; /* not always the same place in a window */
    buf_drop_front(&longer, text.len % 7 * 2);
    buf_put_slice(&longer, text);
    buf_put_str(&longer, " . . .");
    FUZZ_CHECK(!buf_failed(&longer));
    open = words_find(buf_slice(&longer), words, n, true);
    FUZZ_CHECK(open == (at < text.len ? before + at : longer.len));
    buf_deinit(&longer);
}

static void check_snippet(struct slice text, struct slice query)
{
    AUTO_BUF out = BUF_INIT;
    struct slice open = SLICE_LIT("<mark>"), close = SLICE_LIT("</mark>");
    bool is_marked = false;

    snippet_write(&out, text, query);
    FUZZ_CHECK(utf8_is_valid(buf_slice(&out)));
    for (size_t i = 0; i < out.len; i++) {
        struct slice rest = slice_of(out.data + i, out.len - i);

        FUZZ_CHECK(rest.data[0] != '"' && rest.data[0] != '\'');
        if (rest.data[0] == '<') {
            struct slice tag = is_marked ? close : open;

            FUZZ_CHECK(rest.len >= tag.len && memcmp(rest.data, tag.data, tag.len) == 0);
            is_marked = !is_marked;
            i += tag.len - 1;
        } else {
            FUZZ_CHECK(rest.data[0] != '>');
        }
    }
    FUZZ_CHECK(!is_marked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice words[WORDS_MAX] = {0}, text = slice_of(data, size);
    struct slice line = size ? slice_of(data, size) : text;
    const char *end = size ? memchr(data, '\n', size) : NULL;
    size_t n;

    if (size == 0 || !utf8_is_valid(text))
        return 0;
    if (end)
        line.len = (size_t)(end - line.data);
    n = read_words(&text, words);
    check_blocked(text, words, n);
    check_snippet(text, line);
    return 0;
}
