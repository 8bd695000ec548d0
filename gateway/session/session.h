/*
 * session.h - client sockets and the rooms they are in, as the edge sees them.
 *
 * A session is one client socket that has been let in; it enters rooms (today
 * exactly one). Sessions answer `ping`, forward frames to the shard that owns
 * the room, keep what is not settled yet, fan room events out, and attach again
 * by themselves when a shard, a link or the ring changes: the socket never
 * notices. They know no HTTP, no token and no WebSocket codec beyond the header
 * of a server frame: the edge has done all that.
 *
 * Who owns what: the edge owns the connection and its stream; the session
 * borrows the stream and writes whole WebSocket frames to it. The edge calls
 * session_close() when the socket ends, or is told by on_close that the session
 * has ended it. After either, both sides forget each other.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"

struct gateway_metrics;
struct link_pool;
struct session;
struct sessions; /* all sessions of a process, their rooms, the one sweep timer */

/* Answers of session_open() and session_enter(): the edge refuses the socket with close 1013.
 */
enum session_answer { SESSION_FULL = 1 };

struct session_events {
    /* The session has ended: write a close frame with this code and reason, then close. The
     * session is gone, no call into it may follow. May come from inside any session_*() call
     * except session_open() and session_close(). */
    void (*on_close)(void *owner, unsigned code, struct slice reason);
    /* Stop (or go on) reading client data: what is unsettled has reached its bound. Frames that
     * were already read may still be handed in. */
    void (*on_pause)(void *owner, bool paused);
};

struct sessions_config {
    uint32_t
        rate_limit_scale;  /* FLUXY_RATE_LIMIT_SCALE, multiplies rate limits; 0 counts as 1 */
    uint32_t max_sessions; /* 0: CONNECTIONS_MAX */
};

/* env, pool and metrics are borrowed and outlive the sessions. Takes the session side of the
 * pool's events. */
int sessions_new(struct env *env, struct link_pool *pool, struct gateway_metrics *metrics,
                 const struct sessions_config *config,
                 struct sessions **ret_sessions) MUST_CHECK;
void sessions_free(
    struct sessions *sessions); /* NULL does nothing; every session must be closed before */
DEFINE_AUTO(struct sessions, sessions_free)

/* How many are open. */
size_t sessions_count(const struct sessions *sessions);
/* Ends at most max sessions with this code and reason (through on_close) and returns how many
 * are left: a gateway that goes down calls it at a bounded rate. */
size_t sessions_close_some(struct sessions *sessions, unsigned code, struct slice reason,
                           size_t max);

/* Who has been let in. Everything is copied. */
struct session_params {
    struct slice project, user;
    struct slice roles;     /* the token's project roles, comma-separated: "owner,member" */
    struct slice user_info; /* cleaned presenceInfo, a JSON object, or empty */
    struct slice token_id;  /* jti of the token, at most TOKEN_ID_MAX bytes; empty: none */
    int64_t issued_s;       /* iat of the token; 0: not said */
    bool native;            /* speaks fluxy.v1 */
};

/* 0; SESSION_FULL; -ENOMEM. The stream is borrowed; its events stay the edge's. */
int session_open(struct sessions *sessions, const struct session_params *params,
                 struct stream *stream, const struct session_events *events, void *owner,
                 struct session **ret_session) MUST_CHECK;

/* How a socket enters a room. Everything is copied. */
struct enter_params {
    struct slice room;
    uint32_t attach_flags;   /* ATTACH_HAS_SEQ, _NO_REPLAY, _AS_REPLAY, _CACHE of
                                common/wire/msg.h; the rest is set here */
    uint32_t replay_limit;   /* messages in the snapshot */
    uint64_t last_seq;       /* with ATTACH_HAS_SEQ */
    struct slice generation; /* with ATTACH_HAS_SEQ; may be empty */
    struct slice trace;      /* of the request, for the shard's log */
};

/* 0: the shard's answer comes as frames or as on_close; SESSION_FULL; -ENOMEM (the edge
 * closes). */
int session_enter(struct session *session, const struct enter_params *params) MUST_CHECK;
/* The session listens to its user's channel instead. Answers as session_enter(). */
int session_enter_user_channel(struct session *session, struct slice trace) MUST_CHECK;

/* A whole text message of the client: valid UTF-8, within the frame limit. Borrowed for the
 * call. */
void session_on_text(struct session *session, struct slice text);
/* The stream's on_drained, passed on by the edge. */
void session_on_drained(struct session *session);
/* The socket has gone or goes for a reason of the edge's; no event follows. */
void session_close(struct session *session);

/* Writes a text frame to the socket (for frames that the edge itself has to say). <0: the edge
 * closes. */
int session_send(struct session *session, struct slice json) MUST_CHECK;
