/*
 * key_drops.h - Idempotency-Keys that were written down and must be given up,
 * although the database could not be told at that moment: it is told as soon as
 * it can be, so that who comes again need not wait until the key counts as dead.
 *
 * Only for speed: what is forgotten here (too many, the process ends) is taken
 * over after IDEMPOTENCY_STALE_S.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"
#include "shard/store/store.h"

struct key_drops;

/* env and store are borrowed; the store calls back what is out before it goes. */
int key_drops_new(struct env *env, struct store *store,
                  struct key_drops **ret_drops) MUST_CHECK;
/* NULL does nothing. The memory goes with the last answer of the store. */
void key_drops_free(struct key_drops *drops);

/* The claim of this very call on the key; another's stays. */
void key_drops_add(struct key_drops *drops, struct slice project, struct slice user,
                   struct slice client_key, struct slice own_key);
