/* store_pg_query.c - the statements of queries.def: parameters in, rows of texts out. */
#include <errno.h>
#include <stdlib.h>

#include "shard/store/pg_read.h"

static void put(struct pg_params *params, const struct query_param *p)
{
    switch (p->type) {
    case QUERY_NULL:
        pg_params_null(params);
        return;
    case QUERY_TEXT:
    case QUERY_BYTES:
        pg_params_text(params, p->text);
        return;
    case QUERY_INT8:
        pg_params_int8(params, p->number);
        return;
    case QUERY_TIME:
        pg_params_time(params, p->number);
        return;
    case QUERY_BOOL:
        pg_params_bool(params, p->number != 0);
        return;
    }
}

static void finish_query(struct pg_read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct query_rows answer = {0};
    struct slice *cells = NULL;

    if (result == STORE_OK && rows) {
        answer.n_rows = (size_t)PQntuples(rows);
        answer.n_columns = (size_t)PQnfields(rows);
        cells = calloc(answer.n_rows * answer.n_columns + 1, sizeof(*cells));
        if (!cells)
            result = STORE_UNAVAILABLE;
    }
    for (size_t i = 0; cells && i < answer.n_rows * answer.n_columns; i++) {
        int row = (int)(i / answer.n_columns), column = (int)(i % answer.n_columns);

        if (!PQgetisnull(rows, row, column))
            cells[i] = pg_bytes(rows, row, column);
    }
    answer.cells = cells;
    read->fn.query(read->arg, result, result == STORE_OK ? &answer : NULL, read->is_duplicate);
    free(cells);
}

int store_pg_query(struct store *s, const struct store_query *query, store_query_fn fn,
                   void *arg)
{
    struct store_pg *store = store_pg_of(s);
    struct pg_read *read = pg_read_new(s, arg, finish_query);
    struct pg_conn *conn = &store->queries[0];

    if (!read)
        return -ENOMEM;
    read->fn.query = fn;
    read->keeps_bad_data = true;
    for (unsigned i = 0; i < query->n_params; i++)
        put(&read->params, &query->params[i]);
    pg_read_add(read, (enum sql_id)query->id, (int)query->n_params);
    for (size_t i = 1; i < ARRAY_LEN(store->queries); i++) {
        struct pg_conn *other = &store->queries[i];

        if (pg_conn_is_ready(other) != pg_conn_is_ready(conn)
                ? pg_conn_is_ready(other)
                : pg_conn_load(other) < pg_conn_load(conn))
            conn = other;
    }
    return pg_read_start(read, conn);
}
