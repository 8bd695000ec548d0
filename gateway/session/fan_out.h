/*
 * fan_out.h - one room event to all sockets of the room on this gateway. The
 * hottest loop of the process: the WebSocket frame is built once and each socket
 * gets a reference to it. Inside gateway/session only.
 */
#pragma once

#include "common/wire/msg.h"

struct local_room;

/* Sockets that cannot take it are closed, so members (and with the last of them the room) may
 * go. */
void fan_out(struct local_room *room, const struct msg_ROOM_EVENT *event);
