/* keys.h - the master keys of the configuration as a keyring. */
#pragma once

#include "shard/config.h"
#include "shard/store/secrets.h"

/* -EINVAL: *problem says which variable. */
int keys_load(const struct shard_config *config, struct keyring *ret_keys,
              struct buf *problem) MUST_CHECK;
