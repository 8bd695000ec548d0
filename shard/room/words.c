/* words.c - see words.h. */
#include "shard/room/words.h"

#include "common/base/casefold.h"
#include "common/base/macros.h"
#include "shard/limits.h"

#define WINDOW 1024
/* Kept from the window before, so that no word is cut in two: the longest one and its
 * neighbours.
 */
#define OVERLAP (BLOCKED_WORD_MAX + 2)

/* A piece of a text as it is compared. */
struct window {
    size_t n;
    uint32_t chars[WINDOW];
    size_t at[WINDOW]; /* where they stand in the text, in bytes */
    bool is_first, is_last;
};

static void append(struct window *w, uint32_t c, size_t at)
{
    if (char_class(c) == CHAR_INVISIBLE)
        return;
    if (c == 0xa0 || c == 0x3000 || (c >= '\t' && c <= '\r'))
        c = ' ';
    if (c == ' ' && w->n > 0 && w->chars[w->n - 1] == ' ')
        return;
    w->chars[w->n] = casefold(c);
    w->at[w->n++] = at;
}

/* A word, trimmed once more: white space beside an invisible character was not at its edge. */
static size_t normalise(struct slice s, uint32_t *out, size_t max)
{
    struct window w = {0};
    size_t begin;

    while (s.len > 0 && w.n < max)
        append(&w, utf8_next(&s), 0);
    if (w.n > 0 && w.chars[w.n - 1] == ' ')
        w.n--;
    begin = w.n > 0 && w.chars[0] == ' ';
    memcpy(out, w.chars + begin, (w.n - begin) * sizeof(*out));
    return w.n - begin;
}

/* May a word end before b, which follows a? */
static bool is_boundary(uint32_t a, uint32_t b)
{
    return char_class(a) != CHAR_WORD || char_class(b) != CHAR_WORD;
}

static bool is_at(const struct window *w, size_t at, const uint32_t *word, size_t len,
                  bool is_open)
{
    if (len > w->n - at || (at == 0 && !w->is_first))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (w->chars[at + i] != word[i])
            return false;
    }
    if (at > 0 && !is_boundary(w->chars[at - 1], word[0]))
        return false;
    if (at + len < w->n)
        return is_boundary(word[len - 1], w->chars[at + len]);
    return w->is_last && !is_open;
}

/* The place of the word in the window, or w->n. */
static size_t find_in(const struct window *w, const uint32_t *word, size_t len, bool is_open)
{
    for (size_t at = 0; len > 0 && at < w->n; at++) {
        if (is_at(w, at, word, len, is_open))
            return at;
    }
    return w->n;
}

static void slide(struct window *w)
{
    size_t keep = MIN(w->n, (size_t)OVERLAP);

    memmove(w->chars, w->chars + w->n - keep, keep * sizeof(w->chars[0]));
    memmove(w->at, w->at + w->n - keep, keep * sizeof(w->at[0]));
    w->is_first = w->is_first && keep == w->n;
    w->n = keep;
}

size_t words_find(struct slice content, const struct slice *words, size_t n_words, bool is_open)
{
    struct window w = {.is_first = true};
    struct slice rest = content;
    uint32_t word[BLOCKED_WORD_MAX];

    while (n_words > 0 && !w.is_last) {
        size_t found = WINDOW;

        while (rest.len > 0 && w.n < WINDOW) {
            size_t at = content.len - rest.len;

            append(&w, utf8_next(&rest), at);
        }
        w.is_last = rest.len == 0;
        for (size_t i = 0; i < n_words; i++) {
            size_t at = find_in(&w, word, normalise(words[i], word, BLOCKED_WORD_MAX), is_open);

            if (at < w.n)
                found = MIN(found, at);
        }
        if (found < w.n)
            return w.at[found];
        slide(&w);
    }
    return content.len;
}
