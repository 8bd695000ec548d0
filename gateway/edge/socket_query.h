/*
 * socket_query.h - what the address of a socket or event stream asks for:
 * GET /ws/room/{roomId}, GET /ws, GET /rooms/{roomId}/stream with
 * ?replay=&replayLimit=&presenceInfo=&cache=&lastSeq=&generation=&v=
 * GET /ws/user/{userId}?v=
 * Pure. Values that make no sense count as not given: an old client must get
 * in, and who it is says the token alone. Only a cursor, which old clients have
 * none of, must be one.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"

struct socket_query {
    char room[ID_MAX + 1]; /* of a room socket, else empty */
    char user[ID_MAX + 1]; /* whose channel it is, else empty */
    uint32_t attach_flags; /* ATTACH_* of common/wire/msg.h */
    uint32_t replay_limit;
    uint64_t last_seq;
    char generation[ID_MAX + 1];
    bool native;          /* v=1, or many_rooms, which is ours alone */
    bool many_rooms;      /* /ws: the rooms come by `subscribe` */
    bool bad_cursor;      /* lastSeq is no number that could have been a seq */
    struct buf user_info; /* presenceInfo as it is shown to others: a JSON object, or empty */
};

/* False: the path names neither a room nor a user. */
bool socket_query_read(struct slice path, struct slice query, struct socket_query *ret_query);
/* Only what is asked for, of a room that is known. */
void socket_query_read_options(struct slice query, struct socket_query *ret_query);
/* A cursor, from wherever it comes: into last_seq, or bad_cursor. */
void socket_query_set_cursor(struct socket_query *query, struct slice text);
/* The `id` of an event of a stream: likewise, with its generation (gateway/session/framing.h).
 */
void socket_query_set_event_id(struct socket_query *query, struct slice id);
void socket_query_deinit(struct socket_query *query);

/* Of presenceInfo (JSON, untrusted) only name, avatar_url and role survive, within their
 * limits. Appends a JSON object, or nothing when nothing survives. name: shown when there is
 * none of its own; may be empty. */
void presence_info_clean(struct slice json, struct slice name, struct buf *out);
