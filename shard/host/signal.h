/*
 * signal.h - events that pass through a room without being stored: what its
 * sockets send to the others (client_event), what comes over REST
 * (server_event, raw events). Ephemeral: nobody gets one later, and a link or a
 * socket that is full goes without.
 */
#pragma once

#include "common/json/errors.h"
#include "shard/room/event.h"

struct op;
struct room_host;

/* Whether this caller may send events into the room: as for messages. ERROR_NONE or the
 * refusal. */
enum error_code signal_check(const struct room_host *room, struct slice user,
                             unsigned project_roles);

/* A client_event frame of a socket. Settles the op. */
void signal_client_event(struct op *op, const struct event *event);
/* An agentTyping frame of a socket. Settles the op. */
void signal_agent_typing(struct op *op, struct slice agent, bool is_typing);
/* Gives the frame to every live socket in the room but the one with this id (may be empty). In
 * a room that has just been woken it waits until its sockets are back (settle.h). */
void signal_send(struct room_host *room, struct slice except_socket_id, struct slice json);

/* ---- inside the host ---- */

/* Those that wait are lost: the room goes. */
void signals_drop(struct room_host *room);
