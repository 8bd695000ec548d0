/*
 * members.h - who belongs to a room, with which role. Changed only by committed
 * membership entries and by loading, so it is what authorisation may trust.
 */
#pragma once

#include "common/base/map.h"
#include "shard/room/entry.h"

struct member {
    struct map_node node;
    enum member_role role;
    bool notify_enabled;
    int64_t joined_us;
    int64_t preferences_us;   /* by the store's clock; 0: as they were loaded */
    struct slice user;        /* points into bytes */
    struct slice preferences; /* JSON object, or empty; points into bytes */
    char bytes[];
};

struct members {
    struct map by_user;
    size_t owners; /* how many have ROLE_OWNER */
};

void members_init(struct members *members);
void members_deinit(struct members *members);

/* NULL when the user is not a member. */
const struct member *members_find(const struct members *members, struct slice user);
enum member_role members_role(const struct members *members,
                              struct slice user); /* ROLE_NONE: no member */
static inline size_t members_count(const struct members *members)
{
    return members->by_user.count;
}

/* Adds the member; replaces an existing one of the same user. Copies the strings. -ENOMEM. */
int members_put(struct members *members, const struct member *from) MUST_CHECK;
/* What a committed membership entry does: ROLE_NONE removes, else adds or changes the role.
 * -ENOMEM: not done. */
int members_apply(struct members *members, struct slice user, enum member_role role,
                  int64_t at_us) MUST_CHECK;

/* What the member wants of the room, as the store has it since at_us; older news of it is
 * passed over. -ENOMEM. */
int members_set_preferences(struct members *members, struct slice user, bool notify_enabled,
                            struct slice preferences, int64_t at_us) MUST_CHECK;

/* All members by joining time, then user; at most max. A malloc()ed array of borrowed pointers,
 * or NULL. */
const struct member **members_sorted(struct members *members, size_t max, size_t *ret_n);
