/*
 * query.h - a call that is answered from one statement of queries.def: its
 * parameters, the question, the rows.
 */
#pragma once

#include "shard/api/call.h"
#include "shard/store/sql.h"
#include "shard/store/store.h"

/* The statement with its first parameter, the project of the call. */
struct store_query query_of(const struct call *call, enum sql_id id);
/* Each takes the next parameter. An empty text with data NULL is null. */
void query_text(struct store_query *q, struct slice text);
void query_null(struct store_query *q);
void query_int(struct store_query *q, int64_t number);
void query_time(struct store_query *q, int64_t us); /* 0: null */
void query_bool(struct store_query *q, bool value);

static inline struct slice query_cell(const struct query_rows *rows, size_t row, size_t column)
{
    return rows->cells[row * rows->n_columns + column];
}
bool query_cell_bool(const struct query_rows *rows, size_t row, size_t column);
int64_t query_cell_int(const struct query_rows *rows, size_t row, size_t column); /* null: 0 */

/* Asks; fn goes on with the rows, valid during the call. What goes wrong is answered here. */
typedef void (*call_rows_fn)(struct call *call, const struct query_rows *rows);
void call_query(struct call *call, const struct store_query *q, call_rows_fn fn);
