/*
 * font.h - the font of PDF exports: a file, mapped once at start, so that its
 * bytes are the kernel's to keep.
 */
#pragma once

#include "gateway/api/ttf.h"

struct font_file {
    struct ttf ttf;
    void *bytes; /* mapped */
    size_t len;
};

/* -errno of opening or mapping; -EBADMSG: no TrueType font. */
int font_open(const char *path, struct font_file **ret_font) MUST_CHECK;
void font_close(struct font_file *font); /* NULL does nothing */
