/* file_meta.c - see file_meta.h. */
#include "gateway/api/file_meta.h"

#include <errno.h>

#include "common/base/macros.h"
#include "common/base/utf8.h"
#include "gateway/http/request.h"
#include "gateway/http/uri.h"

/* ---- names ---- */

/* Bytes of the character at the front of s, which is UTF-8. */
static size_t char_bytes(struct slice s)
{
    uint8_t c = (uint8_t)s.data[0];

    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* U+200E, U+200F, U+202A..U+202E, U+2066..U+2069 make "exe.gpj" look like something else. */
static bool turns_direction(struct slice c)
{
    const uint8_t *b = (const uint8_t *)c.data;

    if (c.len != 3 || b[0] != 0xe2)
        return false;
    if (b[1] == 0x80)
        return b[2] == 0x8e || b[2] == 0x8f || (b[2] >= 0xaa && b[2] <= 0xae);
    return b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9;
}

/* Controls of ASCII, and of Latin-1 (U+0080..U+009F). */
static bool is_control(struct slice c)
{
    uint8_t first = (uint8_t)c.data[0];

    return first < ' ' || first == 0x7f ||
           (c.len == 2 && first == 0xc2 && (uint8_t)c.data[1] < 0xa0);
}

static struct slice base_name(struct slice path)
{
    for (size_t i = path.len; i > 0; i--) {
        if (path.data[i - 1] == '/' || path.data[i - 1] == '\\')
            return slice_of(path.data + i, path.len - i);
    }
    return path;
}

int file_name_clean(struct slice header, struct buf *out)
{
    AUTO_BUF decoded = BUF_INIT;
    AUTO_BUF kept = BUF_INIT;
    size_t n_chars = 0;
    struct slice rest;
    int r = uri_decode(header, false, &decoded);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return FILE_NAME_BAD;
    rest = base_name(buf_slice(&decoded));
    while (rest.len > 0 && n_chars < FILE_NAME_MAX_CHARS) {
        struct slice c = slice_of(rest.data, char_bytes(rest));

        rest = slice_of(rest.data + c.len, rest.len - c.len);
        if (is_control(c) || turns_direction(c))
            continue;
        buf_put_slice(&kept, c);
        n_chars++;
    }
    rest = utf8_trim(buf_slice(&kept));
    if (rest.len == 0 || slice_eq_str(rest, ".") || slice_eq_str(rest, ".."))
        rest = SLICE_LIT("file");
    buf_put_slice(out, rest);
    return buf_failed(&kept) || buf_failed(out) ? -ENOMEM : 0;
}

static bool is_attr_char(char c) /* RFC 8187 section 3.2.1 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$&+-.^_`|~", c));
}

void file_disposition_write(struct buf *out, bool is_inline, struct slice name)
{
    buf_put_str(out, is_inline ? "inline; filename=\"" : "attachment; filename=\"");
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if ((uint8_t)c >= 0xc0) /* one sign for a character */
            buf_put_char(out, '_');
        else if ((uint8_t)c < 0x80)
            buf_put_char(out, c == '"' || c == '\\' || c == '%' || c < ' ' ? '_' : c);
    }
    buf_put_str(out, "\"; filename*=UTF-8''");
    for (size_t i = 0; i < name.len; i++) {
        if (is_attr_char(name.data[i]))
            buf_put_char(out, name.data[i]);
        else
            buf_printf(out, "%%%02X", (uint8_t)name.data[i]);
    }
}

/* ---- types ---- */

static bool is_token_char(char c) /* RFC 9110 section 5.6.2 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static struct slice without_parameters(struct slice type)
{
    const char *end = type.len ? memchr(type.data, ';', type.len) : NULL;

    if (end)
        type.len = (size_t)(end - type.data);
    while (type.len && (type.data[type.len - 1] == ' ' || type.data[type.len - 1] == '\t'))
        type.len--;
    return type;
}

static bool begins(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len >= len && memcmp(s.data, prefix, len) == 0;
}

int file_type_clean(struct slice header, char ret[FILE_TYPE_MAX + 1])
{
    struct slice type = without_parameters(header);
    size_t slashes = 0;

    if (type.len == 0)
        type = SLICE_LIT("application/octet-stream");
    if (type.len > FILE_TYPE_MAX)
        return FILE_TYPE_BAD;
    for (size_t i = 0; i < type.len; i++) {
        char c = type.data[i];

        if (c == '/' ? slashes++ > 0 || i == 0 || i == type.len - 1 : !is_token_char(c))
            return FILE_TYPE_BAD;
        ret[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    ret[type.len] = '\0';
    if (slashes != 1)
        return FILE_TYPE_BAD;
    if (begins(slice_str(ret), "multipart/") || begins(slice_str(ret), "message/") ||
        strcmp(ret, "application/x-www-form-urlencoded") == 0)
        return FILE_TYPE_FORM;
    return 0;
}

bool file_type_is_inline(struct slice type)
{
    static const char *const safe[] = {
        "image/png",  "image/jpeg", "image/gif",       "image/webp",
        "image/avif", "image/bmp",  "application/pdf", "text/plain",
    };

    for (size_t i = 0; i < ARRAY_LEN(safe); i++) {
        if (slice_eq_str(type, safe[i]))
            return true;
    }
    return begins(type, "audio/") || begins(type, "video/");
}

/* ---- ranges ---- */

/* Digits at the front of *s; false: none, or more than any size has. */
static bool take_number(struct slice *s, uint64_t *ret)
{
    size_t n = 0;
    uint64_t v = 0;

    while (n < s->len && s->data[n] >= '0' && s->data[n] <= '9') {
        if (n == 18)
            return false;
        v = v * 10 + (uint64_t)(s->data[n++] - '0');
    }
    *s = slice_of(s->data + n, s->len - n);
    *ret = v;
    return n > 0;
}

int file_range_read(struct slice header, uint64_t size, uint64_t *ret_first, uint64_t *ret_last)
{
    uint64_t first = 0, last = 0;
    bool has_first, has_last;

    if (header.len < 6 || !slice_eq_nocase(slice_of(header.data, 6), "bytes="))
        return FILE_RANGE_NONE;
    header = slice_of(header.data + 6, header.len - 6);
    has_first = take_number(&header, &first);
    if (header.len == 0 || header.data[0] != '-')
        return FILE_RANGE_NONE;
    header = slice_of(header.data + 1, header.len - 1);
    has_last = take_number(&header, &last);
    if (header.len != 0 || (!has_first && !has_last) || (has_first && has_last && last < first))
        return FILE_RANGE_NONE;
    if (!has_first) { /* the last n bytes */
        if (last == 0 || size == 0)
            return FILE_RANGE_OUTSIDE;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else if (first >= size) {
        return FILE_RANGE_OUTSIDE;
    } else if (!has_last || last >= size) {
        last = size - 1;
    }
    *ret_first = first;
    *ret_last = last;
    return 0;
}
