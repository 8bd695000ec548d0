/*
 * change.h - changes of a room's member list, of what somebody may do in the
 * room, and of the room itself, each as one committed entry. At most one per
 * user, or of the room per kind, is under way; a second waits and is decided
 * anew on what the first has left.
 */
#pragma once

#include "common/json/errors.h"
#include "shard/host/room_host.h"

enum change_outcome {
    CHANGE_DONE,   /* committed and applied */
    CHANGE_AGAIN,  /* another change of this user has ended: look at the member list and decide
                      anew */
    CHANGE_FAILED, /* error says why */
    CHANGE_MOVED,  /* the room goes; ask its new owner */
};

/* Who waits for a change. Embedded in its owner, who may take itself off the list at any time.
 */
struct change_wait {
    struct list link;
    uint64_t seq;  /* DONE: of the entry, */
    int64_t at_us; /* and its createdAt */
    /* Once. May be called from inside room_close(). */
    void (*fn)(struct change_wait *wait, enum change_outcome outcome, enum error_code error);
};

/* A change of what the user may do, in one entry with what it does to the member list. */
struct change_moderation {
    const char *action;  /* "mute", "unmute", "ban", "unban" */
    const char *audit;   /* "room.mute", ... */
    struct slice by;     /* who does it */
    struct slice detail; /* JSON object for the audit record, or empty */
    int64_t muted_us;    /* what is in force afterwards: see struct side_op */
    int64_t banned_us;
    int64_t expires_us; /* of this action; 0: does not end by itself */
    const uint8_t *key; /* DEDUPE_LEN: of the call, so that one sent again is done once */
};

struct change {
    struct slice user;
    enum member_role role;                      /* ROLE_NONE: is removed */
    const struct change_moderation *moderation; /* NULL: only the member list changes */
    struct slice actor; /* who asks, to be audited when it is somebody else; may be empty */
};

/* Any other event of the room that takes a seq. */
struct room_event {
    enum entry_kind kind; /* not ENTRY_MESSAGE */
    struct slice user;    /* the entry's */
    struct slice subject; /* whom it is about; empty: the room */
    struct slice extra;   /* the entry's */
    const uint8_t *key;   /* DEDUPE_LEN; NULL: one of its own, which is never a repeat */
    const struct side_op *ops;
    size_t n_ops;
};

/* Starts the change, or waits behind another one of the same user. The room is active; the
 * caller has checked that it is allowed. wait is taken unless < 0 (-ENOMEM; -EBUSY: the room's
 * commit queue is full). */
int change_start(struct room_host *room, const struct change *change,
                 struct change_wait *wait) MUST_CHECK;
/* The same for another event. wait NULL: nobody waits, and -EBUSY also says that another one is
 * under way. */
int change_start_event(struct room_host *room, const struct room_event *event,
                       struct change_wait *wait) MUST_CHECK;
/* Is something under way after which the user may do less? What he asks for meanwhile would be
 * numbered behind it: it must wait for the outcome. */
bool change_restrains(const struct room_host *room, struct slice user);
/* The user was taken off the list, or banned: closes the sockets that have no other right to be
 * here. */
void change_expel(struct room_host *room, struct slice user);
/* The room goes: everybody who waits gets CHANGE_MOVED. */
void changes_cancel(struct room_host *room);
