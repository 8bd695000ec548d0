/*
 * last_seen.h - who was in a room as its shard let go of it, kept for the shard
 * that takes it up again: the users, and the gateways that had sockets in it.
 * A sleeping room costs its shard nothing because its gateways remember this.
 * Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

struct last_seen {
    uint32_t users_len, gateways_len;
    char bytes[]; /* users, gateways: as in MSG SLEEP */
};

/* NULL: out of memory, or longer than such lists can be. */
struct last_seen *last_seen_new(struct slice users, struct slice gateways);
void last_seen_free(struct last_seen *seen);                /* NULL does nothing */
struct slice last_seen_users(const struct last_seen *seen); /* empty for NULL */
/* Whether another gateway, or this one, had sockets in the room. False for NULL. */
bool last_seen_has_others(const struct last_seen *seen, uint64_t incarnation);
bool last_seen_has_gateway(const struct last_seen *seen, uint64_t incarnation);
