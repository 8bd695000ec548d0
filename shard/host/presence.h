/*
 * presence.h - who is here, as the sockets of a room are told: join and leave
 * frames, and presence, paced by the room's turnout (shard/room/turnout.h). All
 * of it is ephemeral: it passes by the commit and is the first to be left out
 * for a slow link. Frames leave at the end of the turn, so that what happens in
 * one turn is told at once.
 */
#pragma once

#include "shard/host/attach.h"

void presence_init(struct room_host *room);
void presence_deinit(struct room_host *room);
/* Cancels what is planned: the room goes. */
void presence_stop(struct room_host *room);

/* A socket that is counted has become live. is_back: it was here before (re-attach). */
void presence_on_live(struct attach *attach, bool is_back);
/* A socket that was here before is let in again, and is caught up first, which may take its
 * time: nobody is told that its user has come, or that he has not come back. */
void presence_on_back(struct attach *attach);
/* To this live socket alone: who is here, and who is typing. */
void presence_tell(struct attach *attach);
/* A socket that was counted is going; takes it out of the roster. */
void presence_on_gone(struct attach *attach);
/* Somebody who was here when the room slept has not come back. */
void presence_on_absent(struct room_host *room, struct slice user);
/* Presence is to be published, with what waits. */
void presence_refresh(struct room_host *room);

/* Nothing waits to be told, nobody is awaited (also no gateway whose link broke), nobody is
 * typing: the room may sleep. */
bool presence_is_quiet(const struct room_host *room);
/* The ids of the first PRESENCE_LIST_MAX sockets, as elements of a JSON array. */
void presence_put_sockets(struct buf *out, const struct room_host *room);
