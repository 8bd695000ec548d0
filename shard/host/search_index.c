/* search_index.c - see search_index.h. */
#include "shard/host/search_index.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/store/sql.h"

/* A room that is to be indexed. */
struct mark {
    struct map_node node; /* search_index.marks */
    struct list link;     /* search_index.queue, unless it is the one at work */
    uint64_t due_ms;
    bool is_again;              /* marked while it was at work */
    struct slice project, room; /* point into bytes */
    char bytes[];
};

/* A question that is out. Outlives the index. */
struct ask {
    struct search_index *index; /* NULL: gone */
};

struct search_index {
    struct env *env;
    struct store *store;
    struct shard_metrics *metrics;
    const struct search_index_events *events;
    void *owner;
    struct map marks;
    struct list queue;   /* struct mark, by due_ms */
    struct mark *work;   /* its statement is out, or waits for its retry */
    struct ask *ask;     /* of the statement */
    bool is_opening;     /* the statement is the one that makes the room's row */
    struct timer timer;  /* the next mark is due, or the retry */
    uint64_t backoff_ms; /* 0: the last statement went well */
    /* The sweep. */
    struct timer sweep_timer;
    struct ask *sweep_ask;
    char sweep_project[ID_MAX + 1], sweep_room[ID_MAX + 1]; /* looked at last */
};

static void run(struct search_index *index);

/* ---- marks ---- */

struct mark_key {
    struct slice project, room;
};

static bool mark_eq(const struct map_node *node, const void *arg)
{
    const struct mark *mark = container_of(node, const struct mark, node);
    const struct mark_key *key = arg;

    return slice_eq(mark->room, key->room) && slice_eq(mark->project, key->project);
}

static struct mark *mark_find(const struct search_index *index, struct slice project,
                              struct slice room)
{
    struct mark_key key = {project, room};
    struct map_node *node = map_find(&index->marks, hash_two(project, room), mark_eq, &key);

    return node ? container_of(node, struct mark, node) : NULL;
}

static struct mark *mark_new(struct search_index *index, struct slice project,
                             struct slice room)
{
    struct mark *mark = calloc(1, sizeof(*mark) + project.len + room.len);

    if (!mark)
        return NULL;
    memcpy(mark->bytes, project.data, project.len);
    memcpy(mark->bytes + project.len, room.data, room.len);
    mark->project = slice_of(mark->bytes, project.len);
    mark->room = slice_of(mark->bytes + project.len, room.len);
    list_init(&mark->link);
    if (map_insert(&index->marks, &mark->node, hash_two(project, room)) < 0) {
        free(mark);
        return NULL;
    }
    return mark;
}

static void mark_drop(struct search_index *index, struct mark *mark)
{
    map_remove(&index->marks, &mark->node);
    list_del(&mark->link);
    free(mark);
}

/* Behind all others: due times rise along the queue. */
static void enqueue(struct search_index *index, struct mark *mark)
{
    mark->is_again = false;
    mark->due_ms = env_now_ms(index->env) + SEARCH_INDEX_DELAY_MS;
    list_add_tail(&index->queue, &mark->link);
}

void search_index_mark(struct search_index *index, struct slice project, struct slice room)
{
    struct mark *mark = mark_find(index, project, room);

    if (mark) {
        mark->is_again = true;
        return;
    }
    mark = index->marks.count < SEARCH_DIRTY_MAX ? mark_new(index, project, room) : NULL;
    if (!mark) {
        index->metrics->search_left++;
        return;
    }
    enqueue(index, mark);
    if (!index->work)
        run(index);
}

size_t search_index_pending(const struct search_index *index)
{
    return index->marks.count;
}

/* ---- one room ---- */

static void wait_ms(struct search_index *index, uint64_t delay_ms)
{
    if (env_timer(index->env, &index->timer, delay_ms) < 0)
        log_error("search index: no memory for a timer; it rests until the next message");
}

static void retry_later(struct search_index *index)
{
    index->metrics->search_failures++;
    index->backoff_ms = index->backoff_ms ? MIN(index->backoff_ms * 2, SEARCH_RETRY_MAX_MS)
                                          : SEARCH_RETRY_MIN_MS;
    wait_ms(index, env_jitter_ms(index->env, index->backoff_ms));
}

static int ask(struct search_index *index, struct ask **ret_ask, const struct store_query *q,
               store_query_fn fn)
{
    struct ask *a = malloc(sizeof(*a));
    int r;

    if (!a)
        return -ENOMEM;
    a->index = index;
    r = index->store->ops->query(index->store, q, fn, a);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_ask = a;
    return 0;
}

/* True: the index is still here. */
static bool take_answer(struct ask *a, struct search_index **ret_index)
{
    *ret_index = a->index;
    free(a);
    return *ret_index != NULL;
}

static void on_indexed(void *arg, enum store_result result, const struct query_rows *rows,
                       bool is_duplicate);

static void start(struct search_index *index)
{
    struct mark *mark = index->work;
    struct store_query q = {.id = index->is_opening ? SQL_QUERY_search_open
                                                    : SQL_QUERY_search_index,
                            .n_params = index->is_opening ? 2 : 3,
                            .params = {{.type = QUERY_TEXT, .text = mark->project},
                                       {.type = QUERY_TEXT, .text = mark->room},
                                       {.type = QUERY_INT8, .number = SEARCH_INDEX_ROWS}}};

    if (ask(index, &index->ask, &q, on_indexed) < 0)
        retry_later(index);
}

