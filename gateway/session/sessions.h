/*
 * sessions.h - what the parts of this folder share: the process-wide struct and
 * the session. Inside gateway/session only; others use session.h.
 */
#pragma once

#include "common/base/map.h"
#include "common/base/ratelim.h"
#include "common/base/wheel.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"
#include "gateway/session/attach_table.h"
#include "gateway/session/depart.h"
#include "gateway/session/intern.h"
#include "gateway/session/local_user.h"
#include "gateway/session/missed.h"
#include "gateway/session/session.h"

#define SOCKET_ID_LEN 16

struct attach;

struct sessions {
    struct env *env; /* borrowed, as the next two */
    struct link_pool *pool;
    struct gateway_metrics *metrics;
    uint32_t max_sessions;
    struct ratelim_rule frame_rule;
    struct socket_marks marks;
    uint32_t token_warning_ms, token_grace_ms;
    struct wheel wheel;           /* ends of tokens */
    struct attach_table attaches; /* by number */
    struct map subscriptions;     /* struct attach of sockets with many rooms, by both */
    struct map rooms;             /* struct local_room, by project and room */
    struct map users;             /* struct local_user, by project and user */
    struct map texts;             /* struct intern_text */
    struct list open;             /* struct session, but for those that a kick is ending, and
                                     those that have been told to depart */
    size_t n_open;
    struct departure departure;
    struct list pending; /* struct attach: something of it has a deadline or waits for a queue
                            to drain */
    struct list unbound; /* struct local_room without a link */
    /* Left; freed together at the end of the turn, the attaches first. */
    struct list gone; /* struct attach */
    struct list gone_sessions;
    struct later reap;
    struct list work; /* struct local_room to be looked at */
    struct list
        stalled; /* struct local_room whose link was full while its attaches were being sent */
    struct list kicks; /* struct kick: sockets of theirs are still to be ended */
    struct missed_rooms missed;
    struct list to_wake;   /* struct local_room: asleep, and another gateway that had sockets in
                              it is gone, or its owner is another one */
    size_t handover_bytes; /* of all token streams on their way to another shard */
    struct timer work_timer;
    struct timer kick_timer;
    struct timer sweep; /* always armed */
    struct later dead;
};

struct session {
    struct sessions *all;
    struct list link;      /* sessions.open, a list of the departure, kick.doomed, or
                              sessions.gone_sessions */
    struct stream *stream; /* NULL: events.write */
    const struct session_events *events;
    void *owner;
    struct list attaches; /* struct attach: the rooms it is in */
    struct local_user *user;
    struct list of_user; /* user->sessions */
    struct intern_text *project;
    struct intern_text *roles;
    struct intern_text *only_room; /* that its token is good for; NULL: all */
    struct blob *user_info;        /* NULL: none */
    struct blob *token_id;         /* jti; NULL: it has none */
    int64_t issued_s;              /* of its token; 0: not said */
    struct ratelim frame_limit;
    struct wheel_entry token_due;
    int64_t expires_s; /* of the token, by the wall clock; 0: never */
    uint8_t socket_id[SOCKET_ID_LEN];
    uint32_t unsettled_bytes; /* of all attaches */
    uint32_t page_bytes;      /* of pages, queued since the socket had last drained */
    uint32_t depart_ms; /* when its client is to come back, from the departure's beginning */
    uint16_t n_attaches;
    uint16_t n_over;   /* attaches with too much unsettled; not read while above 0 */
    uint8_t n_credits; /* attaches that may be sent a page: CATCHUPS_PER_SOCKET at most */
    uint8_t n_waiting; /* attaches that wait for a credit, or for the socket to drain */
    uint8_t framing;   /* enum framing */
    bool is_paused : 1;
    bool is_native : 1;
    bool many_rooms : 1; /* subscribes; else it is in one room for life */
    bool is_token_warned : 1;
    bool is_closed : 1;
    bool is_doomed : 1;    /* on a kick's list */
    bool said_goodbye : 1; /* the client has closed it in order */
    bool is_departing : 1; /* told to come back elsewhere */
    bool is_sent_away : 1; /* closed because its time to do so is over */
};

/* ---- sessions.c ---- */

struct local_room;
/* The room is looked at in the next turn. */
void sessions_queue_room(struct sessions *all, struct local_room *room);
/* They have left; the memory goes when nobody on the stack can hold it. */
void sessions_reap_attach(struct sessions *all, struct attach *attach);
void sessions_reap(struct sessions *all, struct session *session);

/* ---- session.c ---- */

/* Ends the socket from this side: out of its rooms, on_close to the edge. Does nothing when it
 * is closed. */
void session_end(struct session *session, unsigned code, struct slice reason);
void session_free(struct session *session); /* NULL does nothing */
/* The same after something could not be queued for it: -ENOBUFS is the client's fault. */
void session_end_failed(struct session *session, int error);
/* Stops or goes on reading, after n_over or unsettled_bytes has changed. */
void session_update_pause(struct session *session);
/* A text frame to the client. <0: the caller ends the session; -ENOBUFS: it does not read. */
int session_send(struct session *session, struct slice json) MUST_CHECK;

/* A page of some room's catch-up may be asked for. */
bool session_may_page(const struct session *session);
/* A credit has come back: rooms that wait for one go on. */
void session_next_page(struct session *session);
/* Beside the pages that were asked for, more is queued than a client may leave unread. */
bool session_is_overfull(struct session *session);

/* Of a session that is in one room for life; NULL: not yet in it. */
struct attach *session_only_attach(const struct session *session);
/* It is on its user's channel. */
bool session_is_listener(const struct session *session);
/* NULL: it is not in that room. */
struct attach *session_find_attach(const struct session *session, struct slice room);
/* Its roles have changed: the shards of its rooms are told. */
void session_tell_roles(struct session *session);

static inline struct slice session_user(const struct session *session)
{
    return local_user_id(session->user);
}
static inline size_t session_queued(const struct session *session)
{
    return session->stream ? session->stream->queued_bytes
                           : session->events->queued(session->owner);
}
static inline int session_write(struct session *session, struct blob *frame)
{
    return session->stream ? stream_write(session->stream, frame)
                           : session->events->write(session->owner, frame);
}
/* What is said in rooms goes first (stream_write_unhurried()). */
static inline int session_write_unhurried(struct session *session, struct blob *frame)
{
    return session->stream ? stream_write_unhurried(session->stream, frame)
                           : session->events->write(session->owner, frame);
}
