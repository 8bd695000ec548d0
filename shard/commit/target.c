/*
 * target.c - entries of which changes are under way. Several changes of one
 * entry are applied one to the result of the other, whether they share a batch
 * or not; a batch that is given up takes its images with it.
 */
#include <stdlib.h>

#include "shard/commit/commit_priv.h"

struct target_key {
    const struct commit_queue *queue;
    uint64_t seq;
};

static uint64_t hash(const struct commit_queue *q, uint64_t seq)
{
    return hash_u64(seq) ^ hash_u64((uint64_t)(uintptr_t)q);
}

static bool target_eq(const struct map_node *node, const void *arg)
{
    const struct commit_target *target = container_of(node, struct commit_target, node);
    const struct target_key *key = arg;

    return target->queue == key->queue && target->seq == key->seq;
}

struct commit_target *target_get(struct commit_queue *q, struct entry *base)
{
    struct map *targets = &q->committer->targets;
    struct target_key key = {q, base->seq};
    struct map_node *node = map_find(targets, hash(q, base->seq), target_eq, &key);
    struct commit_target *target;

    if (node) {
        target = container_of(node, struct commit_target, node);
        target->refs++;
        return target;
    }
    target = calloc(1, sizeof(*target));
    if (!target)
        return NULL;
    target->queue = q;
    target->seq = base->seq;
    target->refs = 1;
    if (map_insert(targets, &target->node, hash(q, base->seq)) < 0) {
        free(target);
        return NULL;
    }
    target->current = entry_ref(base);
    return target;
}

void target_put(struct committer *c, struct commit_target *target)
{
    if (--target->refs > 0)
        return;
    map_remove(&c->targets, &target->node);
    entry_unref(target->current);
    entry_unref(target->staged);
    free(target);
}

void target_stage(struct commit_target *target, struct entry *image)
{
    entry_unref(target->staged);
    target->staged = entry_ref(image);
}

void target_commit(struct commit_target *target)
{
    if (!target->staged)
        return;
    entry_unref(target->current);
    target->current = TAKE(target->staged);
}

void target_unstage(struct commit_target *target)
{
    entry_unref(TAKE(target->staged));
}
