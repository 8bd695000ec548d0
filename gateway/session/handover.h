/*
 * handover.h - token streams that go on while their room moves: its last owner
 * gives them to a gateway, which brings them to the next one in front of the
 * sockets (contracts, "Moves"). Inside gateway/session only.
 */
#pragma once

#include "common/wire/msg.h"
#include "gateway/session/local_room.h"

/* Keeps a copy for the room's next owner; too many, too long or out of memory: the stream ends
 * with what is stored of it. */
void handovers_take(struct local_room *room, const struct msg_HANDOVER *in);
/* All of them over the room's link. <0: the link ends. */
int handovers_send(const struct local_room *room) MUST_CHECK;
/* They have arrived, or nobody is left to bring them. */
void handovers_drop(struct local_room *room);
