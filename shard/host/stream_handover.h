/*
 * stream_handover.h - token streams that go on while their room moves: all that
 * the old owner knows of them, given to a gateway, which brings it to the new one
 * (contracts, "Moves"). Nothing of it is stored: what is lost on the way ends as
 * after a crash, with the text that was stored last.
 */
#pragma once

#include "common/wire/msg.h"
#include "shard/host/room_host.h"

/* The room goes to another shard: every stream that is not over goes to a gateway, in front of
 * MOVED. */
void streams_hand_over(struct room_host *room);
/* From a gateway, for a room of ours: kept until the room is active, else taken over. */
void streams_on_handover(struct host *host, const struct msg_HANDOVER *msg);
/* Just activated, and its unfinished streams adopted: those that have been handed over go on.
 */
void streams_take_over(struct room_host *room);
void streams_drop_handovers(struct room_host *room);
