/* pdf.c - see pdf.h. */
#include "gateway/api/pdf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/casefold.h"
#include "common/base/macros.h"

/* A4, in points. */
#define PAGE_WIDTH 595
#define PAGE_HEIGHT 842
#define MARGIN 50
#define LINE_WIDTH (PAGE_WIDTH - 2 * MARGIN)

/* Objects: those that stand at the end have the first numbers, two for each page follow. */
enum { CATALOG = 1, PAGES, FONT, CID_FONT, DESCRIPTOR, FONT_FILE, TO_UNICODE, FIRST_PAGE };

static const struct {
    int size, leading, before; /* points */
    const char *colour;
    bool keeps_next;
} styles[] = {
    [PDF_TITLE] = {16, 22, 0, "0 g", true},
    [PDF_HEADING] = {8, 12, 8, "0.4 g", true},
    [PDF_TEXT] = {10, 14, 0, "0 g", false},
};

int pdf_init(struct pdf *pdf, const struct ttf *font)
{
    *pdf = (struct pdf){.font = font};
    pdf->unicode = calloc(font->n_glyphs, sizeof(*pdf->unicode));
    if (!pdf->unicode)
        return -ENOMEM;
    /* The second line holds bytes above 127, so that nobody takes it for text. */
    buf_put_str(&pdf->out, "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n");
    return 0;
}

void pdf_deinit(struct pdf *pdf)
{
    free(pdf->unicode);
    pdf->unicode = NULL;
    buf_deinit(&pdf->out);
    buf_deinit(&pdf->page);
    buf_deinit(&pdf->offsets);
}

void pdf_taken(struct pdf *pdf)
{
    pdf->written += pdf->out.len;
    buf_clear(&pdf->out);
}

static uint64_t here(const struct pdf *pdf)
{
    return pdf->written + pdf->out.len;
}

/* ---- pages ---- */

static void close_page(struct pdf *pdf)
{
    unsigned number = FIRST_PAGE + 2 * pdf->n_pages;
    uint64_t at;

    if (pdf->y == 0)
        return;
    at = here(pdf);
    buf_put(&pdf->offsets, &at, sizeof(at));
    buf_printf(&pdf->out,
               "%u 0 obj\n<</Type/Page/Parent %d 0 R/MediaBox[0 0 %d %d]"
               "/Resources<</Font<</F %d 0 R>>>>/Contents %u 0 R>>\nendobj\n",
               number, PAGES, PAGE_WIDTH, PAGE_HEIGHT, FONT, number + 1);
    at = here(pdf);
    buf_put(&pdf->offsets, &at, sizeof(at));
    buf_printf(&pdf->out, "%u 0 obj\n<</Length %zu>>\nstream\n", number + 1, pdf->page.len);
    buf_put_slice(&pdf->out, buf_slice(&pdf->page));
    buf_put_str(&pdf->out, "\nendstream\nendobj\n");
    pdf->n_pages++;
    pdf->y = 0;
    pdf->page.len = 0;
}

/* Makes sure that so much fits, on a new page if need be. */
static void need(struct pdf *pdf, int points)
{
    if (pdf->y > 0 && pdf->y - points < MARGIN)
        close_page(pdf);
    if (pdf->y == 0)
        pdf->y = PAGE_HEIGHT - MARGIN;
}

/* The next character as one that can be set: control characters are spaces. */
static uint32_t next_char(struct slice *s)
{
    uint32_t c = utf8_next(s);

    return c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029 ? ' ' : c;
}

/* How much of the text fits on a line of this size: up to a space if there is one. */
static size_t fit(const struct ttf *font, struct slice text, int size)
{
    unsigned limit = LINE_WIDTH * 1000u / (unsigned)size, width = 0;
    struct slice rest = text;
    size_t space = 0;

    while (rest.len > 0) {
        size_t at = text.len - rest.len;
        uint32_t c = next_char(&rest);

        width += ttf_width(font, ttf_glyph(font, c));
        if (width > limit && at > 0)
            return space > 0 ? space : at;
        if (c == ' ')
            space = text.len - rest.len;
    }
    return text.len;
}

