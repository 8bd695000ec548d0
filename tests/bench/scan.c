/* scan.c - a walk over the top level of one JSON object. */
#include "tests/bench/scan.h"

#include <string.h>

/* A value as it stands in the frame; for a string the bytes between its quotes. */
struct span {
    const char *p;
    size_t len;
    char first; /* '"', '{', '[' or the first byte of a number or word */
};

/* @p is after the opening quote. The address after the closing one, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    const char *start = p;

    while (p < end && (p = memchr(p, '"', (size_t)(end - p))) != NULL) {
        const char *esc = p;

        while (esc > start && esc[-1] == '\\')
            esc--;
        if (((p - esc) & 1) == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

/* @p is at an opening bracket. The address after the one that closes it, or NULL. */
static const char *skip_nested(const char *p, const char *end)
{
    int depth = 0;

    while (p < end) {
        char c = *p++;

        if (c == '"') {
            p = skip_string(p, end);
            if (!p)
                return NULL;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

static const char *read_value(const char *p, const char *end, struct span *ret)
{
    const char *start = p;

    if (p >= end)
        return NULL;
    ret->first = *p;
    if (*p == '"') {
        p = skip_string(p + 1, end);
        if (!p)
            return NULL;
        ret->p = start + 1;
        ret->len = (size_t)(p - start) - 2;
        return p;
    }
    if (*p == '{' || *p == '[') {
        p = skip_nested(p, end);
    } else {
        while (p < end && *p != ',' && *p != '}' && *p != ' ')
            p++;
    }
    ret->p = start;
    ret->len = p ? (size_t)(p - start) : 0;
    return p;
}

static bool is(const struct span *s, const char *word)
{
    return s->len == strlen(word) && memcmp(s->p, word, s->len) == 0;
}

/* Digits at *p, moved behind them. False when there is none or it does not fit. */
static bool read_number(const char **p, const char *end, uint64_t *ret)
{
    const char *q = *p;
    uint64_t v = 0;

    while (q < end && *q >= '0' && *q <= '9') {
        if (v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*q++ - '0');
    }
    if (q == *p)
        return false;
    *p = q;
    *ret = v;
    return true;
}

static bool read_char(const char **p, const char *end, char c)
{
    if (*p >= end || **p != c)
        return false;
    (*p)++;
    return true;
}

static void take_pair(uint64_t sender, uint64_t n, struct scan *ret)
{
    if (sender > UINT32_MAX || n > UINT32_MAX)
        return;
    ret->has_mark = true;
    ret->sender = (uint32_t)sender;
    ret->n = (uint32_t)n;
}

static void read_marker(const char *p, size_t len, struct scan *ret)
{
    const char *end = p + len;
    uint64_t sender, n, due;

    if (!read_char(&p, end, SCAN_MARK) || !read_char(&p, end, SCAN_MARK) ||
        !read_number(&p, end, &sender) || !read_char(&p, end, ':') ||
        !read_number(&p, end, &n) || !read_char(&p, end, ':') || !read_number(&p, end, &due) ||
        !read_char(&p, end, SCAN_MARK))
        return;
    take_pair(sender, n, ret);
    ret->due_ns = due;
}

static void read_client_id(const char *p, size_t len, struct scan *ret)
{
    const char *end = p + len;
    uint64_t sender, n;

    if (read_number(&p, end, &sender) && read_char(&p, end, '-') && read_number(&p, end, &n))
        take_pair(sender, n, ret);
}

static enum scan_kind kind_of(const struct span *type)
{
    if (is(type, "message"))
        return SCAN_MESSAGE;
    if (is(type, "ack"))
        return SCAN_ACK;
    if (is(type, "subscription_succeeded"))
        return SCAN_READY;
    if (is(type, "error"))
        return SCAN_ERROR;
    if (is(type, "replay"))
        return SCAN_REPLAY;
    if (is(type, "goaway"))
        return SCAN_GOAWAY;
    return SCAN_OTHER;
}

struct found {
    struct span content;
    struct span client_id;
};

static void take_member(const struct span *key, const struct span *value, struct scan *ret,
                        struct found *found)
{
    const char *p = value->p;

    switch (key->len) {
    case 3:
        if (is(key, "seq"))
            ret->has_seq = read_number(&p, value->p + value->len, &ret->seq);
        break;
    case 4:
        if (is(key, "type"))
            ret->kind = kind_of(value);
        break;
    case 5:
        if (is(key, "toSeq"))
            (void)read_number(&p, value->p + value->len, &ret->to_seq);
        break;
    case 7:
        if (is(key, "content"))
            found->content = *value;
        break;
    case 9:
        if (is(key, "duplicate"))
            ret->duplicate = value->first == 't';
        break;
    case 15:
        if (is(key, "clientMessageId"))
            found->client_id = *value;
        break;
    default:
        break;
    }
}

static const char *skip_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* One `"key": value` and what separates it from the next; NULL at the end or on nonsense. */
static const char *walk_member(const char *p, const char *end, struct scan *ret,
                               struct found *found)
{
    struct span key, value;

    p = skip_blank(p, end);
    if (p >= end || *p != '"')
        return NULL;
    p = read_value(p, end, &key);
    if (!p)
        return NULL;
    p = skip_blank(p, end);
    if (p >= end || *p != ':')
        return NULL;
    p = read_value(skip_blank(p + 1, end), end, &value);
    if (!p)
        return NULL;
    take_member(&key, &value, ret, found);
    p = skip_blank(p, end);
    return p < end && *p == ',' ? p + 1 : NULL;
}

static void scan_object(const char *p, size_t len, enum scan_kind kind, struct scan *ret)
{
    const char *end = p + len;
    struct found found = {0};

    *ret = (struct scan){.kind = kind};
    p = skip_blank(p, end);
    if (p >= end || *p != '{') {
        ret->kind = SCAN_BAD;
        return;
    }
    for (p++; p;)
        p = walk_member(p, end, ret, &found);
    if (ret->kind == SCAN_MESSAGE && found.content.p)
        read_marker(found.content.p, found.content.len, ret);
    else if ((ret->kind == SCAN_ACK || ret->kind == SCAN_ERROR) && found.client_id.p)
        read_client_id(found.client_id.p, found.client_id.len, ret);
}

void scan_frame(const char *p, size_t len, struct scan *ret)
{
    scan_object(p, len, SCAN_OTHER, ret);
}

void scan_row(const char *p, size_t len, struct scan *ret)
{
    scan_object(p, len, SCAN_MESSAGE, ret);
}

void scan_raw(const char *p, size_t len, struct scan *ret)
{
    *ret = (struct scan){.kind = SCAN_MESSAGE};
    read_marker(p, len, ret);
}
