/*
 * token_refresh.h - a fresh token that came over an open socket: checked as at
 * the door, then given to the session (docs/protocol-client.md, "Tokens on an
 * open socket").
 */
#pragma once

#include "common/base/slice.h"

struct admit;
struct env;
struct session;
struct token_refresh; /* one that is being checked */

/*
 * Answers the client, at once or later, by a frame of the session. *slot is set while the check
 * lasts; the owner cancels it when the session ends. One at a time: a second one is refused.
 * frame_id: echoed. fn: told when the answer could not be queued: the owner closes.
 */
void token_refresh_start(struct admit *admit, struct env *env, struct session *session,
                         struct slice token, struct slice frame_id, struct token_refresh **slot,
                         void (*fn)(void *owner), void *owner);
void token_refresh_cancel(struct token_refresh *refresh); /* NULL does nothing */
