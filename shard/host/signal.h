/*
 * signal.h - events that pass through a room without being stored: what its
 * sockets send to the others (client_event), what comes over REST
 * (server_event, raw events). Ephemeral: nobody gets one later, and a link or a
 * socket that is full goes without.
 */
#pragma once

#include "shard/host/room_host.h"
#include "shard/room/event.h"

struct op;

/* Whether this caller may send events into the room: as for messages. ERROR_NONE or the
 * refusal. */
enum error_code signal_check(const struct room_host *room, struct slice user,
                             unsigned project_roles);

/* A client_event frame of a socket. Settles the op. */
void signal_client_event(struct op *op, const struct event *event);
/* Gives the frame to every live socket in the room but the one with this id (may be empty). */
void signal_send(struct room_host *room, struct slice except_socket_id, struct slice json);
