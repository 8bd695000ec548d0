/*
 * sweep.h - what is left lying and belongs to nobody is removed now and then,
 * for all projects: unfinished uploads, answers kept for an Idempotency-Key, keys of changes,
 * what deleted rooms have left. Every shard does it; what one has taken the others pass over.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/macros.h"

struct shard_metrics;
struct store;
struct sweep;

/* All borrowed; they outlive it, and the store's answers come before the sweep is freed or not
 * at all. */
int sweep_new(struct env *env, struct store *store, struct shard_metrics *metrics,
              struct sweep **ret_sweep) MUST_CHECK;
void sweep_free(struct sweep *sweep); /* NULL does nothing */
DEFINE_AUTO(struct sweep, sweep_free)
