/*
 * msg.h - the messages of the link: structs, encoder, decoder, flags. Pure.
 * Generated from msg.def; see there for the format and its rules.
 */
#pragma once

#include "common/base/buf.h"

#define LINK_VERSION 1

/* ATTACH.flags */
#define ATTACH_NATIVE 0x1u /* the client speaks fluxy.v1: may be sent our own frame types */
#define ATTACH_HAS_SEQ                                                                         \
    0x2u /* last_seq (and generation) are the client's cursor: replay from there */
#define ATTACH_REATTACH                                                                        \
    0x4u /* the socket was attached before: no snapshot, no join; missing events as live       \
            frames after last_seq */
#define ATTACH_NO_REPLAY 0x8u  /* replay=off */
#define ATTACH_AS_REPLAY 0x10u /* snapshot goes out as `replay`, not as `history` */
#define ATTACH_CACHE 0x20u     /* wants cache_snapshot first */
#define ATTACH_OBSERVER 0x40u  /* reads without being here: no part of presence */
#define ATTACH_SUBSCRIBE 0x80u /* subscription_succeeded precedes the catch-up */
#define ATTACH_CUT                                                                             \
    0x100u /* with HAS_SEQ or REATTACH: the cursor is not the client's own, its catch-up was   \
              cut there */
#define ATTACH_PAUSED 0x200u /* the first page, too, waits for MORE */
#define ATTACH_BEHIND                                                                          \
    0x400u /* with REATTACH: it was live here, and too slow; nobody but it is to be told       \
              anything */
#define ATTACH_NO_PRESENCE 0x800u /* what is told to it alone has nothing of who is here */

/* FRAME.flags */
#define FRAME_RESENT                                                                           \
    0x1u /* may have been processed before: check for a duplicate in the store */
#define FRAME_GAP                                                                              \
    0x2u /* frames of this attach in front of it were given up; their client knows */

/* ROOM_EVENT.flags */
#define EVENT_NATIVE_ONLY 0x1u /* only native sockets get the bytes; all move their cursor */
#define EVENT_EPHEMERAL 0x2u   /* no seq; first to be dropped for a slow socket */
#define EVENT_OLD_ONLY 0x4u    /* only sockets that are not native get the bytes */
#define EVENT_PRESENCE 0x8u    /* who is here: not to sockets that do not want to know */

/* The generation of a room whose database never changed, as text. It is what an event id
 * without one means. */
#define GENERATION_FIRST "g1"
/* Ends the text of a generation when its cursor lies between two pages of a catch-up. */
#define GENERATION_PARTIAL 'p'

/* ATTACH.room, DETACH.room and ROOM_EVENT.room that begin with this name the channel of the
 * user whose id follows, ring object "user/<project>/<user>". No id has this character. */
#define USER_CHANNEL_MARK '~'

static inline bool is_user_channel(struct slice room)
{
    return room.len > 0 && room.data[0] == USER_CHANNEL_MARK;
}

enum msg_type {
#define MSG(name, number, fields) MSG_##name = number,
#include "common/wire/msg.def"
#undef MSG
};

#define U8(f) uint8_t f;
#define U32(f) uint32_t f;
#define U64(f) uint64_t f;
#define STR(f) struct slice f;
#define BYTES(f) struct slice f;
#define MSG(name, number, fields)                                                              \
    struct msg_##name {                                                                        \
        fields                                                                                 \
    };
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

/* One decoded message; the slices point into the body it was decoded from. */
struct msg {
    enum msg_type type;
    union {
#define MSG(name, number, fields) struct msg_##name name;
#include "common/wire/msg.def"
#undef MSG
    };
};

enum call_op {
#define CALL(name, number, text) CALL_##name = number,
#include "common/wire/calls.def"
#undef CALL
};

const char *msg_type_name(unsigned type); /* "?" when unknown */
const char *call_op_name(unsigned op);    /* "?" when unknown */

/* Appends one whole frame (or, above LINK_FRAME_MAX, its CHUNK frames) for the message. Failure
 * sticks in buf. */
void msg_encode(struct buf *buf, const struct msg *msg);

/* type and body of one frame. 0; -EBADMSG: malformed; >0: MSG_UNKNOWN, a type of a newer
 * version, to be ignored. */
enum msg_answer { MSG_UNKNOWN = 1 };
int msg_decode(struct slice frame, struct msg *ret_msg) MUST_CHECK;
