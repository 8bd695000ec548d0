/*
 * rate_table.h - token buckets by a hashed key, a bounded number of them: the
 * least recently used bucket gives way. Pure; keys are keyed hashes (map.h), so
 * nobody can aim at somebody else's bucket.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/ratelim.h"

struct rate_table {
    struct ratelim_rule rule;
    struct map map;
    struct list used; /* least recently first */
    size_t max;
};

void rate_table_init(struct rate_table *table, struct ratelim_rule rule, size_t max);
void rate_table_deinit(struct rate_table *table);
/* Takes n tokens of the key's bucket. False: *ret_retry_ms says when there would be enough.
 * Without memory: true (the limit protects the cluster, it is not worth refusing people for).
 * *ret_left: tokens left. */
bool rate_table_take(struct rate_table *table, uint64_t key, uint64_t n, uint64_t now_ms,
                     uint64_t *ret_left, uint64_t *ret_retry_ms);
