/* restrictions.c - see restrictions.h. */
#include "shard/room/restrictions.h"

#include <errno.h>
#include <stdlib.h>

void restrictions_init(struct restrictions *restrictions)
{
    map_init(&restrictions->by_user);
}

static bool free_one(struct map_node *node, void *arg)
{
    (void)arg;
    free(container_of(node, struct restriction, node));
    return true;
}

void restrictions_deinit(struct restrictions *restrictions)
{
    map_each(&restrictions->by_user, free_one, NULL);
    map_deinit(&restrictions->by_user);
}

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct slice *user = key;

    return slice_eq(container_of(node, const struct restriction, node)->user, *user);
}

static struct restriction *find(const struct restrictions *restrictions, struct slice user)
{
    struct map_node *node =
        restrictions->by_user.count
            ? map_find(&restrictions->by_user, hash_slice(user), user_eq, &user)
            : NULL;

    return node ? container_of(node, struct restriction, node) : NULL;
}

int restrictions_put(struct restrictions *restrictions, struct slice user, int64_t muted_us,
                     int64_t banned_us)
{
    struct restriction *r = find(restrictions, user);

    if (muted_us == 0 && banned_us == 0) {
        if (r)
            map_remove(&restrictions->by_user, &r->node);
        free(r);
        return 0;
    }
    if (!r) {
        r = calloc(1, sizeof(*r) + user.len);
        if (!r)
            return -ENOMEM;
        memcpy(r->bytes, user.data, user.len);
        r->user = slice_of(r->bytes, user.len);
        if (map_insert(&restrictions->by_user, &r->node, hash_slice(user)) < 0) {
            free(r);
            return -ENOMEM;
        }
    }
    r->muted_us = muted_us;
    r->banned_us = banned_us;
    return 0;
}

struct prune {
    struct restrictions *restrictions;
    int64_t now_us;
};

static bool prune_one(struct map_node *node, void *arg)
{
    struct restriction *r = container_of(node, struct restriction, node);
    struct prune *p = arg;

    if (r->muted_us > p->now_us || r->banned_us > p->now_us)
        return true;
    map_remove(&p->restrictions->by_user, node);
    free(r);
    return true;
}

void restrictions_prune(struct restrictions *restrictions, int64_t now_us)
{
    struct prune p = {restrictions, now_us};

    map_each(&restrictions->by_user, prune_one, &p);
}

int64_t restrictions_muted(const struct restrictions *restrictions, struct slice user,
                           int64_t now_us)
{
    const struct restriction *r = find(restrictions, user);

    return r && r->muted_us > now_us ? r->muted_us : 0;
}

int64_t restrictions_banned(const struct restrictions *restrictions, struct slice user,
                            int64_t now_us)
{
    const struct restriction *r = find(restrictions, user);

    return r && r->banned_us > now_us ? r->banned_us : 0;
}
