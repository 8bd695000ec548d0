/* utf8.c - UTF-8 checking and counting; see utf8.h. */
#include "common/base/utf8.h"

#define HIGHS UINT64_C(0x8080808080808080)

/* How many bytes at the front are ASCII, eight at a time. */
static size_t ascii_run(const char *s, size_t len)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        uint64_t v;

        memcpy(&v, s + i, sizeof(v));
        if (v & HIGHS)
            break;
    }
    while (i < len && (unsigned char)s[i] < 0x80)
        i++;
    return i;
}

/* The table of RFC 3629 section 4: what the second byte may be depends on the first. */
static bool begin_character(struct utf8_check *check, unsigned char c)
{
    check->low = 0x80;
    check->high = 0xbf;
    if (c < 0xc2 || c > 0xf4)
        return false; /* continuation, overlong, or above U+10FFFF */
    if (c < 0xe0) {
        check->need = 1;
    } else if (c < 0xf0) {
        check->need = 2;
        if (c == 0xe0)
            check->low = 0xa0; /* overlong */
        else if (c == 0xed)
            check->high = 0x9f; /* surrogates */
    } else {
        check->need = 3;
        if (c == 0xf0)
            check->low = 0x90; /* overlong */
        else if (c == 0xf4)
            check->high = 0x8f; /* above U+10FFFF */
    }
    return true;
}

bool utf8_feed(struct utf8_check *check, struct slice bytes)
{
    size_t i = 0;

    while (i < bytes.len) {
        unsigned char c;

        if (check->need == 0) {
            i += ascii_run(bytes.data + i, bytes.len - i);
            if (i == bytes.len)
                break;
            if (!begin_character(check, (unsigned char)bytes.data[i++]))
                return false;
            continue;
        }
        c = (unsigned char)bytes.data[i++];
        if (c < check->low || c > check->high)
            return false;
        check->need--;
        check->low = 0x80;
        check->high = 0xbf;
    }
    return true;
}

bool utf8_is_valid(struct slice s)
{
    struct utf8_check check = {0};

    return utf8_feed(&check, s) && utf8_is_complete(&check);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t utf8_code_points(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += !is_continuation(s.data[i]);
    return n;
}

size_t utf8_utf16_units(struct slice s)
{
    size_t n = 0;

    /* Characters of four bytes are a surrogate pair. */
    for (size_t i = 0; i < s.len; i++)
        n += (size_t)!is_continuation(s.data[i]) + ((unsigned char)s.data[i] >= 0xf0);
    return n;
}

struct slice utf8_cut(struct slice s, size_t max_bytes)
{
    if (s.len <= max_bytes)
        return s;
    s.len = max_bytes;
    while (s.len > 0 && is_continuation(s.data[s.len]))
        s.len--;
    return s;
}

/* Bytes of the white space character at p (ECMA-262: WhiteSpace and LineTerminator), 0 for
 * another one. */
static size_t space_len(const char *p, size_t len)
{
    static const char *const wide[] = {
        "\xc2\xa0",                                                     /* U+00A0 */
        "\xe1\x9a\x80",                                                 /* U+1680 */
        "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", /* U+2000.. */
        "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
        "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", /* U+2028, U+2029 */
        "\xe2\x80\xaf",                                                 /* U+202F */
        "\xe2\x81\x9f",                                                 /* U+205F */
        "\xe3\x80\x80",                                                 /* U+3000 */
        "\xef\xbb\xbf",                                                 /* U+FEFF */
    };

    if (len == 0)
        return 0;
    if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        return 1;
    if ((unsigned char)*p < 0x80)
        return 0;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        size_t n = strlen(wide[i]);

        if (n <= len && memcmp(p, wide[i], n) == 0)
            return n;
    }
    return 0;
}

struct slice utf8_trim(struct slice s)
{
    size_t n;

    while ((n = space_len(s.data, s.len)) > 0) {
        s.data += n;
        s.len -= n;
    }
    while (s.len > 0) {
        size_t start = s.len - 1; /* of the last character */

        while (start > 0 && is_continuation(s.data[start]))
            start--;
        if (space_len(s.data + start, s.len - start) != s.len - start)
            break;
        s.len = start;
    }
    return s;
}
