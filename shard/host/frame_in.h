/*
 * frame_in.h - client frames of attached sockets: admitted in the order of
 * their numbers, parsed, and handed to what they ask for. A frame that comes
 * before its socket is live, or behind a `resume` under way, is held.
 */
#pragma once

#include "shard/host/attach.h"

void frame_on_frame(struct gate *gate, const struct msg_FRAME *msg);

/* What was held, as far as it may run now. */
void frames_run_held(struct attach *attach);
void frames_drop_held(struct attach *attach);
