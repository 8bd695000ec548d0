/*
 * words.h - does a text hold a blocked word? Compared without case, as whole
 * words ("ass" is not in "class"), invisible characters left out, runs of white
 * space as one. In scripts without spaces between words a word is found
 * wherever it stands. Pure.
 */
#pragma once

#include "common/base/slice.h"

/*
 * The first place in the content (valid UTF-8) at which one of the words (valid UTF-8, at most
 * BLOCKED_WORD_MAX characters each) stands, in bytes; content.len when there is none. is_open:
 * the text goes on, so what stands at its very end may be the beginning of another word, and is
 * not found.
 */
size_t words_find(struct slice content, const struct slice *words, size_t n, bool is_open);
