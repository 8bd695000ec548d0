/* query.c - see query.h. */
#include "shard/api/query.h"

#include <assert.h>
#include <stdlib.h>

#include "shard/host/host.h"

static struct query_param *next(struct store_query *q, enum query_type type)
{
    struct query_param *p = &q->params[q->n_params];

    assert(q->n_params < QUERY_PARAMS_MAX);
    q->n_params++;
    p->type = type;
    return p;
}

void query_text(struct store_query *q, struct slice text)
{
    next(q, text.data ? QUERY_TEXT : QUERY_NULL)->text = text;
}

void query_null(struct store_query *q)
{
    (void)next(q, QUERY_NULL);
}

void query_int(struct store_query *q, int64_t number)
{
    next(q, QUERY_INT8)->number = number;
}

void query_time(struct store_query *q, int64_t us)
{
    next(q, us ? QUERY_TIME : QUERY_NULL)->number = us;
}

void query_bool(struct store_query *q, bool value)
{
    next(q, QUERY_BOOL)->number = value;
}

struct store_query query_of(const struct call *call, enum sql_id id)
{
    struct store_query q = {.id = id};

    query_text(&q, call->project);
    return q;
}

bool query_cell_bool(const struct query_rows *rows, size_t row, size_t column)
{
    struct slice cell = query_cell(rows, row, column);

    return cell.len > 0 && cell.data[0] == 't';
}

int64_t query_cell_int(const struct query_rows *rows, size_t row, size_t column)
{
    struct slice cell = query_cell(rows, row, column);

    return cell.data ? strtoll(cell.data, NULL, 10) : 0; /* ends in NUL */
}

static void on_rows(void *arg, enum store_result result, const struct query_rows *rows,
                    bool is_duplicate)
{
    struct call *call = arg;

    (void)is_duplicate;
    call->is_writing = false;
    if (!call_release(call))
        return;
    switch (result) {
    case STORE_OK:
        call->on_rows(call, rows);
        return;
    case STORE_BAD_DATA:
        call_refuse(call, ERROR_bad_request, "a value that cannot be stored", 0);
        return;
    case STORE_FAILED:
        call_refuse(call, ERROR_internal_error, "", 0);
        return;
    case STORE_NOT_FOUND:
    case STORE_UNAVAILABLE:
    case STORE_UNKNOWN:
        call_refuse(call, ERROR_unavailable, "", 0);
        return;
    }
}

void call_query(struct call *call, const struct store_query *q, call_rows_fn fn)
{
    struct store *store = call->host->store;

    call->on_rows = fn;
    call_hold(call);
    if (store->ops->query(store, q, on_rows, call) < 0 && call_release(call))
        call_refuse(call, ERROR_unavailable, "", 0);
}