static void put_hex(struct buf *out, unsigned v)
{
    static const char digits[] = "0123456789ABCDEF";
    const char text[4] = {digits[v >> 12 & 15], digits[v >> 8 & 15], digits[v >> 4 & 15],
                          digits[v & 15]};

    buf_put(out, text, sizeof(text));
}

static void put_line(struct pdf *pdf, enum pdf_style style, struct slice line)
{
    buf_printf(&pdf->page, "BT %s /F %d Tf %d %d Td <", styles[style].colour,
               styles[style].size, MARGIN, pdf->y - styles[style].size);
    while (line.len > 0) {
        uint32_t c = next_char(&line);
        unsigned glyph = ttf_glyph(pdf->font, c);

        if (char_class(c) == CHAR_INVISIBLE)
            continue;
        pdf->used[glyph / 8] |= (uint8_t)(1u << glyph % 8);
        if (glyph)
            pdf->unicode[glyph] = c;
        put_hex(&pdf->page, glyph);
    }
    buf_put_str(&pdf->page, "> Tj ET\n");
    pdf->y -= styles[style].leading;
}

void pdf_put(struct pdf *pdf, enum pdf_style style, struct slice text)
{
    int keep = styles[style].keeps_next ? styles[PDF_TEXT].leading : 0;

    need(pdf, styles[style].before + styles[style].leading + keep);
    if (pdf->y < PAGE_HEIGHT - MARGIN)
        pdf->y -= styles[style].before;
    while (text.len > 0 && !pdf_failed(pdf)) {
        const char *end = memchr(text.data, '\n', text.len);
        struct slice line = slice_of(text.data, end ? (size_t)(end - text.data) : text.len);
        size_t len = fit(pdf->font, line, styles[style].size);

        need(pdf, styles[style].leading);
        put_line(pdf, style, slice_of(line.data, len));
        len += len == line.len && end; /* the line break itself */
        text = slice_of(text.data + len, text.len - len);
    }
}

/* ---- the end ---- */

static void begin_object(struct pdf *pdf, unsigned number)
{
    pdf->fixed[number] = here(pdf);
    buf_printf(&pdf->out, "%u 0 obj\n", number);
}

static void put_stream(struct pdf *pdf, struct slice data, const char *more)
{
    buf_printf(&pdf->out, "<</Length %zu%s>>\nstream\n", data.len, more);
    buf_put_slice(&pdf->out, data);
    buf_put_str(&pdf->out, "\nendstream\nendobj\n");
}

static void put_pages(struct pdf *pdf)
{
    begin_object(pdf, CATALOG);
    buf_printf(&pdf->out, "<</Type/Catalog/Pages %d 0 R>>\nendobj\n", PAGES);
    begin_object(pdf, PAGES);
    buf_printf(&pdf->out, "<</Type/Pages/Count %u/Kids[", pdf->n_pages);
    for (unsigned i = 0; i < pdf->n_pages; i++)
        buf_printf(&pdf->out, "%u 0 R\n", FIRST_PAGE + 2 * i);
    buf_put_str(&pdf->out, "]>>\nendobj\n");
}

static bool is_used(const struct pdf *pdf, unsigned glyph)
{
    return pdf->used[glyph / 8] & 1u << glyph % 8;
}

static int scaled(const struct ttf *font, int v)
{
    return v * 1000 / (int)font->units;
}

