/*
 * pg_array.h - one-dimensional PostgreSQL arrays in the binary format, built
 * directly in a buffer: what a batch hands to its statement. Also the few
 * binary scalars that we send and read. Pure, knows no libpq.
 *
 * Errors stick in the buffer (buf_failed()), as with every encoder.
 */
#pragma once

#include "common/base/buf.h"

/* Type numbers of the element types that we use (pg_type.dat; they never change). */
enum pg_oid {
    PG_BOOL = 16,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_JSON = 114,
    PG_TIMESTAMPTZ = 1184,
    PG_UUID = 2950,
};

/* PostgreSQL counts microseconds from 2000-01-01, we from 1970-01-01. */
#define PG_EPOCH_US INT64_C(946684800000000)
/* The time 'infinity', counted from there. */
#define PG_INFINITY INT64_MAX

struct pg_array {
    struct buf buf;
    uint32_t count;
    enum pg_oid type;
};

void pg_array_init(struct pg_array *a, enum pg_oid type);
void pg_array_deinit(struct pg_array *a);
void pg_array_clear(struct pg_array *a); /* empty again, keeps the memory */

void pg_array_put_int2(struct pg_array *a, int16_t v);
void pg_array_put_int4(struct pg_array *a, int32_t v);
void pg_array_put_int8(struct pg_array *a, int64_t v);
void pg_array_put_bool(struct pg_array *a, bool v);
void pg_array_put_time(struct pg_array *a, int64_t unix_us);
void pg_array_put_bytes(struct pg_array *a, const void *data,
                        size_t len); /* text, json, uuid */
void pg_array_put_null(struct pg_array *a);

/* Completes the header; the parameter value, valid until the array changes. */
struct slice pg_array_finish(struct pg_array *a);
bool pg_array_failed(const struct pg_array *a);

/* Binary scalars, big-endian as on PostgreSQL's wire. */
void pg_write_be16(void *at, uint16_t v);
void pg_write_be32(void *at, uint32_t v);
void pg_write_be64(void *at, uint64_t v);
uint16_t pg_read_be16(const void *at);
uint32_t pg_read_be32(const void *at);
uint64_t pg_read_be64(const void *at);
