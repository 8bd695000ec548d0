/* last_seen.c - see last_seen.h. */
#include "gateway/session/last_seen.h"

#include <stdlib.h>

#include "common/base/limits.h"

#define INCARNATION_BYTES 8u

struct last_seen *last_seen_new(struct slice users, struct slice gateways)
{
    struct last_seen *seen = NULL;

    if (users.len <= LINK_MESSAGE_MAX && gateways.len <= LINK_MESSAGE_MAX)
        seen = malloc(sizeof(*seen) + users.len + gateways.len);
    if (!seen)
        return NULL;
    seen->users_len = (uint32_t)users.len;
    seen->gateways_len = (uint32_t)gateways.len;
    if (users.len > 0)
        memcpy(seen->bytes, users.data, users.len);
    if (gateways.len > 0)
        memcpy(seen->bytes + users.len, gateways.data, gateways.len);
    return seen;
}

void last_seen_free(struct last_seen *seen)
{
    free(seen);
}

struct slice last_seen_users(const struct last_seen *seen)
{
    return seen ? slice_of(seen->bytes, seen->users_len) : slice_of(NULL, 0);
}

static uint64_t incarnation_at(const unsigned char *at)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < INCARNATION_BYTES; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

static bool has(const struct last_seen *seen, uint64_t incarnation, bool wants_same)
{
    const unsigned char *at;

    if (!seen)
        return false;
    at = (const unsigned char *)seen->bytes + seen->users_len;
    for (uint32_t i = 0; i + INCARNATION_BYTES <= seen->gateways_len; i += INCARNATION_BYTES) {
        if ((incarnation_at(at + i) == incarnation) == wants_same)
            return true;
    }
    return false;
}

bool last_seen_has_gateway(const struct last_seen *seen, uint64_t incarnation)
{
    return has(seen, incarnation, true);
}

bool last_seen_has_others(const struct last_seen *seen, uint64_t incarnation)
{
    return has(seen, incarnation, false);
}
