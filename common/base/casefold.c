/* casefold.c - see casefold.h. */
#include "common/base/casefold.h"

#include "common/base/macros.h"

uint32_t utf8_next(struct slice *s)
{
    const unsigned char *p = (const unsigned char *)s->data;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3fu);
    s->data += len;
    s->len -= len;
    return c;
}

/* Upper case letters of a range, and where their lower case is. */
static const struct {
    uint32_t first, last;
    int32_t by; /* lower = upper + by */
    bool pairs; /* upper and lower alternate, beginning with an upper one; by is 1 */
} cases[] = {
    {'A', 'Z', 32, false},          {0xc0, 0xd6, 32, false},
    {0xd8, 0xde, 32, false},        {0x100, 0x12f, 1, true},
    {0x132, 0x137, 1, true},        {0x139, 0x148, 1, true},
    {0x14a, 0x177, 1, true},        {0x178, 0x178, -121, false},
    {0x179, 0x17e, 1, true},        {0x1cd, 0x1dc, 1, true},
    {0x1de, 0x1ef, 1, true},        {0x1f8, 0x21f, 1, true},
    {0x222, 0x233, 1, true},        {0x246, 0x24f, 1, true},
    {0x386, 0x386, 38, false},      {0x388, 0x38a, 37, false},
    {0x38c, 0x38c, 64, false},      {0x38e, 0x38f, 63, false},
    {0x391, 0x3a1, 32, false},      {0x3a3, 0x3ab, 32, false},
    {0x3c2, 0x3c2, 1, false}, /* final sigma */
    {0x3d8, 0x3ef, 1, true},        {0x400, 0x40f, 80, false},
    {0x410, 0x42f, 32, false},      {0x460, 0x481, 1, true},
    {0x48a, 0x4bf, 1, true},        {0x4c0, 0x4c0, 15, false},
    {0x4c1, 0x4ce, 1, true},        {0x4d0, 0x52f, 1, true},
    {0x531, 0x556, 48, false},      {0x10a0, 0x10c5, 7264, false},
    {0x1c90, 0x1cba, -3008, false}, {0x1e00, 0x1e95, 1, true},
    {0x1ea0, 0x1eff, 1, true},      {0x1f08, 0x1f0f, -8, false},
    {0x1f18, 0x1f1d, -8, false},    {0x1f28, 0x1f2f, -8, false},
    {0x1f38, 0x1f3f, -8, false},    {0x1f48, 0x1f4d, -8, false},
    {0x1f68, 0x1f6f, -8, false},    {0x2160, 0x216f, 16, false},
    {0x24b6, 0x24cf, 26, false},    {0x2c00, 0x2c2f, 48, false},
    {0x2c80, 0x2ce3, 1, true},      {0xa640, 0xa66d, 1, true},
    {0xa680, 0xa69b, 1, true},      {0xff21, 0xff3a, 32, false},
    {0x10400, 0x10427, 40, false},  {0x1e900, 0x1e921, 34, false},
};

