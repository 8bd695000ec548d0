/*
 * gate.h - one gateway (incarnation) as the rooms see it: its sockets, the
 * rooms in which it has some, and the link under it while there is one.
 *
 * A link that breaks leaves the gate and its attaches as ghosts for
 * PRESENCE_HOLD_MS; a new link of the same incarnation takes them over.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/map.h"
#include "common/base/slice.h"
#include "shard/host/pace.h"

struct attach;
struct host;
struct msg;
struct room_host;

/* What the gate needs of the link; the peer implements it. */
struct gate_link_ops {
    /* Queues messages that are encoded already. A failure closes the link by itself, at the end
     * of the turn. */
    void (*send)(void *link, struct slice frames);
    /* So much is queued that what can be left out should be. */
    bool (*is_congested)(void *link);
    /* A PING now: its PONG tells what has been read (pace.h). NULL: there is no such thing. */
    void (*ping)(void *link);
    /* A newer link of this gateway has taken the gate over: close, and do not call gate_down().
     */
    void (*on_replaced)(void *link);
};

/* Somebody who waits to answer this gateway (an API call); told when the gateway is forgotten.
 */
struct gate_client {
    struct list link; /* gate.clients */
    void (*on_forgotten)(struct gate_client *client);
};

struct gate {
    struct map_node node; /* host.gates */
    struct list in_host;  /* host.all_gates */
    struct host *host;
    uint64_t incarnation;
    const struct gate_link_ops *ops;
    void *link;              /* NULL: broken */
    struct map attaches;     /* struct attach by number */
    struct list rooms;       /* struct room_gate.in_gate */
    struct list clients;     /* struct gate_client.link */
    struct map user_sockets; /* struct user_socket by number */
    struct gate_pace pace;   /* of catch-ups */
    uint64_t pushed;         /* host.push_count of the newest event that it was given */
    struct timer hold;       /* ends the ghosts, and the gate when it has no link */
    struct list held; /* struct attach.in_wait: ghosts of sockets that the gateway has sent
                         to others, the oldest first */
    struct timer held_timer;
    struct later dead;
};

/* The sockets of one gateway in one room. */
struct room_gate {
    struct list in_room; /* room_host.gates */
    struct list in_gate; /* gate.rooms */
    struct room_host *room;
    struct gate *gate;
    struct list attaches; /* struct attach.in_room_gate */
    size_t n_live;        /* those that get ROOM_EVENTs */
    struct later dead;
};

/* A link of this gateway is up: makes the gate or takes it over. NULL: out of memory. */
struct gate *gate_up(struct host *host, uint64_t incarnation, const struct gate_link_ops *ops,
                     void *link);
/* Its link is gone. */
void gate_down(struct gate *gate);
/* Forgets the gate with all that it had, at once (shutdown). */
void gate_drop(struct gate *gate);

/* The gateway has sent the socket elsewhere: its user stays for PRESENCE_HOLD_MS, in which he
 * comes back. -ENOMEM: nothing has changed. */
int gate_hold(struct attach *attach) MUST_CHECK;

struct attach *gate_find_attach(const struct gate *gate, uint64_t number);

/* Sends when there is a link, else does nothing. */
void gate_send(struct gate *gate, const struct msg *msg);
/* Ends an attach of this gateway. */
void gate_send_close(struct gate *gate, uint64_t number, uint32_t epoch, uint32_t code,
                     const char *reason);
/* The object belongs to another shard by our ring. */
void gate_send_moved(struct gate *gate, struct slice object);
void gate_send_encoded(struct gate *gate, struct slice frames);
bool gate_is_congested(const struct gate *gate); /* also without a link */

/* The place of this gateway in the room; made when there is none. NULL: out of memory. */
struct room_gate *room_gate_get(struct room_host *room, struct gate *gate);
/* Without attaches it goes, at the end of the turn. */
void room_gate_put(struct room_gate *rg);

/* Another store answers: gateways wake their sleeping rooms, of which we know nothing. */
void gates_tell_replaced(struct host *host);
/* Tells every gateway that the room is awake; to how many. */
size_t gates_wake(struct host *host, const struct room_host *room);
