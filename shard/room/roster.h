/*
 * roster.h - who is in the room right now: users with the number of their
 * sockets, what they show of themselves, and whether they are typing. The
 * sockets themselves are the host's (shard/host/attach.h).
 */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/slice.h"

struct roster_user {
    struct map_node node;
    struct list link; /* roster.users, in order of arrival */
    uint32_t sockets;
    bool is_announced; /* the others know of him, so they are told when he leaves */
    bool is_typing;
    uint8_t intent;           /* enum typing_intent of the last typing signal */
    uint64_t typing_until_ms; /* when is_typing: expires then */
    uint64_t typing_sent_ms;  /* when the last signal was relayed */
    struct slice user;        /* points into bytes */
    struct slice info;        /* JSON object, or empty; points into bytes */
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
