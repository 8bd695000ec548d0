/*
 * attach.h - one socket in one room, as the shard sees it (contracts, "Attach").
 *
 *   WAITING --room active--> (JOINING) --> CATCHING --caught up--> LIVE
 *      any of them --link broke--> GHOST --ATTACH--> WAITING
 *
 * JOINING: a public room makes the user a member first. A new ATTACH for the
 * number starts it over; who was counted as present stays so.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/wire/msg.h"
#include "shard/host/change.h"
#include "shard/host/room_host.h"

struct catchup;
struct find;
struct op;

enum attach_state {
    ATTACH_WAITING,
    ATTACH_JOINING,
    ATTACH_CATCHING,
    ATTACH_LIVE,
    ATTACH_GHOST
};

struct attach {
    struct map_node node;     /* gate.attaches */
    struct list in_room_gate; /* room_gate.attaches */
    struct list in_wait;      /* room_host.waiting, while WAITING for activation; gate.held */
    struct gate *gate;
    struct room_host *room;
    struct room_gate *room_gate;
    struct roster_user *present; /* counted in the roster; NULL: not yet, or an observer */
    enum attach_state state;
    uint64_t number;
    uint64_t sender; /* what it has sent since the newest ATTACH goes by this name here */
    /* Of the newest ATTACH. */
    uint32_t epoch, flags;
    uint32_t replay_limit;
    unsigned project_roles;
    uint64_t last_seq;
    uint64_t held_ms;             /* in gate.held: since when */
    uint8_t given_generation_len; /* 0: none given */
    char given_generation[GENERATION_TEXT_MAX];
    bool is_between; /* what is sent has a cursor between two pages of the catch-up */
    /* To the gateway, since the newest ATTACH, and in which form. */
    bool generation_is_told, told_between;
    bool was_live; /* here, until the newest ATTACH, and is only being caught up */
    /* How far its client had come (old.h); not of native ones. */
    bool is_noted;
    uint64_t reach;   /* before it came */
    uint64_t live_ms; /* since when it has been live; 0: not yet */
    struct change_wait join;
    struct catchup *catchup; /* under way on connect, or for a `resume` frame; NULL: none */
    /* Client frames. */
    struct list ops; /* struct op: not settled, by n */
    uint64_t last_n;
    uint64_t gap_n;     /* in front of this frame some did not count; 0: none */
    bool is_behind_gap; /* so says the newest frame */
    struct list held;   /* struct held_frame: not admitted yet */
    bool is_blocked;    /* the frames behind wait for what the last one has begun */
    struct find *find;  /* what the first of them waits for; NULL: nothing */
    size_t n_held, held_bytes;
    unsigned suspect_left; /* so many more messages are looked up before they are committed */
    struct later dead;
    /* Copies; point into bytes. */
    struct slice user, socket_id, user_info;
    char bytes[];
};

/* ---- messages of a gateway ---- */

void attach_on_attach(struct gate *gate, const struct msg_ATTACH *msg);
void attach_on_detach(struct gate *gate, const struct msg_DETACH *msg);
void attach_on_more(struct gate *gate, const struct msg_MORE *msg);
void attach_on_refresh(struct gate *gate, const struct msg_REFRESH *msg);
void attach_on_roles(struct gate *gate, const struct msg_ROLES *msg);

/* ---- inside the host ---- */

/* It has passed attach_begin(): it gets, or is about to get, what happens in the room. */
static inline bool attach_is_inside(const struct attach *attach)
{
    return attach->present || attach->state == ATTACH_CATCHING || attach->state == ATTACH_LIVE;
}

/* The room is active: authorises and goes on. May close the attach. */
void attach_begin(struct attach *attach);
/* Caught up: from here the socket lives on ROOM_EVENTs. at: what it has been given so far. */
void attach_become_live(struct attach *attach, uint64_t at);
/* Tells the gateway to close the socket, and forgets it (with leave frames when it was
 * present). */
void attach_close(struct attach *attach, uint32_t code, const char *reason);
/* The socket is gone: leave frames, presence. */
void attach_remove(struct attach *attach);
/* Forgets it without telling anybody (the room goes). */
void attach_forget(struct attach *attach);
/* What held back its frames has come to its end. */
void attach_unblock(struct attach *attach);
/* The link broke: stays only as somebody who was here. */
void attach_become_ghost(struct attach *attach);
/* Bytes for the socket. done_n, cursor: 0 for no change; json may be empty. */
void attach_send(struct attach *attach, uint64_t done_n, uint64_t cursor, struct slice json);
