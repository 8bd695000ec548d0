/*
 * old.h - clients that keep no cursor, but come back all the same: how far one
 * had surely come when its socket ended, remembered for its return (reach.h).
 * Without that it would have a hole after more missed messages than a snapshot
 * has, and would never hear of edits: it merges by id, and what it has wins.
 *
 * What a socket was sent in its last moments may not have arrived; the gateway
 * says how long these are (DETACH.doubt_ms), OLD_CLIENT_DOUBT_MS when it cannot.
 */
#pragma once

#include "shard/host/attach.h"

/* It is let in; before it is counted in the roster. */
void old_on_enter(struct attach *attach);
/* It has been given all that was missing. */
void old_on_live(struct attach *attach);
/* It goes, or its gateway is out of reach; while it is in the room. cursor: all that its
 * gateway has given it, or UINT64_MAX when nobody knows. Only the first word about an attach
 * counts. */
void old_on_gone(struct attach *attach, uint32_t doubt_ms, uint64_t cursor);
/* A socket has gone of which nothing is in memory: its room sleeps. */
void old_on_gone_asleep(struct host *host, const struct msg_DETACH *msg);
/* The room falls asleep, with sockets that may go unnoticed. */
void old_on_sleep(struct room_host *room);

/* True when the client may have been here before, and lack something: everything up to *ret_seq
 * it has had. */
bool old_missed(const struct attach *attach, uint64_t *ret_seq);
/* Its last catch-up did not come to its end: the cursor of the ATTACH is not the client's. */
bool old_was_cut(const struct attach *attach);
