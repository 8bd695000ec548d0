/*
 * local_room.h - a room as far as this gateway goes: its sockets here, and the
 * link to the shard that owns it. Finds the owner again when the ring, a link or
 * the shard says so. The channel of a user is a room as well, by a name that no
 * room can have (USER_CHANNEL_MARK). Inside gateway/session only.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/map.h"
#include "gateway/link/link_pool.h"
#include "gateway/session/framing.h"

struct attach;
struct last_seen;
struct sessions;

enum room_state {
    ROOM_UNBOUND, /* no link to the owner, or waiting after MOVED: on sessions.unbound */
    ROOM_BOUND,   /* attached, or being attached, over link: on link_rooms(link) */
    ROOM_ASLEEP,  /* bound, but the shard has forgotten it: on link_rooms(link) */
};

struct local_room {
    /* What a fan-out reads. */
    struct attach **members; /* in no order; each knows its slot */
    uint32_t n, cap;
    uint32_t progress;                /* members before this index have been sent to the link */
    uint32_t n_framed[FRAMING_COUNT]; /* members by what is written to them */
    enum room_state state;
    struct link *link; /* NULL while UNBOUND; it tells us before it goes */

    struct map_node node; /* sessions.rooms */
    struct sessions *all;
    struct list place;           /* the list of its state */
    struct list work;            /* sessions.work or .stalled */
    struct timer retry;          /* armed: MOVED was answered a moment ago */
    const struct link *moved_by; /* the shard that said so; only compared */
    uint64_t released; /* epoch of the ring under which its last owner has let go of it */
    /* Another shard than the one behind `link` has claimed it: */
    const struct link *woken_by; /* only compared; NULL: none */
    uint64_t woken;              /* the number of its WAKE */
    /* Its last owner waits to hear that it has arrived: */
    struct link *left; /* perhaps gone since; NULL: nobody */
    uint64_t move;
    bool has_strayed;            /* it has left a shard that had not said MOVED */
    struct list handovers;       /* struct handover: token streams for its next owner */
    struct link *unbound_from;   /* while UNBOUND: the last link, perhaps gone since */
    uint32_t pause_ms;           /* before the next try */
    struct blob *generation;     /* as most members know it; NULL: none yet */
    struct last_seen *last_seen; /* since its shard let go of it, until another has been told;
                                    NULL: nothing */
    uint64_t wake;               /* AWAKE is owed to the room's link, with this number; 0: no */
    struct list to_wake;         /* sessions.to_wake */
    struct later dead;
    bool is_user_channel; /* its one user's sockets; frames of clients go nowhere */
    uint16_t project_len, object_len;
    uint16_t name_at, name_len;
    char object[]; /* "room/<project>/<room>", where the name is a part; or
                      "user/<project>/<user>" and behind it the name, with its mark */
};

struct slice local_room_object(const struct local_room *room);
struct slice local_room_project(const struct local_room *room);
struct slice local_room_name(const struct local_room *room);

/* Finds or makes the room. One without members goes away when the turn ends. */
int local_room_get(struct sessions *all, struct slice project, struct slice name,
                   struct local_room **ret_room) MUST_CHECK;
struct local_room *local_room_find(struct sessions *all, struct slice project,
                                   struct slice name);
struct local_room *local_room_find_object(struct sessions *all, struct slice object);

/* The link whose shard may know of this room's attaches: its own, or while it has none the one
 * that it was taken off by a MOVED that crossed an ATTACH. NULL: none that is up. */
struct link *local_room_last_link(const struct local_room *room);

/* The socket goes: a shard that the room was taken away from, without a word of its, may get to
 * read its ATTACH only now. */
void local_room_detach_elsewhere(const struct local_room *room, uint64_t attach);

int local_room_add(struct local_room *room, struct attach *attach) MUST_CHECK;
/* The last one takes the room with it, at the end of the turn. */
void local_room_remove(struct local_room *room, struct attach *attach);
/* A room that nobody came into after local_room_get() (an allocation failed). */
void local_room_drop_if_empty(struct local_room *room);

/* Binds the room to its owner's link if it is not, and sends what attaches are unsent, at most
 * *budget of them. Answers ROOM_STALLED when the link is full. */
enum room_answer { ROOM_STALLED = 1 };
int local_room_advance(struct local_room *room, size_t *budget);

/* Its link has gone: every attach is WAITING. */
void local_room_unbind(struct local_room *room);
/* Something wants the room: if it sleeps, all of its sockets are attached again. */
void local_room_wake(struct local_room *room);
/* Its shard (the room is bound to it) wants to know when all sockets have been attached. */
void local_room_on_wake(struct local_room *room, uint64_t wake);
/* A shard that the room is not bound to has activated it. */
void local_room_on_woken(struct local_room *room, struct link *by, uint64_t wake);
void local_room_on_moved(struct local_room *room, const struct msg_MOVED *in);
void local_room_on_sleep(struct local_room *room, const struct msg_SLEEP *in);
/* One of its sockets is live: the next MOVED starts with a short pause again. */
void local_room_on_live(struct local_room *room);

/* A reference to these bytes, shared by all members that say the same (but for
 * cursors between two pages). NULL: out of memory. */
struct blob *local_room_generation(struct local_room *room, struct slice generation);
