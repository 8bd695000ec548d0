/*
 * local_user.h - a user as far as this gateway goes: his sockets here, in rooms
 * and on his channel. Made with his first session, gone with his last.
 * Inside gateway/session only.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"

struct intern_text;
struct sessions;

struct local_user {
    struct map_node node;        /* sessions.users */
    struct sessions *all;        /* whose map that is */
    struct list sessions;        /* struct session.of_user */
    struct intern_text *project; /* owned reference */
    uint8_t len;
    char id[]; /* len bytes */
};

/* Finds or makes the user. One without sessions goes by local_user_drop_if_empty(). -EINVAL: no
 * id can be so long; -ENOMEM. */
int local_user_get(struct sessions *all, struct slice project, struct slice user,
                   struct local_user **ret_user) MUST_CHECK;
struct local_user *local_user_find(const struct sessions *all, struct slice project,
                                   struct slice user);
void local_user_drop_if_empty(struct local_user *user); /* NULL does nothing */
DEFINE_AUTO(struct local_user, local_user_drop_if_empty)

static inline struct slice local_user_id(const struct local_user *user)
{
    return slice_of(user->id, user->len);
}