static void put_font(struct pdf *pdf)
{
    const struct ttf *font = pdf->font;

    begin_object(pdf, FONT);
    buf_printf(&pdf->out,
               "<</Type/Font/Subtype/Type0/BaseFont/FLUXYA+Text/Encoding/Identity-H"
               "/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>\nendobj\n",
               CID_FONT, TO_UNICODE);
    begin_object(pdf, CID_FONT);
    buf_printf(&pdf->out,
               "<</Type/Font/Subtype/CIDFontType2/BaseFont/FLUXYA+Text"
               "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
               "/CIDToGIDMap/Identity/FontDescriptor %d 0 R/DW 0/W[",
               DESCRIPTOR);
    for (unsigned g = 0; g < font->n_glyphs; g++) {
        if (is_used(pdf, g))
            buf_printf(&pdf->out, "%u[%u]\n", g, ttf_width(font, g));
    }
    buf_put_str(&pdf->out, "]>>\nendobj\n");
    begin_object(pdf, DESCRIPTOR);
    buf_printf(&pdf->out,
               "<</Type/FontDescriptor/FontName/FLUXYA+Text/Flags 4/FontBBox[%d %d %d %d]"
               "/ItalicAngle 0/Ascent %d/Descent %d/CapHeight %d/StemV 80/FontFile2 %d 0 R>>\n"
               "endobj\n",
               scaled(font, font->x_min), scaled(font, font->y_min), scaled(font, font->x_max),
               scaled(font, font->y_max), scaled(font, font->ascent),
               scaled(font, font->descent), scaled(font, font->ascent), FONT_FILE);
}

static void put_font_file(struct pdf *pdf)
{
    AUTO_BUF file = BUF_INIT;
    char length[40];

    ttf_write_subset(&file, pdf->font, pdf->used);
    if (buf_failed(&file)) {
        pdf->out.failed = true;
        return;
    }
    begin_object(pdf, FONT_FILE);
    (void)snprintf(length, sizeof(length), "/Length1 %zu", file.len);
    put_stream(pdf, buf_slice(&file), length);
}

#define BLOCK 100

/* So that text can be copied and searched: each glyph's character. */
static void put_characters(struct buf *out, const struct pdf *pdf)
{
    unsigned total = 0, n = 0;

    for (unsigned g = 1; g < pdf->font->n_glyphs; g++)
        total += pdf->unicode[g] != 0;
    for (unsigned g = 1; g < pdf->font->n_glyphs; g++) {
        if (!pdf->unicode[g])
            continue;
        if (n % BLOCK == 0)
            buf_printf(out, "%u beginbfchar\n", MIN(total - n, (unsigned)BLOCK));
        buf_printf(out, "<%04X><%04X>\n", g, pdf->unicode[g]);
        if (++n % BLOCK == 0 || n == total)
            buf_put_str(out, "endbfchar\n");
    }
}

static void put_to_unicode(struct pdf *pdf)
{
    AUTO_BUF map = BUF_INIT;

    buf_put_str(&map, "/CIDInit/ProcSet findresource begin\n12 dict begin\nbegincmap\n"
                      "/CMapName/FluxyToUnicode def\n/CMapType 2 def\n"
                      "1 begincodespacerange\n<0000><FFFF>\nendcodespacerange\n");
    put_characters(&map, pdf);
    buf_put_str(&map, "endcmap\nCMapName currentdict/CMap defineresource pop\nend\nend\n");
    if (buf_failed(&map))
        pdf->out.failed = true;
    begin_object(pdf, TO_UNICODE);
    put_stream(pdf, buf_slice(&map), "");
}

static void put_tables(struct pdf *pdf)
{
    uint64_t start = here(pdf), at;
    size_t n = pdf->offsets.len / sizeof(at);

    buf_printf(&pdf->out, "xref\n0 %zu\n0000000000 65535 f \n", FIRST_PAGE + n);
    for (unsigned i = CATALOG; i < FIRST_PAGE; i++)
        buf_printf(&pdf->out, "%010llu 00000 n \n", (unsigned long long)pdf->fixed[i]);
    for (size_t i = 0; i < n; i++) {
        memcpy(&at, pdf->offsets.data + i * sizeof(at), sizeof(at));
        buf_printf(&pdf->out, "%010llu 00000 n \n", (unsigned long long)at);
    }
    buf_printf(&pdf->out, "trailer\n<</Size %zu/Root %d 0 R>>\nstartxref\n%llu\n%%%%EOF\n",
               FIRST_PAGE + n, CATALOG, (unsigned long long)start);
}

void pdf_end(struct pdf *pdf)
{
    need(pdf, 0); /* a document has a page */
    close_page(pdf);
    put_pages(pdf);
    put_font(pdf);
    put_to_unicode(pdf);
    put_font_file(pdf); /* adds the parts of composite glyphs to those used */
    put_tables(pdf);
}
