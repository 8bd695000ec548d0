/*
 * socket_query.h - what the address of a socket asks for:
 * GET /ws/room/{roomId}?replay=&replayLimit=&presenceInfo=&cache=&lastSeq=&generation=&v=
 * GET /ws/user/{userId}?v=
 * Pure. Values that make no sense count as not given: an old client must get
 * in, and who it is says the token alone.
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
    bool native;          /* v=1 */
    struct buf user_info; /* presenceInfo as it is shown to others: a JSON object, or empty */
};

/* False: the path names neither a room nor a user. */
bool socket_query_read(struct slice path, struct slice query, struct socket_query *ret_query);
void socket_query_deinit(struct socket_query *query);

/* Of presenceInfo (JSON, untrusted) only name, avatar_url and role survive, within their
 * limits. Appends a JSON object, or nothing when nothing survives. name: shown when there is
 * none of its own; may be empty. */
void presence_info_clean(struct slice json, struct slice name, struct buf *out);
