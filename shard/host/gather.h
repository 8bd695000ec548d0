/*
 * gather.h - asks every gateway at once and adds up the answers: ends the sockets
 * of somebody wherever they are, gives an event to a user's sockets in rooms.
 * Waits GATHER_MS at most; who has not answered by then, or has gone, is not
 * counted.
 *
 * gather_kick() is what revoking anything (a token, a user, a whole project's
 * tokens before some instant) comes to in the end: sockets that were let in by
 * what is revoked are ended. What keeps the revoked out is the caller's business.
 */
#pragma once

#include "common/base/buf.h"
#include "common/wire/msg.h"

struct gate;
struct gather;
struct host;

struct gather_result {
    size_t asked, answered; /* gateways */
    uint64_t user_sockets;  /* KICK: ended, on user channels */
    uint64_t room_sockets;  /* and in rooms */
    struct slice rooms;     /* USER_ROOMS: where somebody got it, comma-separated */
    size_t n_rooms;
};
/* Once, never before the gather_*() that started it returns; the gather is gone then. */
typedef void (*gather_fn)(void *arg, const struct gather_result *result);

/* Whose sockets: all that is given must fit, an empty text or 0 fits every socket. */
struct kick {
    struct slice project;
    struct slice user;
    struct slice token_id;    /* jti */
    uint64_t issued_before_s; /* also tokens that do not say when they were issued */
    struct slice room;        /* with socket_id: that one socket, in that room */
    struct slice socket_id;
    uint32_t code;       /* of the close frame */
    struct slice reason; /* likewise, at most CLOSE_REASON_MAX bytes */
};

enum gather_answer { GATHER_OVERLOADED = 1 };

/* fn may be NULL: nobody waits. 0; GATHER_OVERLOADED (too many under way); -ENOMEM. ret_gather
 * (may be NULL) is for gather_cancel() and valid until fn is called. */
int gather_kick(struct host *host, const struct kick *kick, gather_fn fn, void *arg,
                struct gather **ret_gather) MUST_CHECK;

/* The frame {"type":"user_event","roomId":...,<json> for the sockets that the user has in these
 * rooms (comma-separated; empty: in all that he is in). */
struct user_rooms {
    struct slice project, user;
    struct slice rooms;
    struct slice except_socket_id;
    struct slice json; /* user_event_write() */
};
int gather_user_rooms(struct host *host, const struct user_rooms *event, gather_fn fn,
                      void *arg, struct gather **ret_gather) MUST_CHECK;
/* fn will not be called. NULL does nothing. */
void gather_cancel(struct gather *gather);

/* ---- messages of a gateway ---- */

void gather_on_kicked(struct gate *gate, const struct msg_KICKED *msg);
void gather_on_user_rooms(struct gate *gate, const struct msg_USER_ROOMS_DONE *msg);

/* ---- inside the host ---- */

/* This gateway will not answer any more. */
void gathers_on_gate_down(struct gate *gate);
/* Ends all without a word. */
void gathers_drop(struct host *host);
