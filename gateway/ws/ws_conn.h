/*
 * ws_conn.h - one WebSocket connection (RFC 6455, server side) over any
 * stream: decodes what comes with libwslay, answers pings, notices silence,
 * does the close handshake. Knows no rooms, no JSON, no HTTP.
 *
 * A decoder costs several KB, so a connection has one only in the middle of a
 * frame or message; between messages it holds nothing but this struct.
 *
 * Life: ws_conn_new() takes the stream over. It ends by ws_conn_close() of the
 * owner (no event comes after it, the close handshake goes on by itself) or by
 * on_close. Either way the memory is freed later and the owner forgets it.
 */
#pragma once

#include "common/base/wheel.h"
#include "gateway/ws/ws_header.h"

struct ws_conn;
struct ws_codec;

/* Close codes (RFC 6455 7.4, docs/errors.md). */
enum ws_code {
    WS_CODE_NORMAL = 1000,
    WS_CODE_GOING_AWAY = 1001, /* a browser leaves the page */
    WS_CODE_PROTOCOL = 1002,
    WS_CODE_UNSUPPORTED = 1003,
    WS_CODE_NONE = 1005,     /* never sent: the peer gave no code */
    WS_CODE_ABNORMAL = 1006, /* never sent: the connection just ended */
    WS_CODE_BAD_DATA = 1007,
    WS_CODE_POLICY = 1008,
    WS_CODE_TOO_BIG = 1009,
    WS_CODE_INTERNAL = 1011,
    WS_CODE_RESTART = 1012,
    WS_CODE_OVERLOADED = 1013,
};

struct ws_events {
    /* A whole message; text is valid UTF-8. Valid during the call. */
    void (*on_message)(void *owner, bool is_text, struct slice payload);
    void (*on_drained)(void *owner); /* as stream_events.on_drained */
    /* The peer closed, broke the protocol (code is what we told it), fell silent or vanished.
     */
    void (*on_close)(void *owner, unsigned code);
};

/* What all connections of a process share. */
struct ws_server {
    struct env *env;
    struct wheel *wheel;
    struct list free_codecs; /* struct ws_codec: ready for the next frame */
    size_t n_free;
    size_t n_codecs;      /* in use */
    size_t partial_bytes; /* held for unfinished messages, over all connections */
    struct list closing;  /* struct ws_conn in the close handshake, no owner any more */
};

void ws_server_init(struct ws_server *server, struct env *env, struct wheel *wheel);
/* Ends what is still in its close handshake; all other connections must be closed before. */
void ws_server_deinit(struct ws_server *server);

/* Takes over the stream (closes it on failure). The bytes that came behind the handshake are
 * given to ws_conn_feed() by the caller once it can bear events. */
int ws_conn_new(struct ws_server *server, struct stream *stream, const struct ws_events *events,
                void *owner, struct ws_conn **ret_ws) MUST_CHECK;
void ws_conn_feed(struct ws_conn *ws, struct slice bytes);

struct stream *ws_conn_stream(struct ws_conn *ws); /* for writers of whole frames */
/* Queues a whole frame. <0: the caller closes. */
int ws_conn_send(struct ws_conn *ws, struct blob *frame) MUST_CHECK;
void ws_conn_pause(struct ws_conn *ws, bool paused); /* stop or go on reading */
/* Sends a close frame and ends the connection when the peer has answered, or after a while.
 * reason: at most 123 bytes, cut otherwise. */
void ws_conn_close(struct ws_conn *ws, unsigned code, struct slice reason);
