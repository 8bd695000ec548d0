/*
 * buf.h - a growing byte buffer for encoders. Errors stick: after a failed
 * allocation every append does nothing and buf_failed() is true, so an encoder
 * checks once at its end.
 */
#pragma once

#include "common/base/blob.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
    bool failed;
};

#define BUF_INIT ((struct buf){0})

void buf_deinit(struct buf *buf);
static inline void buf_deinit_auto(struct buf *buf)
{
    buf_deinit(buf);
}
#define AUTO_BUF __attribute__((cleanup(buf_deinit_auto))) struct buf

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}
static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}
static inline void buf_clear(struct buf *buf) /* keeps the memory */
{
    buf->len = 0;
    buf->failed = false;
}

/* Makes room for n more bytes and returns where they go (len is not changed), or NULL. */
char *buf_reserve(struct buf *buf, size_t n);
void buf_put(struct buf *buf, const void *data, size_t len);
void buf_put_slice(struct buf *buf, struct slice s);
void buf_put_str(struct buf *buf, const char *s);
void buf_put_char(struct buf *buf, char c);
void buf_put_u64_dec(struct buf *buf, uint64_t v); /* decimal digits */
void buf_put_i64_dec(struct buf *buf, int64_t v);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drop_front(struct buf *buf, size_t n); /* moves the rest to the front */
/* Copies the content into a fresh blob. NULL when out of memory or the buffer has failed. */
struct blob *buf_to_blob(const struct buf *buf);
