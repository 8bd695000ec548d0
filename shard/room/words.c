/* words.c - see words.h. */
#include "shard/room/words.h"

#include "common/base/casefold.h"
#include "common/base/limits.h"

/* The text as it is compared: at most max characters. */
static size_t normalise(struct slice s, uint32_t *out, size_t max)
{
    size_t n = 0;

    while (s.len > 0 && n < max) {
        uint32_t c = utf8_next(&s);

        if (char_class(c) == CHAR_INVISIBLE)
            continue;
        if (c == 0xa0 || c == 0x3000 || (c >= '\t' && c <= '\r'))
            c = ' ';
        if (c == ' ' && n > 0 && out[n - 1] == ' ')
            continue;
        out[n++] = casefold(c);
    }
    return n;
}

/* May a word end before b, which follows a? */
static bool is_boundary(uint32_t a, uint32_t b)
{
    return char_class(a) != CHAR_WORD || char_class(b) != CHAR_WORD;
}

static bool is_at(const uint32_t *text, size_t n, size_t at, const uint32_t *word, size_t len)
{
    if (len > n - at)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[at + i] != word[i])
            return false;
    }
    return (at == 0 || is_boundary(text[at - 1], word[0])) &&
           (at + len == n || is_boundary(word[len - 1], text[at + len]));
}

const struct slice *words_find(struct slice content, const struct slice *words, size_t n_words)
{
    uint32_t text[CONTENT_MAX_CHARS], word[BLOCKED_WORD_MAX];
    size_t n = n_words > 0 ? normalise(content, text, CONTENT_MAX_CHARS) : 0;

    for (size_t i = 0; i < n_words; i++) {
        size_t len = normalise(words[i], word, BLOCKED_WORD_MAX);

        for (size_t at = 0; len > 0 && at < n; at++) {
            if (is_at(text, n, at, word, len))
                return &words[i];
        }
    }
    return NULL;
}
