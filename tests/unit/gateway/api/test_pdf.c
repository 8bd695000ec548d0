/* test_pdf.c - documents that readers can open: every object stands where the table says, lines
 * fit, the font holds what is used; and fonts that are cut or broken. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/api/font.h"
#include "gateway/api/pdf.h"

#define FONT "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"

static int open_font(void **state)
{
    struct font_file *font;

    if (font_open(FONT, &font) < 0)
        return -1;
    *state = font;
    return 0;
}

static int close_font(void **state)
{
    font_close(*state);
    return 0;
}

static void glyphs_and_widths(void **state)
{
    struct font_file *font = *state;
    const struct ttf *ttf = &font->ttf;

    assert_true(ttf_glyph(ttf, 'A') > 0);
    assert_int_equal(ttf_width(ttf, ttf_glyph(ttf, 'A')), 684);
    assert_int_equal(ttf_width(ttf, ttf_glyph(ttf, 'i')), 277);
    assert_true(ttf_glyph(ttf, 0x416) > 0); /* Cyrillic */
    assert_int_equal(ttf_glyph(ttf, 0x6f22), 0);
    assert_int_equal(ttf_glyph(ttf, 0x1f600), 0);
}

static void take(struct pdf *pdf, struct buf *all)
{
    assert_false(pdf_failed(pdf));
    buf_put_slice(all, buf_slice(&pdf->out));
    pdf_taken(pdf);
}

static unsigned long long number_behind(const struct buf *all, const char *word)
{
    const char *at = memmem(all->data, all->len, word, strlen(word));

    assert_non_null(at);
    return strtoull(at + strlen(word), NULL, 10);
}

/* Each row of the table leads to the object of its number. */
static unsigned check_table(const struct buf *all)
{
    unsigned long long start = number_behind(all, "startxref\n");
    unsigned n = 0, objects;
    const char *row;

    assert_memory_equal(all->data + start, "xref\n0 ", 7);
    objects = (unsigned)strtoul(all->data + start + 7, NULL, 10);
    row = memchr(all->data + start + 7, '\n', 20);
    assert_non_null(row);
    row++;
    for (n = 1; n < objects; n++) {
        char want[32];

        (void)snprintf(want, sizeof(want), "%u 0 obj\n", n);
        assert_memory_equal(all->data + strtoull(row + 20 * (size_t)n, NULL, 10), want,
                            strlen(want));
    }
    return objects;
}

static void a_document_of_many_pages(void **state)
{
    struct font_file *font = *state;
    AUTO_BUF all = BUF_INIT;
    struct pdf pdf;

    assert_int_equal(pdf_init(&pdf, &font->ttf), 0);
    pdf_put(&pdf, PDF_TITLE, SLICE_LIT("A title"));
    for (int i = 0; i < 500; i++) {
        pdf_put(&pdf, PDF_HEADING, SLICE_LIT("ann"));
        pdf_put(&pdf, PDF_TEXT, SLICE_LIT("some text\nof two lines \xc3\xa9"));
        take(&pdf, &all);
        assert_true(pdf.page.len < 40000); /* what is held is one page */
    }
    pdf_end(&pdf);
    take(&pdf, &all);
    buf_put_char(&all, 0);
    assert_int_equal(check_table(&all), 8 + 2 * pdf.n_pages);
    assert_true(pdf.n_pages >= 500 * 2 * 14 / 742 && pdf.n_pages < 50);
    assert_int_equal(number_behind(&all, "/Type/Pages/Count "), pdf.n_pages);
    assert_true(all.len < 1000000); /* the font is a part of it only */
    pdf_deinit(&pdf);
}

static void an_empty_document_has_a_page(void **state)
{
    struct font_file *font = *state;
    AUTO_BUF all = BUF_INIT;
    struct pdf pdf;

    assert_int_equal(pdf_init(&pdf, &font->ttf), 0);
    pdf_end(&pdf);
    take(&pdf, &all);
    buf_put_char(&all, 0);
    assert_int_equal(check_table(&all), 10);
    pdf_deinit(&pdf);
}

/* Words that are longer than a line are broken, spaces are preferred, nothing is lost. */
static void lines_are_broken(void **state)
{
    struct font_file *font = *state;
    AUTO_BUF text = BUF_INIT;
    struct pdf pdf;
    size_t lines = 0;

    assert_int_equal(pdf_init(&pdf, &font->ttf), 0);
    for (int i = 0; i < 300; i++)
        buf_put_char(&text, 'i'); /* 277 * 10 / 1000 points each: 178 on a line */
    pdf_put(&pdf, PDF_TEXT, buf_slice(&text));
    for (size_t i = 0; i + 3 < pdf.page.len; i++)
        lines += memcmp(pdf.page.data + i, "Tj E", 4) == 0;
    assert_int_equal(lines, 2);
    pdf_deinit(&pdf);
}

static void fonts_that_are_cut_or_broken(void **state)
{
    struct font_file *font = *state;
    struct slice file = slice_of(font->bytes, font->len);
    char *copy = malloc(file.len);
    struct ttf ttf;

    assert_non_null(copy);
    for (size_t len = 0; len < 4000; len += 7) {
        assert_int_equal(ttf_init(&ttf, slice_of(file.data, len)), -EBADMSG);
        ttf_deinit(&ttf);
    }
    /* Whatever stands in it, nothing outside of it is read. */
    for (unsigned i = 0; i < 200; i++) {
        uint8_t used[TTF_USED_BYTES];
        AUTO_BUF out = BUF_INIT;

        memcpy(copy, file.data, file.len);
        for (unsigned k = 0; k < 20; k++)
            copy[(i * 7919u + k * 104729u) % (k % 2 ? 4000 : file.len)] ^= (char)(1 + i + k);
        if (ttf_init(&ttf, slice_of(copy, file.len)) == 0 && i % 10 == 0) {
            memset(used, 0xff, sizeof(used));
            ttf_write_subset(&out, &ttf, used);
        }
        ttf_deinit(&ttf);
    }
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glyphs_and_widths),
        cmocka_unit_test(a_document_of_many_pages),
        cmocka_unit_test(an_empty_document_has_a_page),
        cmocka_unit_test(lines_are_broken),
        cmocka_unit_test(fonts_that_are_cut_or_broken),
    };

    return cmocka_run_group_tests(tests, open_font, close_font);
}
