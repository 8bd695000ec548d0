/*
 * dedupe.h - the key that makes an entry unique in its room: 16 bytes of
 * SHA-256 over its author and what the sender calls it. The same on every
 * shard and in every version, because it is stored.
 */
#pragma once

#include "shard/room/entry.h"

/* Who has chosen the key; keys of different kinds never meet. */
enum dedupe_kind {
    DEDUPE_CLIENT = 0,  /* clientMessageId */
    DEDUPE_GATEWAY = 1, /* made by a gateway for a frame or call without one */
    DEDUPE_SHARD = 2,   /* made by a shard for its own entries */
};

void dedupe_key(enum dedupe_kind kind, struct slice author, struct slice key,
                uint8_t ret[DEDUPE_LEN]);
