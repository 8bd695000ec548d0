/* buf.c - growing byte buffer whose errors stick; see buf.h. */
#include "common/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_CAP 256

void buf_deinit(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_INIT;
}

/* Doubles until n more bytes fit. */
static bool buf_grow(struct buf *buf, size_t n)
{
    size_t cap = buf->cap ? buf->cap : BUF_FIRST_CAP;
    char *data;

    if (n > SIZE_MAX / 2 - buf->len) {
        buf->failed = true;
        return false;
    }
    while (cap < buf->len + n)
        cap *= 2;
    data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

char *buf_reserve(struct buf *buf, size_t n)
{
    if (buf->failed)
        return NULL;
    if ((n > buf->cap - buf->len || !buf->data) && !buf_grow(buf, n))
        return NULL;
    return buf->data + buf->len;
}

void buf_put(struct buf *buf, const void *data, size_t len)
{
    char *to = buf_reserve(buf, len);

    if (!to || len == 0)
        return;
    memcpy(to, data, len);
    buf->len += len;
}

void buf_put_slice(struct buf *buf, struct slice s)
{
    buf_put(buf, s.data, s.len);
}

void buf_put_str(struct buf *buf, const char *s)
{
    buf_put(buf, s, strlen(s));
}

void buf_put_char(struct buf *buf, char c)
{
    char *to = buf_reserve(buf, 1);

    if (!to)
        return;
    *to = c;
    buf->len++;
}

void buf_put_u64_dec(struct buf *buf, uint64_t v)
{
    char digits[20]; /* UINT64_MAX has 20 */
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    buf_put(buf, digits + at, sizeof(digits) - at);
}

void buf_put_i64_dec(struct buf *buf, int64_t v)
{
    if (v < 0)
        buf_put_char(buf, '-');
    buf_put_u64_dec(buf, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    char *to;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
        return;
    }
    to = buf_reserve(buf, (size_t)n + 1); /* vsnprintf also writes a NUL */
    if (!to)
        return;
    va_start(args, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)n;
}

void buf_drop_front(struct buf *buf, size_t n)
{
    assert(n <= buf->len);
    if (n == 0)
        return;
    buf->len -= n;
    memmove(buf->data, buf->data + n, buf->len);
}

struct blob *buf_to_blob(const struct buf *buf)
{
    return buf->failed ? NULL : blob_copy(buf_slice(buf));
}
