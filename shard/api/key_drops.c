/* key_drops.c - see key_drops.h. One statement at a time, the oldest first; a pause after each
 * that failed. */
#include "shard/api/key_drops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shard/limits.h"
#include "shard/store/sql.h"

enum { PROJECT, USER, CLIENT_KEY, OWN_KEY, N_TEXTS };

struct key_drop {
    struct list in_drops;
    uint64_t since_ms;
    struct slice texts[N_TEXTS]; /* point behind the struct */
    char bytes[];
};

struct key_drops {
    struct env *env;
    struct store *store;
    struct timer timer;
    struct list drops; /* struct key_drop.in_drops */
    size_t n;
    bool is_asking; /* about the first */
    bool is_closed;
};

static void forget(struct key_drops *d, struct key_drop *drop)
{
    list_del(&drop->in_drops);
    d->n--;
    free(drop);
}

static void forget_all(struct key_drops *d)
{
    while (!list_empty(&d->drops))
        forget(d, list_first(&d->drops, struct key_drop, in_drops));
}

static void ask(struct key_drops *d);

static void ask_later(struct key_drops *d)
{
    if (env_timer(d->env, &d->timer, env_jitter_ms(d->env, KEY_DROPS_RETRY_MS)) < 0)
        forget_all(d); /* out of memory: they count as dead by and by */
}

static void on_told(void *arg, enum store_result result, const struct query_rows *rows,
                    bool is_duplicate)
{
    struct key_drops *d = arg;

    (void)rows;
    (void)is_duplicate;
    d->is_asking = false;
    if (d->is_closed) {
        free(d);
        return;
    }
    if (result == STORE_UNAVAILABLE) {
        ask_later(d);
        return;
    }
    forget(d, list_first(&d->drops, struct key_drop, in_drops));
    ask(d);
}

static void ask(struct key_drops *d)
{
    struct store_query q = {.id = SQL_QUERY_key_drop, .n_params = N_TEXTS};
    struct key_drop *drop;

    /* By then somebody else may have taken the key over, or may at any moment. */
    while (!list_empty(&d->drops)) {
        drop = list_first(&d->drops, struct key_drop, in_drops);
        if (env_now_ms(d->env) - drop->since_ms < (uint64_t)IDEMPOTENCY_STALE_S * 1000)
            break;
        forget(d, drop);
    }
    if (list_empty(&d->drops))
        return;
    drop = list_first(&d->drops, struct key_drop, in_drops);
    for (size_t i = 0; i < N_TEXTS; i++) {
        q.params[i].type = QUERY_TEXT;
        q.params[i].text = drop->texts[i];
    }
    d->is_asking = true;
    if (d->store->ops->query(d->store, &q, on_told, d) < 0) {
        d->is_asking = false;
        ask_later(d);
    }
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    ask(arg);
}

void key_drops_add(struct key_drops *d, struct slice project, struct slice user,
                   struct slice client_key, struct slice own_key)
{
    const struct slice texts[N_TEXTS] = {project, user, client_key, own_key};
    struct key_drop *drop;
    size_t at = 0;

    if (d->n >= KEY_DROPS_MAX)
        return;
    drop = malloc(sizeof(*drop) + project.len + user.len + client_key.len + own_key.len);
    if (!drop)
        return;
    for (size_t i = 0; i < N_TEXTS; i++) {
        if (texts[i].len > 0)
            memcpy(drop->bytes + at, texts[i].data, texts[i].len);
        drop->texts[i] = slice_of(drop->bytes + at, texts[i].len);
        at += texts[i].len;
    }
    drop->since_ms = env_now_ms(d->env);
    list_add_tail(&d->drops, &drop->in_drops);
    d->n++;
    if (d->n == 1)
        ask(d);
}

int key_drops_new(struct env *env, struct store *store, struct key_drops **ret_drops)
{
    struct key_drops *d = calloc(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    d->env = env;
    d->store = store;
    list_init(&d->drops);
    timer_init(&d->timer, on_timer, d);
    *ret_drops = d;
    return 0;
}

void key_drops_free(struct key_drops *d)
{
    if (!d)
        return;
    env_timer_cancel(d->env, &d->timer);
    forget_all(d);
    d->is_closed = true;
    if (!d->is_asking)
        free(d);
}
