/* pin.h - the pinned message of a room: an event of the room like others, and what happens when
 * the message goes. */
#pragma once

#include "shard/host/change.h"

/* Pins the message, or (id 0) takes the pin away. As change_start_event(). */
int pin_start(struct room_host *room, struct slice user, int64_t id,
              struct change_wait *wait) MUST_CHECK;
/* After an event has been taken in: a message that is gone does not stay pinned. */
void pin_follow(struct room_host *room, const struct commit_result *result);
