/*
 * attach.h - one socket in one room: what it has been given, what it still
 * waits for, and the messages about it to and from the room's shard.
 * Inside gateway/session only.
 */
#pragma once

#include "common/base/map.h"
#include "common/wire/msg.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"
#include "gateway/session/unacked.h"

enum attach_state {
    ATTACH_STATE_WAITING,  /* no link to the owner, or ATTACH sent and nothing heard */
    ATTACH_STATE_CATCHING, /* the catch-up is coming */
    ATTACH_STATE_LIVE,     /* gets room events */
    ATTACH_STATE_ASLEEP,   /* the room has left its shard; the socket stays */
    ATTACH_STATE_BEHIND,   /* live for its shard, but the socket is too slow: behind.h */
    ATTACH_STATE_GONE,
};

/* Only needed until the socket is live for the first time. */
struct attach_fresh {
    uint64_t since_ms; /* in WAITING since */
    uint64_t last_seq;
    uint32_t flags; /* ATTACH_* */
    uint32_t replay_limit;
    uint16_t generation_len, trace_len, frame_id_len;
    char bytes[]; /* generation, trace, frame_id */
};

/* A typing frame. */
struct attach_typing {
    uint64_t at_ms; /* when it came */
    uint32_t len;
    char json[];
};

struct behind;

struct attach {
    /* What a fan-out reads: in one cache line. */
    uint64_t cursor;       /* the last seq that the socket has been given */
    struct stream *stream; /* the session's; NULL: it writes by other means */
    uint64_t number;
    uint8_t state; /* enum attach_state */
    bool is_native;
    bool is_sent;   /* ATTACH went out on the room's present link */
    bool is_over;   /* too much unsettled: counted in session->n_over */
    uint32_t epoch; /* of the newest ATTACH */
    struct session *session;
    struct local_room *room;
    uint32_t slot;            /* index in room->members */
    bool owes_more;           /* a page ended; MORE goes out when the socket has drained */
    uint8_t framing;          /* the session's */
    bool no_presence;         /* frames about who is here are left out */
    bool is_observer : 1;     /* reads without being here */
    bool was_cut : 1;         /* its last re-attach ended before it was live */
    bool is_subscription : 1; /* in sessions.subscriptions */
    bool has_credit : 1;      /* a page of its catch-up may come: in session->n_credits */
    bool is_waiting : 1;      /* for a credit or for room: in session->n_waiting */
    bool has_gap : 1;         /* frames in front of what is to be settled were given up */
    bool owes_presence : 1;   /* went without a frame about who is here */

    struct map_node subscription; /* by session and room */
    struct list of_session;       /* session.attaches; sessions.gone once it has left */
    struct list pending;          /* sessions.pending */
    struct unacked *unacked;      /* NULL: nothing */
    uint32_t last_n;              /* number of the last frame that was sent */
    uint32_t gap_n;             /* text of a token stream in front of it did not count; or 0 */
    struct attach_fresh *fresh; /* NULL once it has been live */
    struct blob *generation;    /* the room's, in which cursor counts; NULL: not known yet */
    struct behind *behind;      /* NULL: it keeps up */
    struct attach_typing *typing; /* the newest, for the room's next owner; NULL: none */
};

/* A new attach in WAITING, in the table, the session's list and the room's members; not sent
 * yet. */
int attach_new(struct session *session, struct local_room *room,
               const struct enter_params *params, struct attach **ret_attach) MUST_CHECK;
/* Leaves the room (with DETACH when its shard knows of it). The memory goes at the end of the
 * turn. */
void attach_leave(struct attach *attach);
void attach_free(struct attach *attach); /* NULL does nothing */
/* The shard or a deadline ends it: the connection of a client that is in one room goes, one
 * with many is told. */
void attach_end(struct attach *attach, unsigned code, struct slice reason);

/* Sends ATTACH on the room's link. */
int attach_request(struct attach *attach) MUST_CHECK;
/* The session's roles have changed. */
void attach_tell_roles(struct attach *attach);
/* The room has lost its owner or sleeps no more: back to WAITING. */
void attach_restart(struct attach *attach);
/* Too slow: LIVE -> BEHIND. */
void attach_set_behind(struct attach *attach);
/* The room sleeps: a live attach sleeps with it. */
void attach_sleep(struct attach *attach);

/* The shard's messages. The attach may be gone afterwards. */
void attach_on_bytes(struct attach *attach, const struct msg_TO_ATTACH *in);
void attach_on_attached(struct attach *attach, const struct msg_ATTACHED *in);
void attach_on_paged(struct attach *attach);

/* A durable client frame: kept until it is settled, sent when possible. -ENOMEM. */
int attach_keep_frame(struct attach *attach, struct slice json) MUST_CHECK;
/* An ephemeral one: sent now or never. */
void attach_pass_frame(struct attach *attach, struct slice json);
/* A typing frame: passed on, and said again to another owner of the room while it is fresh. */
void attach_pass_typing(struct attach *attach, struct slice json);
/* Sends what is kept and has not been sent on this link, and what is owed: MORE, the beginning
 * of a catch-up, a wish for presence. */
void attach_flush(struct attach *attach);
/* Deadlines. The attach may be gone afterwards. */
void attach_sweep(struct attach *attach, uint64_t now_ms);

/* ---- attach_frames.c: frames of the client ---- */

/* Sends what is kept and has not been sent on this link. */
void attach_flush_frames(struct attach *attach);
/* The shard has settled all frames up to this number, the last one by this answer. */
void attach_settle(struct attach *attach, uint64_t done_n, struct slice answer);
/* The newest typing frame goes out again, to an owner that may not know it. */
void attach_say_typing_again(struct attach *attach);
/* Frames that came before that time and that no shard has settled are answered with what is
 * known of them, and forgotten; or all of them. <0: could not be said; the caller ends the
 * session. */
int attach_answer_frames(struct attach *attach, uint64_t before_ms) MUST_CHECK;
int attach_answer_unsettled(struct attach *attach) MUST_CHECK;
/* On the pending list exactly while the sweep or a drained queue has something to do for it. */
void attach_update_pending(struct attach *attach);

static inline bool attach_is_in(const struct attach *attach, struct slice room)
{
    return slice_eq(local_room_name(attach->room), room);
}
static inline size_t attach_queued(const struct attach *attach)
{
    return attach->stream ? attach->stream->queued_bytes : session_queued(attach->session);
}