uint32_t casefold(uint32_t c)
{
    size_t low = 0, high = ARRAY_LEN(cases);

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (cases[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == ARRAY_LEN(cases) || c < cases[low].first)
        return c == 0x17f ? 's' : c == 0x212a ? 'k' : c == 0x212b ? 0xe5 : c;
    if (cases[low].pairs)
        return c + ((c - cases[low].first) % 2 == 0);
    return (uint32_t)((int32_t)c + cases[low].by);
}

static const struct {
    uint32_t first, last;
    enum char_class is;
} classes[] = {
    {0x00, '0' - 1, CHAR_OTHER},
    {'9' + 1, 'A' - 1, CHAR_OTHER},
    {'Z' + 1, '_' - 1, CHAR_OTHER},
    {'_' + 1, 'a' - 1, CHAR_OTHER},
    {'z' + 1, 0xa9, CHAR_OTHER},
    {0xab, 0xac, CHAR_OTHER},
    {0xad, 0xad, CHAR_INVISIBLE},
    {0xae, 0xb4, CHAR_OTHER},
    {0xb6, 0xb9, CHAR_OTHER},
    {0xbb, 0xbf, CHAR_OTHER},
    {0xd7, 0xd7, CHAR_OTHER},
    {0xf7, 0xf7, CHAR_OTHER},
    {0x34f, 0x34f, CHAR_INVISIBLE},
    {0x55a, 0x55f, CHAR_OTHER},
    {0x589, 0x58a, CHAR_OTHER},
    {0x5be, 0x5be, CHAR_OTHER},
    {0x5f3, 0x5f4, CHAR_OTHER},
    {0x60c, 0x60d, CHAR_OTHER},
    {0x61b, 0x61f, CHAR_OTHER},
    {0x66a, 0x66d, CHAR_OTHER},
    {0x6d4, 0x6d4, CHAR_OTHER},
    {0x964, 0x965, CHAR_OTHER},
    {0xe00, 0xeff, CHAR_UNSPACED},   /* Thai, Lao */
    {0x1000, 0x109f, CHAR_UNSPACED}, /* Burmese */
    {0x1680, 0x1680, CHAR_OTHER},
    {0x1780, 0x17ff, CHAR_UNSPACED}, /* Khmer */
    {0x180b, 0x180f, CHAR_INVISIBLE},
    {0x2000, 0x200a, CHAR_OTHER},
    {0x200b, 0x200f, CHAR_INVISIBLE},
    {0x2010, 0x2029, CHAR_OTHER},
    {0x202a, 0x202e, CHAR_INVISIBLE},
    {0x202f, 0x205f, CHAR_OTHER},
    {0x2060, 0x206f, CHAR_INVISIBLE},
    {0x20a0, 0x20cf, CHAR_OTHER},
    {0x2190, 0x245f, CHAR_OTHER},
    {0x2500, 0x2bff, CHAR_OTHER},
    {0x2e00, 0x2e7f, CHAR_OTHER},
    {0x2e80, 0x2fff, CHAR_UNSPACED},
    {0x3000, 0x3004, CHAR_OTHER},
    {0x3005, 0x3007, CHAR_UNSPACED},
    {0x3008, 0x3030, CHAR_OTHER},
    {0x3031, 0xa4cf, CHAR_UNSPACED}, /* kana, CJK, Yi */
    {0xac00, 0xd7ff, CHAR_UNSPACED}, /* Hangul: particles follow without a space */
    {0xe000, 0xf8ff, CHAR_OTHER},
    {0xf900, 0xfaff, CHAR_UNSPACED},
    {0xfd3e, 0xfd3f, CHAR_OTHER},
    {0xfe00, 0xfe0f, CHAR_INVISIBLE}, /* variation selectors */
    {0xfe10, 0xfe19, CHAR_OTHER},
    {0xfe30, 0xfe6f, CHAR_OTHER},
    {0xfeff, 0xfeff, CHAR_INVISIBLE},
    {0xff00, 0xff0f, CHAR_OTHER},
    {0xff1a, 0xff20, CHAR_OTHER},
    {0xff3b, 0xff40, CHAR_OTHER},
    {0xff5b, 0xff65, CHAR_OTHER},
    {0xff66, 0xffdf, CHAR_UNSPACED},
    {0xffe0, 0xffff, CHAR_OTHER},
    {0x1f000, 0x1faff, CHAR_OTHER}, /* emoji */
    {0x20000, 0x3ffff, CHAR_UNSPACED},
    {0xe0000, 0x10ffff, CHAR_INVISIBLE},
};

enum char_class char_class(uint32_t c)
{
    size_t low = 0, high = ARRAY_LEN(classes);

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (classes[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ARRAY_LEN(classes) && c >= classes[low].first ? classes[low].is : CHAR_WORD;
}
