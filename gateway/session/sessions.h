/*
 * sessions.h - what the parts of this folder share: the process-wide struct and
 * the session. Inside gateway/session only; others use session.h.
 */
#pragma once

#include "common/base/map.h"
#include "common/base/ratelim.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"
#include "gateway/session/attach_table.h"
#include "gateway/session/intern.h"
#include "gateway/session/local_user.h"
#include "gateway/session/session.h"

#define SOCKET_ID_LEN 16

struct attach;

struct sessions {
    struct env *env; /* borrowed, as the next two */
    struct link_pool *pool;
    struct gateway_metrics *metrics;
    uint32_t max_sessions;
    struct ratelim_rule frame_rule;
    struct attach_table attaches; /* by number */
    struct map rooms;             /* struct local_room, by project and room */
    struct map users;             /* struct local_user, by project and user */
    struct map texts;             /* struct intern_text */
    struct list open;             /* struct session, but for those that a kick is ending */
    size_t n_open;
    struct list pending; /* struct attach: something of it has a deadline or waits for a queue
                            to drain */
    struct list unbound; /* struct local_room without a link */
    struct list work;    /* struct local_room to be looked at */
    struct list
        stalled; /* struct local_room whose link was full while its attaches were being sent */
    struct list kicks; /* struct kick: sockets of theirs are still to be ended */
    struct timer work_timer;
    struct timer kick_timer;
    struct timer sweep; /* always armed */
    struct later dead;
};

struct session {
    struct sessions *all;
    struct list link; /* sessions.open, or kick.doomed */
    struct stream *stream;
    const struct session_events *events;
    void *owner;
    struct attach *attaches; /* the rooms it is in, linked by next_of_session */
    struct local_user *user;
    struct list of_user; /* user->sessions */
    struct intern_text *project;
    struct intern_text *roles;
    struct blob *user_info; /* NULL: none */
    struct blob *token_id;  /* jti; NULL: it has none */
    int64_t issued_s;       /* of its token; 0: not said */
    struct ratelim frame_limit;
    struct later dead;
    uint8_t socket_id[SOCKET_ID_LEN];
    uint16_t n_over; /* attaches with too much unsettled; not read while above 0 */
    bool is_native;
    bool is_closed;
};

/* ---- sessions.c ---- */

struct local_room;
/* The room is looked at in the next turn. */
void sessions_queue_room(struct sessions *all, struct local_room *room);

/* ---- session.c ---- */

/* Ends the socket from this side: out of its rooms, on_close to the edge. Does nothing when it
 * is closed. */
void session_end(struct session *session, unsigned code, struct slice reason);
/* One more, or one less, attach with too much unsettled. */
void session_set_over(struct session *session, bool is_over);
static inline struct slice session_user(const struct session *session)
{
    return local_user_id(session->user);
}
