/* local_user.c - the sockets of each user on this gateway; see local_user.h. */
#include "gateway/session/local_user.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/session/intern.h"
#include "gateway/session/sessions.h"

struct user_key {
    struct slice project, user;
};

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct local_user *user = container_of(node, const struct local_user, node);
    const struct user_key *k = key;

    return slice_eq(local_user_id(user), k->user) &&
           slice_eq(intern_slice(user->project), k->project);
}

struct local_user *local_user_find(const struct sessions *all, struct slice project,
                                   struct slice user)
{
    struct user_key key = {project, user};
    struct map_node *node = map_find(&all->users, hash_two(project, user), user_eq, &key);

    return node ? container_of(node, struct local_user, node) : NULL;
}

static void free_user(struct local_user *user)
{
    intern_put(user->project);
    free(user);
}

int local_user_get(struct sessions *all, struct slice project, struct slice id,
                   struct local_user **ret_user)
{
    struct local_user *user = local_user_find(all, project, id);
    int r;

    if (user) {
        *ret_user = user;
        return 0;
    }
    if (id.len == 0 || id.len > ID_MAX)
        return -EINVAL;
    user = calloc(1, sizeof(*user) + id.len);
    if (!user)
        return -ENOMEM;
    user->all = all;
    user->len = (uint8_t)id.len;
    memcpy(user->id, id.data, id.len);
    list_init(&user->sessions);
    user->project = intern_get(&all->texts, project);
    r = user->project ? map_insert(&all->users, &user->node, hash_two(project, id)) : -ENOMEM;
    if (r < 0) {
        free_user(user);
        return r;
    }
    *ret_user = user;
    return 0;
}

void local_user_drop_if_empty(struct local_user *user)
{
    if (!user || !list_empty(&user->sessions))
        return;
    map_remove(&user->all->users, &user->node);
    free_user(user);
}
