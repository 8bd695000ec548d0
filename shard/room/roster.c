/* roster.c - see roster.h. */
#include "shard/room/roster.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/limits.h"

void roster_init(struct roster *roster)
{
    map_init(&roster->by_user);
    list_init(&roster->users);
    roster->n_users = roster->n_sockets = 0;
}

static void forget(struct roster *roster, struct roster_user *user)
{
    map_remove(&roster->by_user, &user->node);
    list_del(&user->link);
    roster->n_users--;
    free(user);
}

void roster_deinit(struct roster *roster)
{
    while (!list_empty(&roster->users))
        forget(roster, list_first(&roster->users, struct roster_user, link));
    map_deinit(&roster->by_user);
    roster->n_sockets = 0;
}

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct slice *user = key;

    return slice_eq(container_of(node, const struct roster_user, node)->user, *user);
}

struct roster_user *roster_find(const struct roster *roster, struct slice user)
{
    struct map_node *node = map_find(&roster->by_user, hash_slice(user), user_eq, &user);

    return node ? container_of(node, struct roster_user, node) : NULL;
}

static struct roster_user *user_new(struct slice user, struct slice info)
{
    struct roster_user *u = calloc(1, sizeof(*u) + user.len + info.len);

    if (!u)
        return NULL;
    list_init(&u->link);
    if (user.len > 0)
        memcpy(u->bytes, user.data, user.len);
    if (info.len > 0)
        memcpy(u->bytes + user.len, info.data, info.len);
    u->user = slice_of(u->bytes, user.len);
    u->info = slice_of(u->bytes + user.len, info.len);
    return u;
}

struct roster_user *roster_add(struct roster *roster, struct slice user, struct slice info)
{
    struct roster_user *u = roster_find(roster, user);

    if (!u) {
        u = user_new(user, info);
        if (!u)
            return NULL;
        if (map_insert(&roster->by_user, &u->node, hash_slice(user)) < 0) {
            free(u);
            return NULL;
        }
        list_add_tail(&roster->users, &u->link);
        roster->n_users++;
    }
    u->sockets++;
    roster->n_sockets++;
    return u;
}

bool roster_remove(struct roster *roster, struct roster_user *user)
{
    assert(user->sockets > 0);
    roster->n_sockets--;
    if (--user->sockets > 0)
        return false;
    forget(roster, user);
    return true;
}

void roster_put_users(struct buf *out, const struct roster *roster)
{
    const struct roster_user *u;

    if (roster->n_users > PRESENCE_LIST_MAX)
        return;
    list_for_each(u, &roster->users, link)
    {
        buf_put_char(out, (char)u->user.len);
        buf_put_slice(out, u->user);
    }
}

bool roster_next_user(struct slice *users, struct slice *ret_user)
{
    size_t len;

    if (users->len == 0)
        return false;
    len = (unsigned char)users->data[0];
    if (len == 0 || len > ID_MAX || len >= users->len)
        return false;
    *ret_user = slice_of(users->data + 1, len);
    *users = slice_of(users->data + 1 + len, users->len - 1 - len);
    return true;
}
