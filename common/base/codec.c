/* codec.c - hex and base64; see codec.h. */
#include "common/base/codec.h"

#include <errno.h>

void hex_encode(const void *data, size_t len, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = data;

    for (size_t i = 0; i < len; i++) {
        *ret++ = digits[from[i] >> 4];
        *ret++ = digits[from[i] & 0x0f];
    }
    *ret = '\0';
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(struct slice text, uint8_t *ret, size_t len)
{
    if (text.len != 2 * len)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static const char alphabets[2][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_encode(enum base64_kind kind, const void *data, size_t len, char *ret)
{
    const char *alphabet = alphabets[kind];
    const uint8_t *from = data;
    char *to = ret;

    for (; len > 0; from += 3) {
        size_t n = MIN(len, (size_t)3);
        uint32_t group = (uint32_t)from[0] << 16;

        group |= n > 1 ? (uint32_t)from[1] << 8 : 0;
        group |= n > 2 ? (uint32_t)from[2] : 0;
        for (size_t i = 0; i < 4; i++) {
            if (i <= n)
                *to++ = alphabet[group >> (18 - 6 * i) & 0x3f];
            else if (kind == BASE64_STANDARD)
                *to++ = '=';
        }
        len -= n;
    }
    *to = '\0';
    return (size_t)(to - ret);
}

static int base64_value(enum base64_kind kind, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (kind == BASE64_URL ? '-' : '+'))
        return 62;
    if (c == (kind == BASE64_URL ? '_' : '/'))
        return 63;
    return -1;
}

/* Takes the padding away. False when it is not as it must be. */
static bool strip_padding(enum base64_kind kind, struct slice *text)
{
    if (kind == BASE64_STANDARD) {
        if (text->len % 4 != 0)
            return false;
        for (int i = 0; i < 2 && text->len > 0 && text->data[text->len - 1] == '='; i++)
            text->len--;
    }
    return text->len % 4 != 1; /* six bits make no byte */
}

int base64_decode(enum base64_kind kind, struct slice text, uint8_t *ret, size_t cap,
                  size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;

    if (!strip_padding(kind, &text))
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(kind, text.data[i]);

        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        if (len == cap)
            return -E2BIG;
        n_bits -= 8;
        ret[len++] = (uint8_t)(bits >> n_bits);
        bits &= (1u << n_bits) - 1;
    }
    if (bits != 0)
        return -EINVAL;
    *ret_len = len;
    return 0;
}
