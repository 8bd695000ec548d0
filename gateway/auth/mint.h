/* mint.h - makes tokens: HS256 with a project's current secret (docs/protocol-client.md). No
 * I/O. */
#pragma once

#include "common/base/buf.h"

struct mint_params {
    struct slice project, user; /* valid ids */
    unsigned roles;             /* enum role bits, at least one */
    struct slice secret;
    int64_t now_s;
    int64_t ttl_s;
    bool anonymous;
    struct slice name; /* what others see of somebody anonymous; may be empty */
};

/* Appends the token. -ENOMEM, -EINVAL: no secret. */
int mint_token(const struct mint_params *params, struct buf *out) MUST_CHECK;
