/*
 * moves.h - the rooms that a new ring gives to other shards: which go when
 * (contracts, "Moves"). Until its turn a room is served as before.
 *
 *   ACTIVE, ours --new ring--> ACTIVE, waits --its turn--> LEAVING --flushed--> CLOSED
 *       ^                          |                                              |
 *       +------ the ring again ----+                 the place is free: ARRIVED, or too late
 */
#pragma once

#include "common/base/env.h"
#include "shard/room/move_queue.h"

struct host;
struct msg_ARRIVED;
struct ring;
struct room_host;

struct moves {
    struct host *host;
    struct move_queue queue;
    bool is_running;     /* rooms are being sent off further up the stack */
    uint64_t begin_ms;   /* the first room goes then */
    struct timer timer;  /* the next thing to do */
    struct ring *before; /* the last ring; NULL: none yet. Owned */
    uint64_t settled_ms; /* by then its owners have let go of what they do not own any more */
};

void moves_init(struct moves *moves, struct host *host);
void moves_stop(struct moves *moves);
/* The host has another ring than `before` (NULL: had none): sorts all rooms. */
void moves_on_ring(struct moves *moves, const struct ring *before);
/* The room is over. are_told: gateways that had sockets in it look for it elsewhere. */
void moves_on_closed(struct room_host *room, bool are_told);
/* A gateway has a socket live at the new owner of a room that went. */
void moves_on_arrived(struct moves *moves, const struct msg_ARRIVED *msg);
/* Of an object of ours: it came with the newest ring, and who owned it before may still have
 * it: only a gateway that has asked there may make us claim it. */
bool moves_may_be_elsewhere(const struct moves *moves, struct slice object);
