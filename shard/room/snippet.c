/* snippet.c - see snippet.h. */
#include "shard/room/snippet.h"

#include "common/base/casefold.h"
#include "common/base/limits.h"
#include "shard/limits.h"

#define ELLIPSIS "\xe2\x80\xa6"

struct text {
    size_t n;
    uint32_t chars[CONTENT_MAX_CHARS];  /* folded */
    uint32_t at[CONTENT_MAX_CHARS + 1]; /* where they are in the original, in bytes */
    bool is_marked[CONTENT_MAX_CHARS];
};

struct term {
    size_t first, n; /* characters of the query */
    bool is_prefix;
};

struct query {
    uint32_t chars[SEARCH_QUERY_MAX];
    struct term terms[SEARCH_TERMS_MAX];
    size_t n_terms;
};

static bool is_letter(uint32_t c)
{
    enum char_class is = char_class(c);

    return is == CHAR_WORD || is == CHAR_INVISIBLE;
}

static void read_text(struct slice content, struct text *text)
{
    struct slice rest = content;

    text->n = 0;
    while (rest.len > 0 && text->n < CONTENT_MAX_CHARS) {
        text->at[text->n] = (uint32_t)(content.len - rest.len);
        text->is_marked[text->n] = false;
        text->chars[text->n++] = casefold(utf8_next(&rest));
    }
    text->at[text->n] = (uint32_t)(content.len - rest.len);
}

/* Words, and characters that are words of their own. */
static void read_query(struct slice s, struct query *q)
{
    size_t n = 0;

    q->n_terms = 0;
    while (s.len > 0 && n < SEARCH_QUERY_MAX)
        q->chars[n++] = casefold(utf8_next(&s));
    for (size_t i = 0; i < n && q->n_terms < SEARCH_TERMS_MAX;) {
        size_t first = i;

        if (char_class(q->chars[i]) == CHAR_OTHER) {
            i++;
            continue;
        }
        if (char_class(q->chars[i]) == CHAR_UNSPACED)
            i++;
        else
            while (i < n && is_letter(q->chars[i]))
                i++;
        q->terms[q->n_terms++] = (struct term){.first = first, .n = i - first};
    }
    if (q->n_terms > 0)
        q->terms[q->n_terms - 1].is_prefix = true;
}

/* Where the word that begins at `at` ends. */
static size_t word_end(const struct text *text, size_t at)
{
    if (char_class(text->chars[at]) == CHAR_UNSPACED)
        return at + 1;
    while (at < text->n && is_letter(text->chars[at]))
        at++;
    return at;
}

static bool is_found(const struct text *text, size_t at, size_t end, const struct query *q,
                     const struct term *term)
{
    if (term->n > end - at || (term->n < end - at && !term->is_prefix))
        return false;
    for (size_t i = 0; i < term->n; i++) {
        /* Up to `end`, which is in the text, all are there; the analyzer does not see it. */
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        if (text->chars[at + i] != q->chars[term->first + i])
            return false;
    }
    return true;
}

/* Marks all words that are looked for; returns the first one's place, or 0. */
static size_t mark_words(struct text *text, const struct query *q)
{
    size_t found = text->n;

    for (size_t at = 0; at < text->n;) {
        size_t end = char_class(text->chars[at]) == CHAR_OTHER ? at : word_end(text, at);

        for (size_t i = 0; i < q->n_terms && end > at; i++) {
            if (!is_found(text, at, end, q, &q->terms[i]))
                continue;
            found = MIN(found, at);
            for (size_t k = at; k < end; k++)
                text->is_marked[k] = true;
        }
        at = MAX(end, at + 1);
    }
    return found == text->n ? 0 : found;
}

static void write_escaped(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.data[i]) {
        case '<':
            buf_put_slice(out, SLICE_LIT("&lt;"));
            break;
        case '>':
            buf_put_slice(out, SLICE_LIT("&gt;"));
            break;
        case '&':
            buf_put_slice(out, SLICE_LIT("&amp;"));
            break;
        case '"':
            buf_put_slice(out, SLICE_LIT("&quot;"));
            break;
        case '\'':
            buf_put_slice(out, SLICE_LIT("&#39;"));
            break;
        default:
            buf_put_char(out, s.data[i]);
        }
    }
}

/* The window begins some words before the first mark, at the beginning of a word. */
static size_t window_start(const struct text *text, size_t found)
{
    size_t start = found > SNIPPET_BEFORE ? found - SNIPPET_BEFORE : 0;

    while (start > 0 && start < found && is_letter(text->chars[start - 1]))
        start++;
    return start;
}

void snippet_write(struct buf *out, struct slice content, struct slice query)
{
    struct query q;
    struct text text;
    size_t start, end;

    read_text(content, &text);
    read_query(query, &q);
    start = window_start(&text, mark_words(&text, &q));
    end = MIN(text.n, start + SNIPPET_CHARS);
    if (start > 0)
        buf_put_slice(out, SLICE_LIT(ELLIPSIS));
    for (size_t i = start; i < end; i++) {
        if (text.is_marked[i] && (i == start || !text.is_marked[i - 1]))
            buf_put_slice(out, SLICE_LIT("<mark>"));
        write_escaped(out, slice_of(content.data + text.at[i], text.at[i + 1] - text.at[i]));
        if (text.is_marked[i] && (i + 1 == end || !text.is_marked[i + 1]))
            buf_put_slice(out, SLICE_LIT("</mark>"));
    }
    if (end < text.n)
        buf_put_slice(out, SLICE_LIT(ELLIPSIS));
}
