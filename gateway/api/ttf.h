/*
 * ttf.h - just enough of a TrueType font (OpenType specification 1.9, glyf
 * outlines) to set text in a PDF: which glyph a character has, how wide it is,
 * and a font file that holds no other glyphs than those used. Pure; every offset
 * of the file is checked.
 */
#pragma once

#include "common/base/buf.h"

struct ttf {
    struct slice file;
    unsigned n_glyphs, units; /* units: of the em square, in which all else is measured */
    int ascent, descent, x_min, y_min, x_max, y_max;
    unsigned n_widths; /* glyphs from here on are as wide as the last one */
    bool has_long_offsets;
    struct slice head, hhea, maxp, hmtx, loca, glyf, cmap; /* cmap: the subtable, format 4 */
    uint16_t *glyphs; /* of the characters up to U+FFFF; owned */
};

/* The file's bytes are borrowed. -EBADMSG: not such a font; -ENOMEM. Deinit in any case. */
int ttf_init(struct ttf *font, struct slice file) MUST_CHECK;
void ttf_deinit(struct ttf *font);

/* 0: the font does not have it. */
static inline unsigned ttf_glyph(const struct ttf *font, uint32_t c)
{
    return c < 0x10000 ? font->glyphs[c] : 0;
}
/* In thousandths of the em. */
unsigned ttf_width(const struct ttf *font, unsigned glyph);

/* One bit per glyph. What composite glyphs are made of is added. */
#define TTF_USED_BYTES (65536 / 8)
/* Appends a font file in which only the used glyphs have an outline. */
void ttf_write_subset(struct buf *out, const struct ttf *font, uint8_t used[TTF_USED_BYTES]);
