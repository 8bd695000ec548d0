/* limiter.c - see limiter.h. */
#include "shard/room/limiter.h"

#include <stdlib.h>

#define MINUTE_MS 60000

struct bucket {
    struct map_node node;
    struct ratelim ways[LIMITER_WAYS];
    struct slice user;
    char bytes[];
};

void limiter_init(struct limiter *limiter, uint64_t per_minute)
{
    map_init(&limiter->by_user);
    limiter->rule = ratelim_rule(per_minute, MINUTE_MS);
}

void limiter_set_rate(struct limiter *limiter, uint64_t per_minute)
{
    limiter->rule = ratelim_rule(per_minute, MINUTE_MS);
}

void limiter_set_pause(struct limiter *limiter, uint32_t seconds)
{
    limiter->rule = ratelim_rule(seconds > 0, (uint64_t)seconds * 1000);
}

static bool free_one(struct map_node *node, void *arg)
{
    (void)arg;
    free(container_of(node, struct bucket, node));
    return true;
}

void limiter_deinit(struct limiter *limiter)
{
    map_each(&limiter->by_user, free_one, NULL);
    map_deinit(&limiter->by_user);
}

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct slice *user = key;

    return slice_eq(container_of(node, const struct bucket, node)->user, *user);
}

static struct bucket *find(const struct limiter *limiter, struct slice user)
{
    struct map_node *node = map_find(&limiter->by_user, hash_slice(user), user_eq, &user);

    return node ? container_of(node, struct bucket, node) : NULL;
}

static struct bucket *add(struct limiter *limiter, struct slice user)
{
    struct bucket *b = calloc(1, sizeof(*b) + user.len);

    if (!b)
        return NULL;
    if (user.len > 0)
        memcpy(b->bytes, user.data, user.len);
    b->user = slice_of(b->bytes, user.len);
    if (map_insert(&limiter->by_user, &b->node, hash_slice(user)) < 0) {
        free(b);
        return NULL;
    }
    return b;
}

uint64_t limiter_take(struct limiter *limiter, struct slice user, enum limiter_way way,
                      uint64_t now_ms)
{
    uint64_t retry_ms;
    struct bucket *b;

    if (limiter->rule.interval_us == 0)
        return 0;
    b = find(limiter, user);
    if (!b)
        b = add(limiter, user);
    if (!b || ratelim_take(&b->ways[way], &limiter->rule, now_ms, 1, &retry_ms))
        return 0;
    return MAX(retry_ms, UINT64_C(1));
}

void limiter_refund(struct limiter *limiter, struct slice user, enum limiter_way way,
                    uint64_t now_ms)
{
    struct bucket *b = limiter->rule.interval_us ? find(limiter, user) : NULL;

    if (b && b->ways[way].full_us >= now_ms * 1000 + limiter->rule.interval_us)
        b->ways[way].full_us -= limiter->rule.interval_us;
}

struct prune {
    struct limiter *limiter;
    uint64_t now_ms;
};

static bool prune_one(struct map_node *node, void *arg)
{
    struct prune *p = arg;
    struct bucket *b = container_of(node, struct bucket, node);

    for (size_t way = 0; way < LIMITER_WAYS; way++) {
        if (!ratelim_is_idle(&b->ways[way], p->now_ms))
            return true;
    }
    map_remove(&p->limiter->by_user, node);
    free(b);
    return true;
}

void limiter_prune(struct limiter *limiter, uint64_t now_ms)
{
    struct prune p = {limiter, now_ms};

    map_each(&limiter->by_user, prune_one, &p);
}
