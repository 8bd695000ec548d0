/* members.c - see members.h. */
#include "shard/room/members.h"

#include <errno.h>
#include <stdlib.h>

void members_init(struct members *members)
{
    map_init(&members->by_user);
    members->owners = 0;
}

static bool free_one(struct map_node *node, void *arg)
{
    (void)arg;
    free(container_of(node, struct member, node));
    return true;
}

void members_deinit(struct members *members)
{
    map_each(&members->by_user, free_one, NULL);
    map_deinit(&members->by_user);
    members->owners = 0;
}

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct slice *user = key;

    return slice_eq(container_of(node, const struct member, node)->user, *user);
}

static struct member *find(const struct members *members, struct slice user)
{
    struct map_node *node = map_find(&members->by_user, hash_slice(user), user_eq, &user);

    return node ? container_of(node, struct member, node) : NULL;
}

const struct member *members_find(const struct members *members, struct slice user)
{
    return find(members, user);
}

enum member_role members_role(const struct members *members, struct slice user)
{
    const struct member *m = find(members, user);

    return m ? m->role : ROLE_NONE;
}

static void remove_one(struct members *members, struct member *m)
{
    if (m->role == ROLE_OWNER)
        members->owners--;
    map_remove(&members->by_user, &m->node);
    free(m);
}

int members_put(struct members *members, const struct member *from)
{
    struct member *m, *old = find(members, from->user);

    m = malloc(sizeof(*m) + from->user.len + from->preferences.len);
    if (!m)
        return -ENOMEM;
    *m = *from;
    if (from->user.len > 0)
        memcpy(m->bytes, from->user.data, from->user.len);
    if (from->preferences.len > 0)
        memcpy(m->bytes + from->user.len, from->preferences.data, from->preferences.len);
    m->user.data = m->bytes;
    m->preferences.data = m->bytes + from->user.len;
    if (map_insert(&members->by_user, &m->node, hash_slice(m->user)) < 0) {
        free(m);
        return -ENOMEM;
    }
    if (m->role == ROLE_OWNER)
        members->owners++;
    if (old)
        remove_one(members, old);
    return 0;
}

int members_apply(struct members *members, struct slice user, enum member_role role,
                  int64_t at_us)
{
    struct member *m = find(members, user);
    struct member fresh = {
        .role = role, .notify_enabled = true, .joined_us = at_us, .user = user};

    if (role == ROLE_NONE) {
        if (m)
            remove_one(members, m);
        return 0;
    }
    if (!m)
        return members_put(members, &fresh);
    members->owners += (size_t)(role == ROLE_OWNER) - (size_t)(m->role == ROLE_OWNER);
    m->role = role;
    return 0;
}

int members_set_preferences(struct members *members, struct slice user, bool notify_enabled,
                            struct slice preferences, int64_t at_us)
{
    struct member *m = find(members, user);
    struct member fresh;

    if (!m || at_us <= m->preferences_us)
        return 0;
    fresh = *m;
    fresh.notify_enabled = notify_enabled;
    fresh.preferences = preferences;
    fresh.preferences_us = at_us;
    return members_put(members, &fresh);
}

struct collect {
    const struct member **found;
    size_t n;
};

static bool collect_one(struct map_node *node, void *arg)
{
    struct collect *c = arg;

    c->found[c->n++] = container_of(node, struct member, node);
    return true;
}

static int by_joining(const void *a, const void *b)
{
    const struct member *x = *(const struct member *const *)a;
    const struct member *y = *(const struct member *const *)b;
    int r;

    if (x->joined_us != y->joined_us)
        return x->joined_us < y->joined_us ? -1 : 1;
    r = memcmp(x->user.data, y->user.data, MIN(x->user.len, y->user.len));
    return r ? r : (x->user.len > y->user.len) - (x->user.len < y->user.len);
}

const struct member **members_sorted(struct members *members, size_t max, size_t *ret_n)
{
    struct collect c = {0};

    c.found = malloc((members_count(members) + 1) * sizeof(struct member *));
    if (!c.found)
        return NULL;
    map_each(&members->by_user, collect_one, &c);
    qsort(c.found, c.n, sizeof(struct member *), by_joining);
    *ret_n = MIN(c.n, max);
    return c.found;
}
