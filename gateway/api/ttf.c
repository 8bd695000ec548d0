/* ttf.c - see ttf.h. */
#include "gateway/api/ttf.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/macros.h"

static unsigned u16(struct slice s, size_t at)
{
    const unsigned char *p = (const unsigned char *)s.data;

    return at + 2 <= s.len ? (unsigned)p[at] << 8 | p[at + 1] : 0;
}

static int i16(struct slice s, size_t at)
{
    return (int16_t)u16(s, at);
}

static uint32_t u32(struct slice s, size_t at)
{
    return (uint32_t)u16(s, at) << 16 | u16(s, at + 2);
}

static struct slice part(struct slice s, size_t at, size_t len)
{
    return at < s.len && len <= s.len - at ? slice_of(s.data + at, len) : slice_of(NULL, 0);
}

/* Empty when the font has none. */
static struct slice table(struct slice file, const char *tag)
{
    unsigned n = u16(file, 4);

    for (unsigned i = 0; i < n; i++) {
        size_t row = 12 + 16 * (size_t)i;

        if (row + 16 <= file.len && memcmp(file.data + row, tag, 4) == 0)
            return part(file, u32(file, row + 8), u32(file, row + 12));
    }
    return slice_of(NULL, 0);
}

/* The subtable for Unicode of the basic plane. */
static struct slice find_cmap(struct slice cmap)
{
    unsigned n = u16(cmap, 2);

    for (unsigned i = 0; i < n; i++) {
        size_t row = 4 + 8 * (size_t)i, at = u32(cmap, row + 4);
        bool is_unicode =
            u16(cmap, row) == 0 || (u16(cmap, row) == 3 && u16(cmap, row + 2) == 1);
        struct slice rest = at <= cmap.len ? part(cmap, at, cmap.len - at) : slice_of(NULL, 0);

        if (is_unicode && u16(rest, 0) == 4)
            return rest;
    }
    return slice_of(NULL, 0);
}

/* cmap format 4: segments with a delta, or with places in an array behind them. */
static void read_cmap(struct ttf *font)
{
    struct slice c = font->cmap;
    size_t n = u16(c, 6) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned end = u16(c, 14 + 2 * i), start = u16(c, 16 + 2 * n + 2 * i);
        unsigned delta = u16(c, 16 + 4 * n + 2 * i);
        size_t at = 16 + 6 * n + 2 * i;
        unsigned offset = u16(c, at);

        for (unsigned k = start; k <= end && k != 0xffff; k++) {
            unsigned glyph = offset ? u16(c, at + offset + 2 * (size_t)(k - start)) : k;

            if (glyph || !offset)
                glyph = (glyph + delta) & 0xffff;
            font->glyphs[k] = (uint16_t)(glyph < font->n_glyphs ? glyph : 0);
        }
    }
}

static bool is_whole(const struct ttf *font)
{
    size_t entry = font->has_long_offsets ? 4 : 2;

    return font->head.len >= 54 && font->hhea.len >= 36 && font->maxp.len >= 6 &&
           font->n_glyphs > 0 && font->units >= 16 && font->n_widths > 0 &&
           font->n_widths <= font->n_glyphs && font->hmtx.len >= 4 * (size_t)font->n_widths &&
           font->loca.len >= entry * (font->n_glyphs + 1) && font->glyf.len > 0 &&
           font->cmap.len >= 16;
}

int ttf_init(struct ttf *font, struct slice file)
{
    *font = (struct ttf){.file = file};
    font->head = table(file, "head");
    font->hhea = table(file, "hhea");
    font->maxp = table(file, "maxp");
    font->hmtx = table(file, "hmtx");
    font->loca = table(file, "loca");
    font->glyf = table(file, "glyf");
    font->cmap = find_cmap(table(file, "cmap"));
    font->n_glyphs = u16(font->maxp, 4);
    font->units = u16(font->head, 18);
    font->x_min = i16(font->head, 36);
    font->y_min = i16(font->head, 38);
    font->x_max = i16(font->head, 40);
    font->y_max = i16(font->head, 42);
    font->has_long_offsets = u16(font->head, 50) != 0;
    font->ascent = i16(font->hhea, 4);
    font->descent = i16(font->hhea, 6);
    font->n_widths = u16(font->hhea, 34);
    if (!is_whole(font))
        return -EBADMSG;
    font->glyphs = calloc(0x10000, sizeof(*font->glyphs));
    if (!font->glyphs)
        return -ENOMEM;
    read_cmap(font);
    return 0;
}

void ttf_deinit(struct ttf *font)
{
    free(font->glyphs);
    font->glyphs = NULL;
}

unsigned ttf_width(const struct ttf *font, unsigned glyph)
{
    return u16(font->hmtx, 4 * (size_t)MIN(glyph, font->n_widths - 1)) * 1000 / font->units;
}

/* ---- the subset ---- */

static struct slice outline(const struct ttf *font, unsigned glyph)
{
    size_t from, to;

