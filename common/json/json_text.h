/* json_text.h - how far a JSON string runs without anything special in it; shared by writer and
 * scanner. */
#pragma once

#include "common/base/slice.h"

#define JSON_TEXT_ONES UINT64_C(0x0101010101010101)
#define JSON_TEXT_HIGHS UINT64_C(0x8080808080808080)

/* A quote, a backslash or a control character: must be escaped in a string (RFC 8259 section
 * 7). */
static inline bool json_text_is_special(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Non-zero when one of the eight bytes is special. Which one is not said: a borrow may mark the
 * byte after a hit. */
static inline uint64_t json_text_any_special(uint64_t v)
{
    uint64_t quote = v ^ (JSON_TEXT_ONES * '"');
    uint64_t backslash = v ^ (JSON_TEXT_ONES * '\\');

    return ((v - JSON_TEXT_ONES * 0x20) & ~v & JSON_TEXT_HIGHS) |
           ((quote - JSON_TEXT_ONES) & ~quote & JSON_TEXT_HIGHS) |
           ((backslash - JSON_TEXT_ONES) & ~backslash & JSON_TEXT_HIGHS);
}

/* How many bytes at the front of s are not special. */
static inline size_t json_text_plain_run(const char *s, size_t len)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        uint64_t v;

        memcpy(&v, s + i, sizeof(v));
        if (json_text_any_special(v))
            break;
    }
    while (i < len && !json_text_is_special((unsigned char)s[i]))
        i++;
    return i;
}
