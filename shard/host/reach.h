/*
 * reach.h - how far old clients had come in their rooms when they went, for some
 * minutes: a client that keeps no cursor comes back without a word about that,
 * and its next snapshot has to reach back to there (old.h). Outlives the rooms'
 * stay in memory; bounded, the longest gone are forgotten first.
 *
 * One user may have several sockets, each of which comes back in its own time: a
 * note is not used up by the first of them.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/map.h"
#include "common/base/slice.h"

struct reaches {
    struct map notes;   /* struct reach_note by project, room and user */
    struct list by_age; /* the same, the longest unchanged first */
};

void reaches_init(struct reaches *reaches);
void reaches_deinit(struct reaches *reaches);
/* All of it: numbers that count no more. */
void reaches_forget(struct reaches *reaches);

struct reach_key {
    struct slice project, room;
    struct slice user; /* empty: whoever was in the room as it fell asleep */
};

/* Everything up to seq has surely arrived. Out of memory: it is not remembered. */
void reaches_put(struct reaches *reaches, const struct reach_key *key, uint64_t seq,
                 uint64_t now_ms);
/* The smallest that is remembered, or UINT64_MAX. */
uint64_t reaches_find(const struct reaches *reaches, const struct reach_key *key,
                      uint64_t now_ms);
/* Forgets what is too old, some of it. Once in a while. */
void reaches_prune(struct reaches *reaches, uint64_t now_ms);
