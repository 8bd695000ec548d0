/*
 * session.h - client sockets and the rooms they are in, as the edge sees them.
 *
 * A session is one client connection that has been let in: a room socket or an
 * event stream, which is in one room for life, or a socket that subscribes to
 * many rooms and leaves them again. Sessions answer `ping`, forward frames to
 * the shard that owns the room, keep what is not settled yet, fan room events
 * out, and attach again by themselves when a shard, a link or the ring changes:
 * the client never notices. They know no HTTP and no signature, only how a frame
 * is wrapped for the client (framing.h) and when its token ends.
 *
 * Who owns what: the edge owns the connection; the session borrows its sink and
 * writes whole frames to it. The edge calls session_close() when the connection
 * ends, or is told by on_close that the session has ended it. After either, both
 * sides forget each other.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"
#include "common/json/errors.h"
#include "gateway/session/framing.h"

struct gateway_metrics;
struct link_pool;
struct session;
struct sessions; /* all sessions of a process, their rooms, the one sweep timer */

enum session_answer {
    SESSION_FULL = 1, /* session_open(), session_enter(): come back later (1013) */
    SESSION_OTHER,    /* session_refresh(): the token is somebody else's, or for another room */
};

/* Where the frames of a session go, and in which form. */
struct session_sink {
    enum framing framing;
    struct stream *stream; /* they are written to it as they are; NULL: to events.write */
};

struct session_events {
    /* The session has ended: write a close frame with this code and reason, then close. The
     * session is gone, no call into it may follow. May come from inside any session_*() call
     * except session_open() and session_close(). */
    void (*on_close)(void *owner, unsigned code, struct slice reason);
    /* Stop (or go on) reading client data: what is unsettled has reached its bound. Frames that
     * were already read may still be handed in. */
    void (*on_pause)(void *owner, bool paused);
    /* Of a session whose sink has no stream. write: takes a reference of its own; <0: the
     * session ends with 1013; may end the session itself. queued: bytes that the client has not
     * taken yet. */
    int (*write)(void *owner, struct blob *frame);
    size_t (*queued)(void *owner);
    /* The client has sent a fresh token. The edge checks it and says session_refresh() or
     * session_refuse(), now or later. Both are borrowed for the call. NULL: this client cannot
     * do that. */
    void (*on_token)(void *owner, struct slice token, struct slice frame_id);
};

/* Bytes queued for one socket, by what happens above them; see SOCKET_QUEUE_*. */
struct socket_marks {
    size_t low, soft, behind, hard;
};

struct sessions_config {
    uint32_t
        rate_limit_scale;  /* FLUXY_RATE_LIMIT_SCALE, multiplies rate limits; 0 counts as 1 */
    uint32_t max_sessions; /* 0: CONNECTIONS_MAX */
    uint32_t token_warning_ms; /* before its token ends a native client is told; 0:
                                  TOKEN_WARNING_MS */
    uint32_t token_grace_ms;   /* after that it may still read; 0: TOKEN_GRACE_MS */
    struct socket_marks marks; /* all 0: SOCKET_QUEUE_* */
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
/* The gateway goes: from now on each session is told when to come back elsewhere, `rate` of
 * them a second, or as many as it takes for all of it to be over in this time. Returns the
 * rate. */
uint32_t sessions_depart(struct sessions *sessions, uint32_t rate, uint64_t time_ms);
/* Does what of it is due: tells, and closes (1012, through on_close) those whose time is over.
 * since_ms: the last call was so long ago; no more are closed than the rate allows in that
 * time. Returns how many are left. */
size_t sessions_depart_some(struct sessions *sessions, uint64_t since_ms);

/* How long a client that is closed with this code is asked to stay away: at random, so that
 * those who go together do not come together. */
uint64_t session_return_delay_ms(struct env *env, unsigned code);

#define SESSION_GOAWAY_TEXT 128 /* bytes of such a frame */
/* The frame that tells it, for those who have no session. reason: a word of ours, below 32
 * bytes. */
void session_goaway_text(char ret_json[SESSION_GOAWAY_TEXT], const char *reason,
                         uint64_t after_ms);

/* Who has been let in. Everything is copied. */
struct session_params {
    struct slice project, user;
    struct slice roles;     /* the token's project roles, comma-separated: "owner,member" */
    struct slice user_info; /* cleaned presenceInfo, a JSON object, or empty */
    struct slice token_id;  /* jti of the token, at most TOKEN_ID_MAX bytes; empty: none */
    int64_t issued_s;       /* iat of the token; 0: not said */
    struct slice only_room; /* that the token is good for; empty: all */
    int64_t expires_s;      /* when the token ends, seconds since 1970; 0: never */
    bool native;            /* speaks fluxy.v1 */
    bool many_rooms;        /* subscribes by frames; else session_enter() is called, once */
};

/* 0; SESSION_FULL; -ENOMEM. The stream of the sink is borrowed; its events stay the edge's. */
int session_open(struct sessions *sessions, const struct session_params *params,
                 const struct session_sink *sink, const struct session_events *events,
                 void *owner, struct session **ret_session) MUST_CHECK;

/* How a socket enters a room. Everything is copied. */
struct enter_params {
    struct slice room;
    uint32_t attach_flags;   /* ATTACH_HAS_SEQ, _NO_REPLAY, _AS_REPLAY, _CACHE, _OBSERVER,
                                _SUBSCRIBE of common/wire/msg.h; the rest is set here */
    uint32_t replay_limit;   /* messages in the snapshot */
    uint64_t last_seq;       /* with ATTACH_HAS_SEQ */
    struct slice generation; /* with ATTACH_HAS_SEQ; may be empty */
    struct slice trace;      /* of the request, for the shard's log */
    struct slice frame_id;   /* of the frame that asked, for an error that comes later */
    bool no_presence;        /* frames about who is here are left out */
};

/* 0: the shard's answer comes as frames or as on_close; SESSION_FULL; -ENOMEM (the edge
 * closes). */
int session_enter(struct session *session, const struct enter_params *params) MUST_CHECK;
/* The session listens to its user's channel instead. Answers as session_enter(). */
int session_enter_user_channel(struct session *session, struct slice trace) MUST_CHECK;

/* A whole text message of the client: valid UTF-8, within the frame limit. Borrowed for the
 * call. */
void session_on_text(struct session *session, struct slice text);
/* What was queued has gone out far enough (the stream's on_drained). */
void session_on_drained(struct session *session);
/* The client has said that it goes (a close frame): it was there until just now, and has what
 * it was sent before. To be followed by session_close(). */
void session_on_goodbye(struct session *session);
/* The socket has gone or goes for a reason of the edge's; no event follows. */
void session_close(struct session *session);

/* A fresh token, checked: its user and project must be those of the session, and it must be
 * good for the rooms that it is in. Its roles and its end count from now on; the client is told
 * by `token_refreshed`. 0; SESSION_OTHER: nothing has changed; <0: the edge closes. */
int session_refresh(struct session *session, const struct session_params *params,
                    struct slice frame_id) MUST_CHECK;

/* Frames that the edge has to say: about a client frame, with the ids that it bears; about one
 * of which only this id is left (may be empty). <0: the edge closes. */
int session_refuse_text(struct session *session, struct slice text,
                        enum error_code code) MUST_CHECK;
int session_refuse(struct session *session, struct slice frame_id, enum error_code code,
                   const char *detail) MUST_CHECK;