    if (font->has_long_offsets) {
        from = u32(font->loca, 4 * (size_t)glyph);
        to = u32(font->loca, 4 * (size_t)glyph + 4);
    } else {
        from = 2 * (size_t)u16(font->loca, 2 * (size_t)glyph);
        to = 2 * (size_t)u16(font->loca, 2 * (size_t)glyph + 2);
    }
    return to > from ? part(font->glyf, from, to - from) : slice_of(NULL, 0);
}

static bool is_used(const uint8_t *used, unsigned glyph)
{
    return used[glyph / 8] & 1u << glyph % 8;
}

#define ARGS_ARE_WORDS 0x1u
#define HAS_SCALE 0x8u
#define MORE_COMPONENTS 0x20u
#define HAS_TWO_SCALES 0x40u
#define HAS_MATRIX 0x80u

/* Marks what a composite glyph is made of. True: something new. */
static bool mark_components(const struct ttf *font, unsigned glyph, uint8_t *used)
{
    struct slice o = outline(font, glyph);
    bool is_new = false;
    size_t at = 10;
    unsigned flags;

    if (i16(o, 0) >= 0)
        return false;
    do {
        unsigned component = u16(o, at + 2);

        flags = u16(o, at);
        if (component < font->n_glyphs && !is_used(used, component)) {
            used[component / 8] |= (uint8_t)(1u << component % 8);
            is_new = true;
        }
        at += flags & ARGS_ARE_WORDS ? 8 : 6;
        at += flags & HAS_MATRIX ? 8 : flags & HAS_TWO_SCALES ? 4 : flags & HAS_SCALE ? 2 : 0;
    } while ((flags & MORE_COMPONENTS) && at + 4 <= o.len);
    return is_new;
}

static void put_u32(struct buf *out, uint32_t v)
{
    const char bytes[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};

    buf_put(out, bytes, sizeof(bytes));
}

static void put_u16(struct buf *out, unsigned v)
{
    const char bytes[2] = {(char)(v >> 8), (char)v};

    buf_put(out, bytes, sizeof(bytes));
}

static uint32_t checksum(struct slice s)
{
    uint32_t sum = 0;

    for (size_t at = 0; at < s.len; at += 4) {
        uint32_t word = 0;

        for (size_t i = 0; i < 4; i++)
            word = word << 8 | (at + i < s.len ? (unsigned char)s.data[at + i] : 0);
        sum += word;
    }
    return sum;
}

struct out_table {
    const char *tag;
    struct slice data;
};

static void write_file(struct buf *out, const struct out_table *tables, unsigned n)
{
    size_t at = 12 + 16 * (size_t)n, start = out->len;
    unsigned log = 0;

    while (2u << log <= n)
        log++;
    put_u32(out, 0x00010000);
    put_u16(out, n);
    put_u16(out, 16u << log);
    put_u16(out, log);
    put_u16(out, 16 * n - (16u << log));
    for (unsigned i = 0; i < n; i++) {
        buf_put(out, tables[i].tag, 4);
        put_u32(out, checksum(tables[i].data));
        put_u32(out, (uint32_t)at);
        put_u32(out, (uint32_t)tables[i].data.len);
        at += (tables[i].data.len + 3) & ~(size_t)3;
    }
    for (unsigned i = 0; i < n; i++) {
        buf_put_slice(out, tables[i].data);
        while ((out->len - start) % 4 && !buf_failed(out))
            buf_put_char(out, 0);
    }
}

void ttf_write_subset(struct buf *out, const struct ttf *font, uint8_t used[TTF_USED_BYTES])
{
    AUTO_BUF loca = BUF_INIT;
    AUTO_BUF glyf = BUF_INIT;
    AUTO_BUF head = BUF_INIT;
    bool is_more = true;

    used[0] |= 1; /* what stands for characters that the font does not have */
    for (unsigned round = 0; is_more && round < 8; round++) { /* composites of composites */
        is_more = false;
        for (unsigned g = 0; g < font->n_glyphs; g++)
            is_more |= is_used(used, g) && mark_components(font, g, used);
    }
    for (unsigned g = 0; g < font->n_glyphs; g++) {
        put_u32(&loca, (uint32_t)glyf.len);
        if (is_used(used, g))
            buf_put_slice(&glyf, outline(font, g));
        while (glyf.len % 4 && !buf_failed(&glyf))
            buf_put_char(&glyf, 0);
    }
    put_u32(&loca, (uint32_t)glyf.len);
    buf_put_slice(&head, font->head);
    if (buf_failed(&loca) || buf_failed(&glyf) || buf_failed(&head)) {
        out->failed = true;
        return;
    }
    head.data[50] = 0;
    head.data[51] = 1; /* long offsets */
    write_file(out,
               (const struct out_table[]){{"cvt ", table(font->file, "cvt ")},
                                          {"fpgm", table(font->file, "fpgm")},
                                          {"glyf", buf_slice(&glyf)},
                                          {"head", buf_slice(&head)},
                                          {"hhea", font->hhea},
                                          {"hmtx", font->hmtx},
                                          {"loca", buf_slice(&loca)},
                                          {"maxp", font->maxp},
                                          {"prep", table(font->file, "prep")}},
               9);
}
