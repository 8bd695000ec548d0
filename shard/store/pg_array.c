/*
 * pg_array.c - see pg_array.h. Layout (array_send() in PostgreSQL), all numbers
 * big-endian:
 *
 *   int32 dimensions (1) | int32 has nulls | int32 element type
 *   int32 length | int32 lower bound (1)
 *   per element: int32 bytes (-1: null) | bytes
 */
#include "shard/store/pg_array.h"

#include <endian.h>

enum {
    AT_DIMENSIONS = 0,
    AT_NULLS = 4,
    AT_TYPE = 8,
    AT_LENGTH = 12,
    AT_LOWER = 16,
    HEADER = 20
};

void pg_write_be16(void *at, uint16_t v)
{
    v = htobe16(v);
    memcpy(at, &v, sizeof(v));
}

void pg_write_be32(void *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof(v));
}

void pg_write_be64(void *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, sizeof(v));
}

uint16_t pg_read_be16(const void *at)
{
    uint16_t v;

    memcpy(&v, at, sizeof(v));
    return be16toh(v);
}

uint32_t pg_read_be32(const void *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof(v));
    return be32toh(v);
}

uint64_t pg_read_be64(const void *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    return be64toh(v);
}

void pg_array_init(struct pg_array *a, enum pg_oid type)
{
    a->buf = BUF_INIT;
    a->type = type;
    pg_array_clear(a);
}

void pg_array_deinit(struct pg_array *a)
{
    buf_deinit(&a->buf);
}

void pg_array_clear(struct pg_array *a)
{
    static const char zero[HEADER];

    buf_clear(&a->buf);
    buf_put(&a->buf, zero, sizeof(zero));
    a->count = 0;
}

/* Appends one element of len bytes and returns where they go, or NULL. */
static char *put(struct pg_array *a, size_t len)
{
    char *at = buf_reserve(&a->buf, 4 + len);

    if (!at)
        return NULL;
    pg_write_be32(at, (uint32_t)len);
    a->buf.len += 4 + len;
    a->count++;
    return at + 4;
}

void pg_array_put_int2(struct pg_array *a, int16_t v)
{
    char *at = put(a, 2);

    if (at)
        pg_write_be16(at, (uint16_t)v);
}

void pg_array_put_int4(struct pg_array *a, int32_t v)
{
    char *at = put(a, 4);

    if (at)
        pg_write_be32(at, (uint32_t)v);
}

void pg_array_put_int8(struct pg_array *a, int64_t v)
{
    char *at = put(a, 8);

    if (at)
        pg_write_be64(at, (uint64_t)v);
}

void pg_array_put_bool(struct pg_array *a, bool v)
{
    char *at = put(a, 1);

    if (at)
        *at = v ? 1 : 0;
}

void pg_array_put_time(struct pg_array *a, int64_t unix_us)
{
    pg_array_put_int8(a, unix_us - PG_EPOCH_US);
}

void pg_array_put_bytes(struct pg_array *a, const void *data, size_t len)
{
    char *at = put(a, len);

    if (at && len > 0)
        memcpy(at, data, len);
}

void pg_array_put_null(struct pg_array *a)
{
    char *at = buf_reserve(&a->buf, 4);

    if (!at)
        return;
    pg_write_be32(at, UINT32_MAX);
    a->buf.len += 4;
    a->count++;
    pg_write_be32(a->buf.data + AT_NULLS, 1);
}

struct slice pg_array_finish(struct pg_array *a)
{
    if (buf_failed(&a->buf))
        return (struct slice){0};
    pg_write_be32(a->buf.data + AT_TYPE, (uint32_t)a->type);
    if (a->count == 0) /* no dimension at all: the empty array */
        return slice_of(a->buf.data, AT_LENGTH);
    pg_write_be32(a->buf.data + AT_DIMENSIONS, 1);
    pg_write_be32(a->buf.data + AT_LENGTH, a->count);
    pg_write_be32(a->buf.data + AT_LOWER, 1);
    return buf_slice(&a->buf);
}

bool pg_array_failed(const struct pg_array *a)
{
    return buf_failed(&a->buf);
}
