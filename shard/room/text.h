/*
 * text.h - measures on message text as a JavaScript client sees them. The text
 * is valid UTF-8.
 */
#pragma once

#include "common/base/slice.h"

/* Without the white space of String.prototype.trim() at both ends (ECMA-262, WhiteSpace and
 * LineTerminator). */
struct slice text_trim(struct slice s);
/* UTF-16 code units: what `length` says in JavaScript. */
size_t text_utf16_len(struct slice s);
