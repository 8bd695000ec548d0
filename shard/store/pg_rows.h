/*
 * pg_rows.h - parameters into and rows out of PostgreSQL's binary format. The
 * slices of rows point into the result. No connection, no callbacks.
 */
#pragma once

#include <libpq-fe.h>

#include "shard/store/pg_array.h"
#include "shard/store/store.h"

/* ---- parameters: the bytes of one request, and which statement takes which ---- */

#define PG_PARAMS_MAX QUERY_PARAMS_MAX

struct pg_params {
    struct buf data;
    size_t offset[PG_PARAMS_MAX];
    int length[PG_PARAMS_MAX];
    int n;
};

void pg_params_deinit(struct pg_params *p);
void pg_params_text(struct pg_params *p, struct slice text);
void pg_params_filled(struct pg_params *p, struct slice text); /* empty: null */
void pg_params_int8(struct pg_params *p, int64_t v);
void pg_params_time(struct pg_params *p, int64_t unix_us);
void pg_params_null(struct pg_params *p);
void pg_params_bool(struct pg_params *p, bool v);
void pg_params_array(struct pg_params *p, struct pg_array *a);
bool pg_params_failed(const struct pg_params *p);
/* The k-th parameter as libpq wants it (NULL: null); valid until the parameters change. */
const char *pg_params_value(const struct pg_params *p, int k);

/* ---- columns ---- */

int64_t pg_int8(const PGresult *result, int row, int column);
int32_t pg_int4(const PGresult *result, int row, int column);
int16_t pg_int2(const PGresult *result, int row, int column);
bool pg_bool(const PGresult *result, int row, int column);
/* 0 for null, RESTRICT_FOREVER_US for 'infinity'. */
int64_t pg_time_us(const PGresult *result, int row, int column);
struct slice pg_bytes(const PGresult *result, int row, int column);

/* ---- rows ---- */

void pg_room_row(const PGresult *result, int row, struct room_row *ret_row);
void pg_member_row(const PGresult *result, int row, struct member_row *ret_row);
void pg_restriction_row(const PGresult *result, int row, struct restriction_row *ret_row);
/* A fresh entry from the columns of enum entry_column, the first of which is `column`. NULL:
 * out of memory. */
struct entry *pg_entry(const PGresult *result, int row, int column);
