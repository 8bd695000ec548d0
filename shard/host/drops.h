/*
 * drops.h - all rooms go at once, because another database server answers than the one that
 * they were claimed on.
 *
 * At once, in the same turn, each stops: nothing of it is written any more, nothing that was
 * pushed is acknowledged, and who comes waits. Then they end, DROPS_PER_TURN of them (and
 * DROPS_SOCKETS_PER_TURN sockets) in a turn, those used last first: each costs a message to
 * every gateway, and its sockets, and others must not wait for thousands of them. Their
 * gateways come again, and the rooms are claimed anew.
 */
#pragma once

#include "common/base/env.h"

struct host;
struct room_host;

struct drops {
    struct host *host;
    struct list rooms; /* struct room_host.in_drops: stopped, not ended yet */
    struct timer timer;
};

void drops_init(struct drops *drops, struct host *host);
void drops_stop(struct drops *drops); /* the host goes */
/* Every room that is in memory now. Rooms that wait for their claim stay: it will be of the new
 * server. */
void drops_begin(struct drops *drops);
/* A room has ended, perhaps for another reason. */
void drops_on_closed(struct room_host *room);
