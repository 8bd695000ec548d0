/* redis_target.h - copies of a redis_target, for redis.c. */
#pragma once

#include "common/net/redis.h"

int redis_target_copy(const struct redis_target *from,
                      struct redis_target *ret_target) MUST_CHECK;
