/*
 * json_scan.c - one pass over a JSON text, with a cursor and one bit per open
 * level (object or array); see json_scan.h.
 */
#include "common/json/json_scan.h"

#include "common/base/codec.h"
#include "common/json/json_text.h"

_Static_assert(JSON_DEPTH_MAX <= 64, "one bit of a word per level");
_Static_assert(ID_MAX <= CLIENT_ID_MAX, "room ids are stored beside client ids");

struct scan {
    const char *at, *end;
    uint64_t objects; /* bit d: level d + 1 is an object, else an array */
    unsigned depth;
    int answer; /* why it stopped */
};

static bool fail(struct scan *s, int answer)
{
    s->answer = answer;
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

static bool take_char(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* ---- strings ---- */

/* Four hex digits, or -1. */
static int32_t take_hex4(const char **at, const char *end)
{
    int32_t v = 0;

    if (end - *at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit((*at)[i]);

        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    *at += 4;
    return v;
}

/* After a backslash: the character that is meant, or -1. No NUL, no half of a surrogate pair
 * (as jansson). */
static int32_t take_escape(const char **at, const char *end)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *simple;
    int32_t high, low;

    if (*at == end)
        return -1;
    if (**at != 'u') {
        simple = **at ? strchr(from, **at) : NULL;
        if (!simple)
            return -1;
        (*at)++;
        return to[simple - from];
    }
    (*at)++;
    high = take_hex4(at, end);
    if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
        return -1;
    if (high < 0xd800 || high > 0xdbff)
        return high;
    if (end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return -1;
    *at += 2;
    low = take_hex4(at, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* At the opening quote. *ret_body is what lies between the quotes. */
static bool scan_string(struct scan *s, struct slice *ret_body, bool *ret_escapes)
{
    const char *start;

    if (!take_char(s, '"'))
        return fail(s, JSON_SCAN_SYNTAX);
    start = s->at;
    *ret_escapes = false;
    for (;;) {
        s->at += json_text_plain_run(s->at, (size_t)(s->end - s->at));
        if (s->at == s->end)
            return fail(s, JSON_SCAN_SYNTAX);
        if (*s->at == '"')
            break;
        if (*s->at++ != '\\' || take_escape(&s->at, s->end) < 0)
            return fail(s, JSON_SCAN_SYNTAX);
        *ret_escapes = true;
    }
    *ret_body = slice_of(start, (size_t)(s->at - start));
    s->at++;
    return true;
}

static size_t put_utf8(char *to, int32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The body has been scanned, so its escapes are right. False: longer than cap. */
static bool unescape(struct slice body, char *ret, size_t cap, size_t *ret_len)
{
    const char *at = body.data;
    const char *end = body.len ? body.data + body.len : body.data;
    size_t len = 0;

    while (at < end) {
        char character[4];
        size_t n = 1;

        if (*at == '\\') {
            at++;
            n = put_utf8(character, take_escape(&at, end));
        } else {
            character[0] = *at++;
        }
        if (n > cap - len)
            return false;
        memcpy(ret + len, character, n);
        len += n;
    }
    *ret_len = len;
    return true;
}

/* ---- other values ---- */

static bool scan_digits(struct scan *s)
{
    const char *start = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start || fail(s, JSON_SCAN_SYNTAX);
}

static bool scan_number(struct scan *s)
{
    take_char(s, '-');
    if (!take_char(s, '0') && !scan_digits(s)) /* no leading zeroes */
        return false;
    if (take_char(s, '.') && !scan_digits(s))
        return false;
    if (take_char(s, 'e') || take_char(s, 'E')) {
        if (!take_char(s, '+'))
            take_char(s, '-');
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, struct slice word)
{
    if ((size_t)(s->end - s->at) < word.len || memcmp(s->at, word.data, word.len) != 0)
        return fail(s, JSON_SCAN_SYNTAX);
    s->at += word.len;
    return true;
}

/* ---- structure ---- */

static bool open_level(struct scan *s, bool is_object)
{
    if (s->depth == JSON_DEPTH_MAX)
        return fail(s, JSON_SCAN_TOO_DEEP);
    s->objects &= ~(UINT64_C(1) << s->depth);
    s->objects |= (uint64_t)is_object << s->depth;
    s->depth++;
    s->at++;
    skip_space(s);
    return true;
}

static bool in_object(const struct scan *s)
{
    return s->objects >> (s->depth - 1) & 1;
}

/* At the end of the innermost level? Then it is closed. */
static bool close_level(struct scan *s)
{
    if (!take_char(s, in_object(s) ? '}' : ']'))
        return false;
    s->depth--;
    return true;
}

static bool scan_colon(struct scan *s)
{
    skip_space(s);
    if (!take_char(s, ':'))
        return fail(s, JSON_SCAN_SYNTAX);
    skip_space(s);
    return true;
}

static bool skip_name(struct scan *s)
{
    struct slice name;
    bool escapes;

    return scan_string(s, &name, &escapes) && scan_colon(s);
}

/* A value up to where it is whole, or, for an object or array with content, up to its first
 * value. */
static bool scan_value_start(struct scan *s, bool *ret_whole, struct json_want *value)
{
    *ret_whole = true;
    switch (s->at < s->end ? *s->at : '\0') {
    case '{':
        value->kind = JSON_KIND_OBJECT;
        if (!open_level(s, true))
            return false;
        if (close_level(s))
            return true;
        *ret_whole = false;
        return skip_name(s);
    case '[':
        value->kind = JSON_KIND_ARRAY;
        if (!open_level(s, false))
            return false;
        *ret_whole = close_level(s);
        return true;
    case '"':
        value->kind = JSON_KIND_STRING;
        return scan_string(s, &value->value, &value->has_escapes);
    case 't':
        value->kind = JSON_KIND_TRUE;
        return scan_word(s, SLICE_LIT("true"));
    case 'f':
        value->kind = JSON_KIND_FALSE;
        return scan_word(s, SLICE_LIT("false"));
    case 'n':
        value->kind = JSON_KIND_NULL;
        return scan_word(s, SLICE_LIT("null"));
    default:
        value->kind = JSON_KIND_NUMBER;
        return scan_number(s);
    }
}

/* After a value inside of a level: to the start of the next one, or past the end of the level
 * (*ret_closed). */
static bool scan_next(struct scan *s, bool *ret_closed)
{
    skip_space(s);
    *ret_closed = close_level(s);
    if (*ret_closed)
        return true;
    if (!take_char(s, ','))
        return fail(s, JSON_SCAN_SYNTAX);
    skip_space(s);
    return !in_object(s) || skip_name(s);
}

/* One value with all that is in it. */
static bool scan_value(struct scan *s, struct json_want *ret_value)
{
    const unsigned depth = s->depth;
    const char *start = s->at;
    struct json_want inner;
    bool done;

    if (!scan_value_start(s, &done, ret_value))
        return false;
    while (s->depth > depth) {
        if (!done && !scan_value_start(s, &done, &inner))
            return false;
        while (done && s->depth > depth)
            if (!scan_next(s, &done))
                return false;
    }
    if (ret_value->kind != JSON_KIND_STRING)
        ret_value->value = slice_of(start, (size_t)(s->at - start));
    return true;
}

static struct json_want *find_want(struct json_want *wants, size_t n, struct slice name,
                                   bool escapes)
{
    char plain[64]; /* no wanted name is longer */

    if (escapes) {
        if (!unescape(name, plain, sizeof(plain), &name.len))
            return NULL;
        name.data = plain;
    }
    for (size_t i = 0; i < n; i++)
        if (slice_eq_str(name, wants[i].name))
            return &wants[i];
    return NULL;
}

static bool scan_member(struct scan *s, struct json_want *wants, size_t n)
{
    struct json_want ignored;
    struct json_want *want;
    struct slice name;
    bool escapes;

    if (!scan_string(s, &name, &escapes) || !scan_colon(s))
        return false;
    want = find_want(wants, n, name, escapes);
    if (want && want->kind != JSON_KIND_NONE)
        return fail(s, JSON_SCAN_DUPLICATE);
    return scan_value(s, want ? want : &ignored);
}

static bool scan_top(struct scan *s, struct json_want *wants, size_t n)
{
    skip_space(s);
    if (s->at == s->end || *s->at != '{')
        return fail(s, s->at < s->end && strchr("[\"-0123456789tfn", *s->at) && *s->at
                           ? JSON_SCAN_NOT_OBJECT
                           : JSON_SCAN_SYNTAX);
    if (!open_level(s, true))
        return false;
    if (!close_level(s)) {
        for (;;) {
            if (!scan_member(s, wants, n))
                return false;
            skip_space(s);
            if (close_level(s))
                break;
            if (!take_char(s, ','))
                return fail(s, JSON_SCAN_SYNTAX);
            skip_space(s);
        }
    }
    skip_space(s);
    return s->at == s->end || fail(s, JSON_SCAN_SYNTAX);
}

int json_scan(struct slice text, struct json_want *wants, size_t n_wants)
{
    struct scan s = {.at = text.data, .end = text.len ? text.data + text.len : text.data};

    for (size_t i = 0; i < n_wants; i++)
        wants[i] = (struct json_want){.name = wants[i].name};
    return text.len > 0 && scan_top(&s, wants, n_wants)
               ? 0
               : (s.answer ? s.answer : JSON_SCAN_SYNTAX);
}

bool json_scan_string(const struct json_want *want, char *ret, size_t cap,
                      struct slice *ret_string)
{
    size_t len;

    if (want->kind != JSON_KIND_STRING)
        return false;
    if (!want->has_escapes) {
        if (want->value.len > cap)
            return false;
        *ret_string = want->value;
        return true;
    }
    if (!unescape(want->value, ret, cap, &len))
        return false;
    *ret_string = slice_of(ret, len);
    return true;
}

int json_scan_frame(struct slice text, struct json_frame_head *ret_head)
{
    struct json_want wants[] = {
        {.name = "type"}, {.name = "clientMessageId"}, {.name = "frameId"}, {.name = "roomId"}};
    struct slice *fields[] = {&ret_head->type, &ret_head->client_message_id,
                              &ret_head->frame_id, &ret_head->room_id};
    int r = json_scan(text, wants, ARRAY_LEN(wants));

    if (r != 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(wants); i++)
        if (!json_scan_string(&wants[i], ret_head->store[i], CLIENT_ID_MAX, fields[i]))
            *fields[i] = (struct slice){0};
    return 0;
}
