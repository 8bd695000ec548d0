/*
 * subscribe.h - how a socket with many rooms enters and leaves them: the frames
 * `subscribe` and `unsubscribe` (docs/protocol-client.md). Inside
 * gateway/session only.
 */
#pragma once

#include "common/json/json_scan.h"
#include "gateway/session/session.h"

/* Both: 0, taken, or refused in band; <0: the caller ends the session. */
int subscribe_take(struct session *session, const struct json_frame_head *head,
                   struct slice text) MUST_CHECK;
int unsubscribe_take(struct session *session, const struct json_frame_head *head) MUST_CHECK;
