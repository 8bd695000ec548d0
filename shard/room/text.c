/* text.c - see text.h. */
#include "shard/room/text.h"

#include "common/base/macros.h"

/* The multi-byte white space of ECMA-262; the single bytes are in is_space_byte(). */
static const char *const wide_spaces[] = {
    "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
    "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87",
    "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
    "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf",
};

static bool is_space_byte(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes of white space at the front (or, with at_end, at the end) of s; 0: none. */
static size_t space_len(struct slice s, bool at_end)
{
    char c;

    if (s.len == 0)
        return 0;
    c = s.data[at_end ? s.len - 1 : 0];
    if (is_space_byte(c))
        return 1;
    if ((unsigned char)c < 0x80)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(wide_spaces); i++) {
        size_t len = strlen(wide_spaces[i]);

        if (s.len >= len &&
            memcmp(at_end ? s.data + s.len - len : s.data, wide_spaces[i], len) == 0)
            return len;
    }
    return 0;
}

struct slice text_trim(struct slice s)
{
    size_t n;

    while ((n = space_len(s, false)) > 0)
        s = slice_of(s.data + n, s.len - n);
    while ((n = space_len(s, true)) > 0)
        s.len -= n;
    return s;
}

size_t text_utf16_len(struct slice s)
{
    size_t units = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];

        units += (size_t)((c & 0xc0) != 0x80) + (size_t)(c >= 0xf0); /* beyond the BMP: two */
    }
    return units;
}
