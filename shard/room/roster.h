/*
 * roster.h - who is in the room right now: users with the number of their
 * sockets, what they show of themselves, and whether they are typing. The
 * sockets themselves are the host's (shard/host/attach.h).
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/ratelim.h"

struct roster_user {
    struct map_node node;
    struct list link; /* roster.users, in order of arrival */
    uint32_t sockets;
    bool is_announced; /* the others know of him, so they are told when he leaves */
    /* What he does, and what the others have been told; the typing signals of all his sockets
     * count as his. */
    bool is_typing, told_typing;
    uint8_t intent, told_intent; /* enum typing_intent */
    uint64_t typing_until_ms;    /* when is_typing: expires then */
    uint64_t told_ms;            /* when the others were last told; 0: never */
    struct ratelim typing_limit;
    const void *typist; /* the host's: the socket of the last signal; only compared */
    struct slice user;  /* points into bytes */
    struct slice info;  /* JSON object, or empty; points into bytes */
    char bytes[];
};

struct roster {
    struct map by_user;
    struct list users;
    size_t n_users;
    size_t n_sockets;
};

void roster_init(struct roster *roster);
void roster_deinit(struct roster *roster);

/* One more socket of the user, who is returned (NULL: out of memory). The info of the first
 * socket stays. sockets is 1 on the first. */
struct roster_user *roster_add(struct roster *roster, struct slice user, struct slice info);
/* One socket less; true when it was the last and the user is gone (and freed). */
bool roster_remove(struct roster *roster, struct roster_user *user);
struct roster_user *roster_find(const struct roster *roster, struct slice user);

/* ---- who is here as bytes: one byte of length, then the id, for each user ---- */

/* Appends the users, when they are at most PRESENCE_LIST_MAX, else nothing. */
void roster_put_users(struct buf *out, const struct roster *roster);
/* The next user of such bytes, which are moved past him. False: no more, or malformed. */
bool roster_next_user(struct slice *users, struct slice *ret_user);
