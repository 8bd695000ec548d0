/*
 * casefold.h - characters for comparisons of words: without case, word by word.
 * Covers the scripts that have case (Unicode simple folding of the blocks in
 * use today), from tables of ranges. Pure.
 */
#pragma once

#include "common/base/slice.h"

/* The first character of *s, which is moved behind it. s is valid UTF-8, not empty. */
uint32_t utf8_next(struct slice *s);

/* The character that stands for all cases of c. */
uint32_t casefold(uint32_t c);

enum char_class {
    CHAR_OTHER,    /* space, punctuation, symbols: ends a word */
    CHAR_WORD,     /* letters, marks, digits */
    CHAR_UNSPACED, /* of a script that writes words without spaces: each may begin or end one */
    CHAR_INVISIBLE, /* joiners, soft hyphens: as if it were not there */
};
enum char_class char_class(uint32_t c);
