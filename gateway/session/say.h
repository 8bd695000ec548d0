/*
 * say.h - the frames that a gateway itself says to a client: errors, the end of
 * a subscription, what becomes of its token (docs/protocol-client.md). Inside
 * gateway/session only.
 */
#pragma once

#include "common/json/errors.h"
#include "common/json/json_scan.h"
#include "gateway/session/session.h"

/* What an error is about; what is empty is left out. */
struct say_ref {
    struct slice room, client_message_id, frame_id;
};

/* The ids of a client frame. Borrows from head. */
struct say_ref say_ref_of(const struct session *session, const struct json_frame_head *head);

/* All: <0 when it could not be queued, the caller ends the session. */

/* detail: says more in `message`; NULL: nothing. retry_after_ms 0: left out. */
int say_error(struct session *session, enum error_code code, const char *detail,
              const struct say_ref *ref, uint64_t retry_after_ms) MUST_CHECK;
/* A subscription has ended from our side, for this reason word of a close code. */
int say_ended(struct session *session, unsigned code, struct slice reason,
              const struct say_ref *ref) MUST_CHECK;
int say_unsubscribed(struct session *session, const struct say_ref *ref) MUST_CHECK;
int say_pong(struct session *session) MUST_CHECK;
/* The client shall open its next socket after that time, elsewhere or here. */
int say_goaway(struct session *session, const char *reason, uint64_t after_ms) MUST_CHECK;
int say_token_expiring(struct session *session) MUST_CHECK;
int say_token_refreshed(struct session *session, struct slice frame_id) MUST_CHECK;
