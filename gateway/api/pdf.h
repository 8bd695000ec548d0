/*
 * pdf.h - a PDF document (ISO 32000-1) of plain text, written as it goes: pages
 * leave as they are full, and what remains to be known at the end are the places
 * of the objects and the glyphs used. One font, embedded with the glyphs that are
 * used. Pure: bytes go into a buf, which the caller empties.
 */
#pragma once

#include "gateway/api/ttf.h"

struct pdf {
    const struct ttf *font; /* borrowed */
    uint64_t written;       /* bytes that the caller has taken, and those in `out` */
    struct buf out;
    struct buf page;    /* content of the page under way */
    struct buf offsets; /* uint64_t: of each object from PDF_FIRST_PAGE on */
    unsigned n_pages;
    int y; /* where the next line stands, in points; 0: no page is open */
    uint8_t used[TTF_USED_BYTES];
    uint32_t *unicode; /* of each glyph used; owned */
    uint64_t fixed[8]; /* offsets of the objects that stand at the end */
};

enum pdf_style {
    PDF_TITLE,
    PDF_HEADING, /* small and grey; a page never ends with it */
    PDF_TEXT
};

/* -ENOMEM. */
int pdf_init(struct pdf *pdf, const struct ttf *font) MUST_CHECK;
void pdf_deinit(struct pdf *pdf);
/* A paragraph (valid UTF-8), broken into lines at spaces, else where it must; line breaks in it
 * stay. */
void pdf_put(struct pdf *pdf, enum pdf_style style, struct slice text);
/* All that remains: the last page, the font, the tables. */
void pdf_end(struct pdf *pdf);
/* Bytes to be sent; the caller takes them and calls pdf_taken(). Fails when memory was short.
 */
static inline bool pdf_failed(const struct pdf *pdf)
{
    return buf_failed(&pdf->out) || buf_failed(&pdf->page) || buf_failed(&pdf->offsets);
}
void pdf_taken(struct pdf *pdf);
