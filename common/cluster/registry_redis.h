/*
 * registry_redis.h - the registry in Redis: one Lua script for all operations,
 * a subscription for hints. The keys are described in docs/design/redis.md.
 */
#pragma once

#include "common/cluster/registry.h"
#include "common/net/redis.h"

/* prefix: of all keys, "fluxy:". Copies target and prefix. -ENOMEM. */
int registry_redis_new(struct loop *loop, const struct redis_target *target, const char *prefix,
                       struct registry **ret_registry) MUST_CHECK;
void registry_redis_free(struct registry *registry); /* NULL does nothing */
DEFINE_AUTO(struct registry, registry_redis_free)
