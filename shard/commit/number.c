/*
 * number.c - the numbers of entries: ids from blocks fetched ahead, and
 * createdAt.
 */
#include "shard/commit/commit_priv.h"
#include "shard/limits.h"

#define MS_US 1000

int64_t commit_next_created_us(int64_t last_us, int64_t now_us)
{
    int64_t now = now_us - now_us % MS_US;
    int64_t next = last_us - last_us % MS_US + MS_US;

    if (now > last_us)
        return now;
    if (next - now < CREATED_AHEAD_MAX_MS * MS_US)
        return next;
    return last_us + 1;
}

/* ---- ids ---- */

static bool range_is_empty(const struct id_range *range)
{
    return range->next >= range->end;
}

static void ids_on_block(void *arg, enum store_result result, int64_t first, uint32_t count)
{
    struct committer *c = arg;
    struct id_range block = {first, first + count};

    c->fetching_ids = false;
    if (result != STORE_OK) {
        c->ids_backoff_ms = MIN(MAX(c->ids_backoff_ms * 2, (uint64_t)COMMIT_RETRY_MIN_MS),
                                (uint64_t)COMMIT_RETRY_MAX_MS);
        committer_arm(c, &c->ids_timer, env_jitter_ms(c->env, c->ids_backoff_ms));
        return;
    }
    c->ids_backoff_ms = 0;
    if (c->forget_fetched)
        c->forget_fetched = false;
    else if (range_is_empty(&c->ids))
        c->ids = block;
    else
        c->spare_ids = block;
    ids_want(c);
    committer_kick_later(c);
}

static void ids_on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    ids_want(arg);
}

void ids_init(struct committer *c)
{
    timer_init(&c->ids_timer, ids_on_timer, c);
}

void ids_want(struct committer *c)
{
    if (c->fetching_ids || timer_is_armed(&c->ids_timer) || !range_is_empty(&c->spare_ids))
        return;
    c->fetching_ids = true;
    if (c->store->ops->id_block(c->store, ids_on_block, c) < 0)
        ids_on_block(c, STORE_UNAVAILABLE, 0, 0);
}

bool ids_take(struct committer *c, int64_t floor, int64_t *ret_id)
{
    /* Blocks rise: one that lies below the floor is of no use for this room, and the newer one
     * serves the others. */
    for (int i = 0; i < 2 && (range_is_empty(&c->ids) || c->ids.next <= floor); i++) {
        c->ids = c->spare_ids;
        c->spare_ids = (struct id_range){0};
    }
    ids_want(c);
    if (range_is_empty(&c->ids) || c->ids.next <= floor)
        return false;
    *ret_id = c->ids.next++;
    return true;
}

void committer_forget_ids(struct committer *c)
{
    c->ids = c->spare_ids = (struct id_range){0};
    c->forget_fetched = c->fetching_ids;
    ids_want(c);
}
