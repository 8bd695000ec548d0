/* file_store_pg.c - files in PostgreSQL, a row per piece; statements in queries_files.def. */
#include <errno.h>
#include <stdlib.h>

#include "shard/limits.h"
#include "shard/store/file_store.h"
#include "shard/store/sql.h"

struct file_store_pg {
    struct file_store base;
    struct store *store;
};

/* One statement under way. */
struct question {
    union {
        file_done_fn done;
        file_stat_fn stat;
        file_piece_fn piece;
        file_sweep_fn sweep;
    } fn;
    void *arg;
    bool wants_row; /* no row, or a zero: not found */
};

static struct query_param text(struct slice s)
{
    return (struct query_param){.type = s.data ? QUERY_TEXT : QUERY_NULL, .text = s};
}

static struct query_param number(uint64_t n)
{
    return (struct query_param){.type = QUERY_INT8, .number = (int64_t)n};
}

static struct store_query query_of(unsigned sql, const struct file_id *id)
{
    return (struct store_query){
        .id = sql, .n_params = 2, .params = {text(id->project), text(id->key)}};
}

static int ask(struct file_store *files, const struct store_query *query,
               const struct question *question, store_query_fn fn)
{
    struct store *store = ((struct file_store_pg *)files)->store;
    struct question *q = malloc(sizeof(*q));
    int r;

    if (!q)
        return -ENOMEM;
    *q = *question;
    r = store->ops->query(store, query, fn, q);
    if (r < 0)
        free(q);
    return r;
}

static uint64_t cell_number(struct slice cell)
{
    return cell.data ? strtoull(cell.data, NULL, 10) : 0; /* ends in NUL */
}

/* ---- answers ---- */

static void on_done(void *arg, enum store_result result, const struct query_rows *rows,
                    bool is_duplicate)
{
    struct question *q = arg;

    (void)is_duplicate;
    if (result == STORE_OK && q->wants_row &&
        (rows->n_rows == 0 || cell_number(rows->cells[0]) == 0))
        result = STORE_NOT_FOUND;
    q->fn.done(q->arg, result);
    free(q);
}

static void on_stat(void *arg, enum store_result result, const struct query_rows *rows,
                    bool is_duplicate)
{
    struct question *q = arg;
    struct file_row file = {0};

    (void)is_duplicate;
    if (result == STORE_OK && rows->n_rows == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK)
        file = (struct file_row){.room = rows->cells[0],
                                 .user = rows->cells[1],
                                 .name = rows->cells[2],
                                 .content_type = rows->cells[3],
                                 .size = cell_number(rows->cells[4])};
    q->fn.stat(q->arg, result, result == STORE_OK ? &file : NULL);
    free(q);
}

static void on_piece(void *arg, enum store_result result, const struct query_rows *rows,
                     bool is_duplicate)
{
    struct question *q = arg;

    (void)is_duplicate;
    if (result == STORE_OK && rows->n_rows == 0)
        result = STORE_NOT_FOUND;
    q->fn.piece(q->arg, result, result == STORE_OK ? rows->cells[0] : slice_of(NULL, 0));
    free(q);
}

static void on_swept(void *arg, enum store_result result, const struct query_rows *rows,
                     bool is_duplicate)
{
    struct question *q = arg;

    (void)is_duplicate;
    q->fn.sweep(q->arg, result,
                result == STORE_OK && rows->n_rows ? cell_number(rows->cells[0]) : 0);
    free(q);
}

/* ---- operations ---- */

static int create(struct file_store *s, const struct file_id *id, const struct file_row *file,
                  file_done_fn fn, void *arg)
{
    struct store_query query = query_of(SQL_QUERY_file_create, id);
    struct question q = {.fn.done = fn, .arg = arg};

    query.params[query.n_params++] = text(file->room);
    query.params[query.n_params++] = text(file->user);
    query.params[query.n_params++] = text(file->name);
    query.params[query.n_params++] = text(file->content_type);
    return ask(s, &query, &q, on_done);
}

static int put(struct file_store *s, const struct file_id *id, uint32_t n, struct slice data,
               file_done_fn fn, void *arg)
{
    struct store_query query = query_of(SQL_QUERY_file_put, id);
    struct question q = {.fn.done = fn, .arg = arg, .wants_row = true};

    query.params[query.n_params++] = number(n);
    query.params[query.n_params++] = (struct query_param){.type = QUERY_BYTES, .text = data};
    return ask(s, &query, &q, on_done);
}

static int finish(struct file_store *s, const struct file_id *id, uint64_t size,
                  uint32_t n_pieces, file_done_fn fn, void *arg)
{
    struct store_query query = query_of(SQL_QUERY_file_finish, id);
    struct question q = {.fn.done = fn, .arg = arg, .wants_row = true};

    query.params[query.n_params++] = number(size);
    query.params[query.n_params++] = number(n_pieces);
    return ask(s, &query, &q, on_done);
}

static int stat_file(struct file_store *s, const struct file_id *id, file_stat_fn fn, void *arg)
{
    struct store_query query = query_of(SQL_QUERY_file_stat, id);
    struct question q = {.fn.stat = fn, .arg = arg};

    return ask(s, &query, &q, on_stat);
}

static int get(struct file_store *s, const struct file_id *id, uint32_t n, file_piece_fn fn,
               void *arg)
{
    struct store_query query = query_of(SQL_QUERY_file_get, id);
    struct question q = {.fn.piece = fn, .arg = arg};

    query.params[query.n_params++] = number(n);
    return ask(s, &query, &q, on_piece);
}

static int remove_file(struct file_store *s, const struct file_id *id, file_done_fn fn,
                       void *arg)
{
    struct store_query query = query_of(SQL_QUERY_file_remove, id);
    struct question q = {.fn.done = fn, .arg = arg};

    return ask(s, &query, &q, on_done);
}

static int sweep(struct file_store *s, uint32_t max, file_sweep_fn fn, void *arg)
{
    struct store_query query = {.id = SQL_QUERY_file_sweep,
                                .n_params = 2,
                                .params = {number(FILE_UNFINISHED_S), number(max)}};
    struct question q = {.fn.sweep = fn, .arg = arg};

    return ask(s, &query, &q, on_swept);
}

static void free_store(struct file_store *s)
{
    free(s);
}

static const struct file_store_ops pg_ops = {
    .create = create,
    .put = put,
    .finish = finish,
    .stat = stat_file,
    .get = get,
    .remove = remove_file,
    .sweep = sweep,
    .free = free_store,
};

int file_store_pg_new(struct store *store, struct file_store **ret_files)
{
    struct file_store_pg *files = calloc(1, sizeof(*files));

    if (!files)
        return -ENOMEM;
    files->base.ops = &pg_ops;
    files->store = store;
    *ret_files = &files->base;
    return 0;
}
