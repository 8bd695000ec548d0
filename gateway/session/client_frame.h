/*
 * client_frame.h - what a client says: which frames exist, what is answered
 * here, what goes to the shard. Inside gateway/session only.
 */
#pragma once

#include "common/json/errors.h"
#include "gateway/session/session.h"

/* One text message. 0: taken, or refused in band; -ENOMEM: the caller ends the session. */
int client_frame_take(struct session *session, struct slice text) MUST_CHECK;

/* Sends an `error` frame about this client frame, with the ids that it bears. retry_after_ms 0:
 * left out. */
int client_frame_refuse(struct session *session, struct slice text, enum error_code code,
                        uint64_t retry_after_ms) MUST_CHECK;
