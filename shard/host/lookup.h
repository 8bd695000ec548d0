/*
 * lookup.h - what gateways ask about projects and API keys, from memory for
 * PROJECT_CACHE_MS (while the store is away for PROJECT_STALE_MS), and with one
 * query for all who ask at once. Answers are ready HTTP statuses and JSON bodies
 * (common/wire/calls.def).
 */
#pragma once

#include "common/base/env.h"
#include "shard/store/store.h"

struct lookups;

/* Embedded in its owner, who may take itself off the list at any time. */
struct lookup_wait {
    struct list link;
    /* Once, perhaps at once. The body is valid during the call. */
    void (*fn)(struct lookup_wait *wait, unsigned status, struct slice body);
};

int lookups_new(struct env *env, struct store *store, struct lookups **ret_lookups) MUST_CHECK;
/* Who waits is not told. NULL does nothing. */
void lookups_free(struct lookups *lookups);
/* Forgets what is older than the cache time. */
void lookups_prune(struct lookups *lookups, uint64_t now_ms);

void lookup_project(struct lookups *lookups, struct slice project, struct lookup_wait *wait);
void lookup_key(struct lookups *lookups, const uint8_t key_hash[32], struct lookup_wait *wait);
