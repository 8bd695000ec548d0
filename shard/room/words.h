/*
 * words.h - does a text hold a blocked word? Compared without case, as whole
 * words ("ass" is not in "class"), invisible characters left out, runs of white
 * space as one. In scripts without spaces between words a word is found
 * wherever it stands. Pure.
 */
#pragma once

#include "common/base/slice.h"

/* The first of the words (valid UTF-8, at most BLOCKED_WORD_MAX characters each) that is in the
 * content (valid UTF-8, at most CONTENT_MAX_CHARS characters), or NULL. */
const struct slice *words_find(struct slice content, const struct slice *words, size_t n);
