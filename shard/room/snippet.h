/*
 * snippet.h - the part of a message that a search has found, to be shown: HTML
 * in which everything is escaped but the marks, <mark> and </mark>, around the
 * words that were looked for. Pure.
 */
#pragma once

#include "common/base/buf.h"

/* Appends at most about SNIPPET_CHARS characters of the content around the first of the words
 * of the query; the last word of the query is found as the beginning of a word. An ellipsis
 * stands for what is left out. content and query are valid UTF-8. */
void snippet_write(struct buf *out, struct slice content, struct slice query);