static bool is_true(struct slice cell)
{
    return cell.len > 0 && cell.data[0] == 't';
}

/* The room of the statement is done with: next. */
static void finish(struct search_index *index)
{
    struct mark *mark = TAKE(index->work);

    index->metrics->search_rooms++;
    if (mark->is_again)
        enqueue(index, mark);
    else
        mark_drop(index, mark);
    run(index);
}

static void on_indexed(void *arg, enum store_result result, const struct query_rows *rows,
                       bool is_duplicate)
{
    struct search_index *index;

    (void)is_duplicate;
    if (!take_answer(arg, &index))
        return;
    index->ask = NULL;
    if (result == STORE_FAILED || result == STORE_BAD_DATA) {
        /* This room cannot be indexed: the others can. The store has logged why. */
        index->metrics->search_failures++;
        index->is_opening = false;
        index->work->is_again = false;
        finish(index);
        return;
    }
    if (result != STORE_OK) {
        retry_later(index);
        return;
    }
    index->backoff_ms = 0;
    if (index->is_opening) {
        index->is_opening = false;
        start(index);
        return;
    }
    if (!is_true(rows->cells[0])) { /* no row yet that says how far the room is */
        index->is_opening = true;
        start(index);
        return;
    }
    index->metrics->search_entries += strtoull(rows->cells[1].data, NULL, 10);
    if (is_true(rows->cells[2]))
        start(index); /* there is more */
    else
        finish(index);
}

/* Nothing is out: takes the next room when it is due. */
static void run(struct search_index *index)
{
    uint64_t now_ms = env_now_ms(index->env);
    struct mark *mark;

    if (list_empty(&index->queue))
        return;
    mark = list_first(&index->queue, struct mark, link);
    if (mark->due_ms > now_ms) {
        wait_ms(index, mark->due_ms - now_ms);
        return;
    }
    list_del(&mark->link);
    mark->is_again = false;
    index->work = mark;
    index->is_opening = false;
    start(index);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct search_index *index = arg;

    (void)timer;
    if (!index->work)
        run(index);
    else if (!index->ask)
        start(index);
}

/* ---- the sweep: rooms whose owner died before it had indexed them ---- */

static void sweep_later(struct search_index *index)
{
    if (env_timer(index->env, &index->sweep_timer, env_jitter_ms(index->env, SEARCH_SWEEP_MS)) <
        0)
        log_error("search index: no memory for a timer; the sweep ends");
}

static void on_swept(void *arg, enum store_result result, const struct query_rows *rows,
                     bool is_duplicate)
{
    struct search_index *index;

    (void)is_duplicate;
    if (!take_answer(arg, &index))
        return;
    index->sweep_ask = NULL;
    sweep_later(index);
    if (result != STORE_OK)
        return;
    index->sweep_project[0] = index->sweep_room[0] = 0; /* from the beginning, unless */
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct slice *row = &rows->cells[i * rows->n_columns];

        if (is_true(row[2]) && index->events->owns(index->owner, row[0], row[1]))
            search_index_mark(index, row[0], row[1]);
        if (is_true(row[3]) && row[0].len <= ID_MAX && row[1].len <= ID_MAX) {
            memcpy(index->sweep_project, row[0].data, row[0].len);
            memcpy(index->sweep_room, row[1].data, row[1].len);
            index->sweep_project[row[0].len] = index->sweep_room[row[1].len] = 0;
        }
    }
}

static void on_sweep_timer(struct timer *timer, void *arg)
{
    struct search_index *index = arg;
    struct store_query q = {
        .id = SQL_QUERY_search_behind,
        .n_params = 3,
        .params = {{.type = QUERY_TEXT, .text = slice_str(index->sweep_project)},
                   {.type = QUERY_TEXT, .text = slice_str(index->sweep_room)},
                   {.type = QUERY_INT8, .number = SEARCH_SWEEP_ROOMS}}};

    (void)timer;
    if (ask(index, &index->sweep_ask, &q, on_swept) < 0)
        sweep_later(index);
}

/* ---- life ---- */

int search_index_new(struct env *env, struct store *store, struct shard_metrics *metrics,
                     const struct search_index_events *events, void *owner,
                     struct search_index **ret_index)
{
    struct search_index *index = calloc(1, sizeof(*index));
    int r;

    if (!index)
        return -ENOMEM;
    index->env = env;
    index->store = store;
    index->metrics = metrics;
    index->events = events;
    index->owner = owner;
    map_init(&index->marks);
    list_init(&index->queue);
    timer_init(&index->timer, on_timer, index);
    timer_init(&index->sweep_timer, on_sweep_timer, index);
    r = env_timer(env, &index->sweep_timer, env_jitter_ms(env, SEARCH_SWEEP_MS));
    if (r < 0) {
        free(index);
        return r;
    }
    *ret_index = index;
    return 0;
}

static bool free_one(struct map_node *node, void *arg)
{
    (void)arg;
    free(container_of(node, struct mark, node));
    return true;
}

void search_index_free(struct search_index *index)
{
    if (!index)
        return;
    env_timer_cancel(index->env, &index->timer);
    env_timer_cancel(index->env, &index->sweep_timer);
    if (index->ask)
        index->ask->index = NULL;
    if (index->sweep_ask)
        index->sweep_ask->index = NULL;
    map_each(&index->marks, free_one, NULL);
    map_deinit(&index->marks);
    free(index);
}
