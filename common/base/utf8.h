/*
 * utf8.h - is it UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF), byte by byte if need be; and how long a text is as others
 * count. Pure.
 */
#pragma once

#include "common/base/slice.h"

/* An incremental check: zero it, feed it, ask utf8_is_complete() at the end. */
struct utf8_check {
    uint8_t need;      /* continuation bytes still to come */
    uint8_t low, high; /* the range of the next one, when need > 0 */
};

/* False at the first byte that cannot be part of UTF-8; the check is then of no more use. */
bool utf8_feed(struct utf8_check *check, struct slice bytes);
/* No character is cut in half at this point. */
static inline bool utf8_is_complete(const struct utf8_check *check)
{
    return check->need == 0;
}
bool utf8_is_valid(struct slice s);

/* Both take valid UTF-8. */
size_t utf8_code_points(struct slice s);
size_t utf8_utf16_units(struct slice s); /* what String.length says in JavaScript */
/* The longest front of s of at most max_bytes bytes that cuts no character. */
struct slice utf8_cut(struct slice s, size_t max_bytes);
/* s without the white space at both ends that JavaScript's trim() takes away. */
struct slice utf8_trim(struct slice s);
