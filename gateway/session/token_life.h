/*
 * token_life.h - what the end of a client's token means while its connection is
 * open:
 *
 *   ...good...  | warning |  expired: reads go on, writes are refused  | closed
 *            token_expiring
 *            (native only)
 *
 * An event stream cannot take a fresh token and ends with it; an old client
 * cannot either, and is sent away with its first write in the grace. Due times
 * are kept in a wheel that all sessions share. Inside gateway/session only.
 */
#pragma once

#include "gateway/session/session.h"

void token_life_init(struct session *session);
/* What a token says beside user and roles: what it is good for, its id, its times. -ENOMEM:
 * nothing has changed. */
int token_life_take(struct session *session, const struct session_params *params) MUST_CHECK;
/* From the token's end as the session has it now; again after a refresh. */
void token_life_begin(struct session *session);
void token_life_end(struct session *session);

/* By the wall clock, at this moment. */
bool token_is_over(const struct session *session);
/* Why a connection is closed whose token has ended. */
#define TOKEN_OVER_REASON SLICE_LIT("token_expired")
unsigned token_over_code(const struct session *session);
