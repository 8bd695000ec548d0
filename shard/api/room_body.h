/* room_body.h - rooms as REST answers show them (docs/protocol-client.md); room rows are
 * snake_case. */
#pragma once

#include "common/json/json_write.h"
#include "shard/host/room_host.h"

/* A member `room` of the open object, as POST /rooms answers. */
void room_body_short(struct json_writer *w, const struct room_host *room);
/* The same with all that the caller may know of it. */
void room_body_full(struct json_writer *w, const struct room_host *room,
                    const struct actor *actor);
