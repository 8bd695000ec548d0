/*
 * api_key.h - API keys as they are presented: their form, and the hash under
 * which the cluster knows them. Keys are random, so a plain SHA-256 tells
 * nothing about them.
 */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

#define API_KEY_HASH_HEX 64

/* "fc_" and 32 hex digits. */
bool api_key_is_valid(struct slice key);
/* Lower-case hex of the SHA-256, with NUL. */
void api_key_hash(struct slice key, char ret[API_KEY_HASH_HEX + 1]);
