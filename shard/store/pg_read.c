/* pg_read.c - see pg_read.h. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "shard/store/pg_read.h"

static void read_free(struct pg_read *read)
{
    for (unsigned i = 0; i < PG_READ_STATEMENTS; i++)
        PQclear(read->results[i]);
    pg_params_deinit(&read->params);
    free(read);
}

/* ---- the request ---- */

static int read_send(struct pg_request *req, struct pg_conn *conn)
{
    struct pg_read *read = container_of(req, struct pg_read, req);

    for (unsigned i = 0; i < read->n_statements; i++) {
        const struct pg_statement *s = &read->statements[i];
        const char *values[PG_READ_ARGUMENTS];
        int lengths[PG_READ_ARGUMENTS];
        int r;

        for (int k = 0; k < s->n; k++) {
            values[k] = pg_params_value(&read->params, s->params[k]);
            lengths[k] = read->params.length[s->params[k]];
        }
        r = pg_conn_send(conn, req, s->id, s->n, values, lengths);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool read_on_result(struct pg_request *req, unsigned n, PGresult *result)
{
    struct pg_read *read = container_of(req, struct pg_read, req);

    if (n >= read->n_statements)
        return false;
    read->results[n] = result;
    return true;
}

static void read_on_end(struct pg_request *req, enum pg_end how)
{
    struct pg_read *read = container_of(req, struct pg_read, req);
    struct store_pg *s = read->store;
    enum store_result result = STORE_OK;

    s->stats.read_us += env_mono_us(s->env) - read->started_us;
    if (how == PG_END_ERROR) {
        result = pg_error_result(req->sqlstate, &read->is_duplicate);
        if (result == STORE_BAD_DATA && !read->keeps_bad_data)
            result = STORE_FAILED; /* a read with a value that the server does not take */
        if (result == STORE_UNKNOWN)
            result = STORE_UNAVAILABLE; /* that is for commits */
        log_warn("PostgreSQL refused a request", L_STR("sqlstate", req->sqlstate),
                 L_STR("statement", sql_statements[read->statements[0].id].name),
                 L_STR("advice", pg_error_advice(pg_error_of(req->sqlstate))));
    } else if (how != PG_END_OK) {
        result = STORE_UNAVAILABLE;
        s->stats.timeouts++;
    }
    read->finish(read, result);
    read_free(read);
}

struct pg_read *pg_read_new(struct store *store, void *arg,
                            void (*finish)(struct pg_read *read, enum store_result result))
{
    struct pg_read *read = calloc(1, sizeof(*read));

    if (!read)
        return NULL;
    read->req = (struct pg_request){
        .send = read_send, .on_result = read_on_result, .on_end = read_on_end};
    list_init(&read->req.link);
    read->store = store_pg_of(store);
    read->arg = arg;
    read->finish = finish;
    read->started_us = env_mono_us(read->store->env);
    return read;
}

void pg_read_add(struct pg_read *read, enum sql_id id, int n)
{
    struct pg_statement *s = &read->statements[read->n_statements++];

    s->id = id;
    s->n = n;
    for (int i = 0; i < n; i++)
        s->params[i] = i;
}

/* The project is the first parameter of every statement that is about one. */
static uint64_t tenant_of(const struct pg_read *read)
{
    const char *first = read->params.n > 0 ? pg_params_value(&read->params, 0) : NULL;

    return first ? hash_slice(slice_of(first, (size_t)read->params.length[0])) : 0;
}

int pg_read_start(struct pg_read *read, struct pg_conn *conn)
{
    int r = pg_params_failed(&read->params) ? -ENOMEM : 0;

    if (r == 0) {
        read->req.waiting.tenant = tenant_of(read);
        r = pg_conn_submit(conn, &read->req);
    }

    if (r < 0)
        read_free(read);
    else
        read->store->stats.requests++;
    return r;
}

static struct pg_conn *least_loaded(struct pg_conn *conns, size_t n)
{
    struct pg_conn *best = &conns[0];

    for (size_t i = 1; i < n; i++) {
        struct pg_conn *conn = &conns[i];

        if (pg_conn_is_ready(conn) != pg_conn_is_ready(best)
                ? pg_conn_is_ready(conn)
                : pg_conn_load(conn) < pg_conn_load(best))
            best = conn;
    }
    return best;
}

struct pg_conn *pg_read_conn(struct store *store)
{
    struct store_pg *s = store_pg_of(store);

    return least_loaded(s->reads, ARRAY_LEN(s->reads));
}

struct pg_conn *pg_lock_conn(struct store *store)
{
    struct store_pg *s = store_pg_of(store);

    return least_loaded(s->locks, ARRAY_LEN(s->locks));
}
