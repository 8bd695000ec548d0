/*
 * search_index.h - keeps the full-text index behind the commits: rooms in which
 * something was released are marked, and a moment later their new and changed
 * entries are indexed, room by room, one statement at a time. A room may sleep
 * or move meanwhile: the statement needs no owner, and two of them for one room
 * do no harm. What a crash has left undone is found when the room is activated,
 * and by a slow sweep over the rooms of this shard.
 */
#pragma once

#include "common/base/env.h"
#include "shard/store/store.h"

struct search_index;
struct shard_metrics;

struct search_index_events {
    /* Is it the room of this shard, so that the sweep need not leave it to another? */
    bool (*owns)(void *owner, struct slice project, struct slice room);
};

/* env, store, metrics and events are borrowed and outlive it. */
int search_index_new(struct env *env, struct store *store, struct shard_metrics *metrics,
                     const struct search_index_events *events, void *owner,
                     struct search_index **ret_index) MUST_CHECK;
/* What is marked is left to the next owners. NULL does nothing. */
void search_index_free(struct search_index *index);
DEFINE_AUTO(struct search_index, search_index_free)

/* Something of the room is to be indexed. Marks beyond SEARCH_DIRTY_MAX are left to the sweep.
 */
void search_index_mark(struct search_index *index, struct slice project, struct slice room);
/* Marked rooms that are not indexed yet. */
size_t search_index_pending(const struct search_index *index);
