/*
 * room_socket.c - a WebSocket and its session: passes messages one way and
 * orders to pause or close the other. Frames for the client do not come
 * through here; the session writes them to the stream itself.
 */
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/utf8.h"
#include "gateway/auth/token.h"
#include "gateway/edge/front_internal.h"
#include "gateway/edge/socket_query.h"
#include "gateway/edge/token_refresh.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

struct room_socket {
    struct list link; /* front.sockets */
    struct front *front;
    struct ws_conn *ws;            /* NULL once it has ended */
    struct session *session;       /* NULL once it has ended */
    struct token_refresh *refresh; /* NULL: none is under way */
    struct later dead;
    bool let_in; /* counts as a socket that was open */
    bool was_in; /* has had a session */
};

static void socket_free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

/* Both sides have ended or are about to be told. */
static void socket_forget(struct room_socket *s, unsigned code)
{
    if (s->let_in)
        front_count_close(s->front, code);
    token_refresh_cancel(s->refresh);
    list_del(&s->link);
    env_free_later(s->front->parts.env, &s->dead);
}

/* Nobody has been let in for want of room: the session, which would say when to come back, does
 * not exist. */
static void say_return(struct room_socket *s)
{
    struct front *front = s->front;
    AUTO(blob_unref) struct blob *frame = NULL;
    char json[SESSION_GOAWAY_TEXT];

    session_goaway_text(json, "overload",
                        session_return_delay_ms(front->parts.env, WS_CODE_OVERLOADED));
    frame = framing_build(FRAMING_WEBSOCKET, slice_str(json), FRAMING_NO_ID);
    front->parts.metrics->goaways_overload++;
    if (frame && ws_conn_send(s->ws, frame) < 0)
        return; /* the close frame will not get through either */
}

static void socket_close(struct room_socket *s, unsigned code, struct slice reason)
{
    struct ws_conn *ws;
    struct session *session = TAKE(s->session);

    if (!session && !s->was_in && s->ws && code == WS_CODE_OVERLOADED)
        say_return(s);
    ws = TAKE(s->ws);
    if (session)
        session_close(session);
    if (ws)
        ws_conn_close(ws, code, reason);
    socket_forget(s, code);
}

/* ---- from the session ---- */

static void on_session_close(void *owner, unsigned code, struct slice reason)
{
    struct room_socket *s = owner;

    s->session = NULL;
    socket_close(s, code, reason);
}

static void on_session_pause(void *owner, bool paused)
{
    struct room_socket *s = owner;

    if (s->ws)
        ws_conn_pause(s->ws, paused);
}

static void on_unsent(void *owner)
{
    struct room_socket *s = owner;

    if (s->session)
        socket_close(s, WS_CODE_OVERLOADED, SLICE_LIT("overloaded"));
}

static void on_session_token(void *owner, struct slice token, struct slice frame_id)
{
    struct room_socket *s = owner;
    const struct front_parts *parts = &s->front->parts;

    token_refresh_start(parts->admit, parts->env, s->session, token, frame_id, &s->refresh,
                        on_unsent, s);
}

static const struct session_events session_events = {
    .on_close = on_session_close, .on_pause = on_session_pause, .on_token = on_session_token};

/* ---- from the socket ---- */

static void refuse(struct room_socket *s, struct slice text, enum error_code code)
{
    if (session_refuse_text(s->session, text, code) < 0)
        on_unsent(s);
}

static void on_message(void *owner, bool is_text, struct slice payload)
{
    struct room_socket *s = owner;

    if (!s->session)
        return;
    if (!is_text)
        refuse(s, slice_of(NULL, 0), ERROR_unknown_event_type); /* no binary frame means
                                                                   anything here */
    else if (payload.len > FRAME_MAX_UTF16 && utf8_utf16_units(payload) > FRAME_MAX_UTF16)
        refuse(s, payload, ERROR_payload_too_large);
    else
        session_on_text(s->session, payload);
}

static void on_drained(void *owner)
{
    struct room_socket *s = owner;

    if (s->session)
        session_on_drained(s->session);
}

/* Its client goes in order: it leaves the page, logs out, or comes again with a fresh token.
 * Not 4000, by which a client says that it has heard nothing for too long. */
static bool is_goodbye(unsigned code)
{
    return code == WS_CODE_NORMAL || code == WS_CODE_GOING_AWAY || code == WS_CODE_NONE;
}

static void on_ws_close(void *owner, unsigned code)
{
    struct room_socket *s = owner;
    struct session *session = TAKE(s->session);

    s->ws = NULL;
    if (session && is_goodbye(code))
        session_on_goodbye(session);
    if (session)
        session_close(session);
    socket_forget(s, code);
}

static const struct ws_events ws_events = {on_message, on_drained, on_ws_close};

/* ---- life ---- */

static struct room_socket *socket_new(struct front *front, struct stream *stream)
{
    struct room_socket *s = calloc(1, sizeof(*s));

    if (!s) {
        stream_close(stream, false);
        return NULL;
    }
    s->front = front;
    later_init(&s->dead, socket_free_now, s);
    if (ws_conn_new(&front->ws, stream, &ws_events, s, &s->ws) < 0) {
        free(s);
        return NULL;
    }
    list_add_tail(&front->sockets, &s->link);
    return s;
}

static int enter(struct room_socket *s, const struct socket_query *query,
                 const struct token *token, struct slice trace)
{
    struct front *front = s->front;
    char roles[ROLES_TEXT_MAX];
    struct session_params params = {
        .project = slice_str(token->project),
        .user = slice_str(token->user),
        .roles = roles_text(token->roles, roles),
        .user_info = buf_slice(&query->user_info),
        .token_id = slice_str(token->id),
        .issued_s = token->issued_s,
        .only_room = slice_str(token->room),
        .expires_s = token->expires_s,
        .native = query->native,
        .many_rooms = query->many_rooms,
    };
    struct session_sink sink = {.framing = FRAMING_WEBSOCKET, .stream = ws_conn_stream(s->ws)};
    struct enter_params room = {
        .room = slice_str(query->room),
        .attach_flags = query->attach_flags,
        .replay_limit = query->replay_limit,
        .last_seq = query->last_seq,
        .generation = slice_str(query->generation),
        .trace = trace,
    };
    int r =
        session_open(front->parts.sessions, &params, &sink, &session_events, s, &s->session);

    s->was_in = r == 0;
    if (r != 0 || query->many_rooms)
        return r;
    return query->user[0] ? session_enter_user_channel(s->session, trace)
                          : session_enter(s->session, &room);
}

void room_socket_start(struct front *front, struct stream *stream,
                       const struct socket_query *query, const struct token *token,
                       struct slice trace, struct slice rest)
{
    struct room_socket *s = socket_new(front, stream);

    if (!s)
        return;
    front->parts.metrics->sockets_opened++;
    s->let_in = true;
    if (enter(s, query, token, trace) != 0) {
        if (s->ws) /* else it has been closed on the way */
            socket_close(s, WS_CODE_OVERLOADED, SLICE_LIT("overloaded"));
        return;
    }
    if (s->ws)
        ws_conn_feed(s->ws, rest);
}

void room_socket_refuse(struct front *front, struct stream *stream, unsigned code,
                        const char *reason)
{
    struct room_socket *s = socket_new(front, stream);

    if (s)
        socket_close(s, code, slice_str(reason));
}

void room_socket_drop_all(struct front *front)
{
    while (!list_empty(&front->sockets))
        socket_close(list_first(&front->sockets, struct room_socket, link), WS_CODE_RESTART,
                     SLICE_LIT("drain"));
}
