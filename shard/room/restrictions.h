/*
 * restrictions.h - who may not write in a room (muted) or not be in it (banned),
 * and until when. Pure: time is an argument, and what is over needs nobody to
 * lift it. Changed only by committed moderation entries and by loading, like
 * the member list, so it is what authorisation may trust.
 */
#pragma once

#include "common/base/map.h"

struct restriction {
    struct map_node node;
    int64_t muted_us, banned_us; /* until; 0: not. RESTRICT_FOREVER_US: for good */
    struct slice user;           /* points into bytes */
    char bytes[];
};

struct restrictions {
    struct map by_user;
};

void restrictions_init(struct restrictions *restrictions);
void restrictions_deinit(struct restrictions *restrictions);

static inline size_t restrictions_count(const struct restrictions *restrictions)
{
    return restrictions->by_user.count;
}

/* Both times replace what was there; two zeros lift everything. -ENOMEM: not done. */
int restrictions_put(struct restrictions *restrictions, struct slice user, int64_t muted_us,
                     int64_t banned_us) MUST_CHECK;
/* Forgets what is over. */
void restrictions_prune(struct restrictions *restrictions, int64_t now_us);

/* What is in force at now_us: the time until which it is; 0: it is not. */
int64_t restrictions_muted(const struct restrictions *restrictions, struct slice user,
                           int64_t now_us);
int64_t restrictions_banned(const struct restrictions *restrictions, struct slice user,
                            int64_t now_us);
