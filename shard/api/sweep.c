/* sweep.c - see sweep.h. One statement at a time, again as long as it found as much as it may
 * take, then the next kind; then a long pause. */
#include "shard/api/sweep.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/store/file_store.h"
#include "shard/store/sql.h"

enum sweep_step { STEP_FILES, STEP_KEYS, STEP_CHANGES, STEP_ROOMS, STEP_END };

struct sweep {
    struct env *env;
    struct shard_metrics *metrics;
    struct store *store;
    struct file_store *files;
    struct timer timer;
    enum sweep_step step; /* what is being swept */
};

static void rest(struct sweep *s, uint64_t ms)
{
    s->step = STEP_FILES;
    /* Re-arming in the timer's own callback needs no memory; from elsewhere it may. */
    if (env_timer(s->env, &s->timer, env_jitter_ms(s->env, ms)) < 0)
        log_warn("nothing is swept any more: out of memory");
}

static void run(struct sweep *s);

static void on_batch(struct sweep *s, enum store_result result, uint64_t n, bool more,
                     uint64_t *count)
{
    static const char *const what[] = {"unfinished files", "kept answers", "keys of changes",
                                       "rows of deleted rooms", ""};

    if (result != STORE_OK) {
        rest(s, SWEEP_RETRY_MS);
        return;
    }
    *count += n;
    if (n > 0)
        log_info("swept", L_STR("what", what[s->step]), L_U64("n", n));
    if (!more)
        s->step++;
    run(s);
}

static void on_files(void *arg, enum store_result result, uint64_t n)
{
    struct sweep *s = arg;

    on_batch(s, result, n, n >= SWEEP_BATCH, &s->metrics->files_swept);
}

static void on_keys(void *arg, enum store_result result, const struct query_rows *rows,
                    bool is_duplicate)
{
    struct sweep *s = arg;
    uint64_t n = 0;

    (void)is_duplicate;
    if (result == STORE_OK && rows->n_rows)
        n = strtoull(rows->cells[0].data, NULL, 10); /* ends in NUL */
    on_batch(s, result, n, n >= SWEEP_BATCH, &s->metrics->keys_swept);
}

static void on_changes(void *arg, enum store_result result, uint64_t n, bool more)
{
    struct sweep *s = arg;

    on_batch(s, result, n, more, &s->metrics->changes_swept);
}

static void on_rooms(void *arg, enum store_result result, uint64_t n, bool more)
{
    struct sweep *s = arg;

    on_batch(s, result, n, more, &s->metrics->room_rows_swept);
}

static int sweep_keys(struct sweep *s)
{
    struct store_query query = {.id = SQL_QUERY_key_sweep,
                                .n_params = 2,
                                .params = {{.type = QUERY_INT8, .number = IDEMPOTENCY_KEEP_S},
                                           {.type = QUERY_INT8, .number = SWEEP_BATCH}}};

    return s->store->ops->query(s->store, &query, on_keys, s);
}

static void run(struct sweep *s)
{
    int r = 0;

    switch (s->step) {
    case STEP_FILES:
        r = s->files->ops->sweep(s->files, SWEEP_BATCH, on_files, s);
        break;
    case STEP_KEYS:
        r = sweep_keys(s);
        break;
    case STEP_CHANGES:
        r = s->store->ops->sweep(s->store, SWEEP_KEYS, on_changes, s);
        break;
    case STEP_ROOMS:
        r = s->store->ops->sweep(s->store, SWEEP_ROOMS, on_rooms, s);
        break;
    case STEP_END:
        rest(s, SWEEP_MS);
        return;
    }
    if (r < 0)
        rest(s, SWEEP_RETRY_MS);
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    run(arg);
}

int sweep_new(struct env *env, struct store *store, struct shard_metrics *metrics,
              struct sweep **ret_sweep)
{
    AUTO(sweep_free) struct sweep *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    s->env = env;
    s->metrics = metrics;
    s->store = store;
    timer_init(&s->timer, on_timer, s);
    r = file_store_pg_new(store, &s->files);
    if (r == 0)
        r = env_timer(env, &s->timer, env_jitter_ms(env, SWEEP_FIRST_MS));
    if (r < 0)
        return r;
    *ret_sweep = TAKE(s);
    return 0;
}

void sweep_free(struct sweep *s)
{
    if (!s)
        return;
    env_timer_cancel(s->env, &s->timer);
    file_store_free(s->files);
    free(s);
}
