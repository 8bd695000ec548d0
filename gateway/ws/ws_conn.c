/*
 * ws_conn.c - the life of a connection:
 *
 *   OPEN -+-> CLOSING (our close frame is out) ---------+-> DEAD
 *         +-> the peer's close frame came, echoed ------+
 *         +-> DISCARDING (it broke the protocol) -------+
 *         +-> the stream ended, or silence -------------+
 *
 * DISCARDING reads and throws away for a moment: closing with unread input
 * makes the kernel reset the connection, and the peer would not see our code.
 */
#include "gateway/ws/ws_conn.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/ws/ws_codec.h"

enum ws_state { WS_OPEN, WS_CLOSING, WS_DISCARDING, WS_DEAD };

struct ws_conn {
    struct ws_server *server;
    struct stream *stream; /* owned until DEAD */
    const struct ws_events *events;
    void *owner;            /* told of nothing after OPEN */
    struct ws_codec *codec; /* owned, in mid-frame or mid-message; else NULL */
    size_t charged;         /* of server->partial_bytes */
    uint64_t heard_ms;      /* when the last byte came */
    struct wheel_entry timeout;
    struct list link; /* server->closing, after OPEN */
    struct later dead;
    uint8_t state;
    bool pinged; /* our ping is unanswered */
    bool paused;
    bool feeding; /* ws_conn_feed() is on the stack and holds the codec */
};

static void ws_on_message(void *owner, bool is_text, struct slice payload);

static const struct ws_codec_events codec_events = {.on_message = ws_on_message};

/* ---- codecs ---- */

static int codec_take(struct ws_conn *ws)
{
    struct ws_server *server = ws->server;

    if (!list_empty(&server->free_codecs)) {
        ws->codec = list_first(&server->free_codecs, struct ws_codec, link);
        list_del(&ws->codec->link);
        server->n_free--;
    } else {
        int r = ws_codec_new(&ws->codec);

        if (r < 0)
            return r;
        ws->codec->events = &codec_events;
    }
    ws->codec->owner = ws;
    server->n_codecs++;
    return 0;
}

/* Keeps the account of what unfinished messages hold. False: over the bound of the process. */
static bool codec_charge(struct ws_conn *ws, size_t bytes)
{
    ws->server->partial_bytes += bytes - ws->charged;
    ws->charged = bytes;
    return bytes == 0 || ws->server->partial_bytes <= WS_PARTIAL_TOTAL_MAX;
}

static void codec_drop(struct ws_conn *ws, bool reusable)
{
    struct ws_server *server = ws->server;
    struct ws_codec *codec = TAKE(ws->codec);

    if (!codec)
        return;
    (void)codec_charge(ws, 0); /* nothing cannot be too much */
    server->n_codecs--;
    if (reusable && server->n_free < WS_FREE_CODECS) {
        list_add_head(&server->free_codecs, &codec->link);
        server->n_free++;
    } else {
        ws_codec_free(codec);
    }
}

/* ---- the end ---- */

static void ws_free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

/* The stream is gone or goes. */
static void ws_finish(struct ws_conn *ws)
{
    ws->state = WS_DEAD;
    ws->stream = NULL;
    wheel_cancel(&ws->timeout);
    list_del(&ws->link);
    if (!ws->feeding)
        codec_drop(ws, false);
    env_free_later(ws->server->env, &ws->dead);
}

static void ws_end_stream(struct ws_conn *ws, bool flush)
{
    stream_close(ws->stream, flush);
    ws_finish(ws);
}

/* The owner learns of an end that is not its own doing, once, and forgets us. */
static void ws_tell_owner(struct ws_conn *ws, unsigned code)
{
    const struct ws_events *events = TAKE(ws->events);

    if (events)
        events->on_close(ws->owner, code);
}

static void ws_leave_open(struct ws_conn *ws, enum ws_state state, uint64_t timeout_ms)
{
    ws->state = (uint8_t)state;
    list_add_tail(&ws->server->closing, &ws->link);
    wheel_set(ws->server->wheel, &ws->timeout, timeout_ms);
    ws_conn_pause(ws, false);
}

void ws_conn_close(struct ws_conn *ws, unsigned code, struct slice reason)
{
    AUTO(blob_unref) struct blob *frame = NULL;

    ws->events = NULL;
    if (ws->state != WS_OPEN)
        return;
    frame = ws_close_frame(code, reason);
    if (!frame || stream_write(ws->stream, frame) < 0) {
        ws_end_stream(ws, false);
        return;
    }
    ws_leave_open(ws, WS_CLOSING, CLOSE_TIMEOUT_MS);
}

/* Ends an open connection that we cannot or may not read on, and tells the owner. */
static void ws_fail(struct ws_conn *ws, unsigned code)
{
    AUTO(blob_unref) struct blob *frame = ws_close_frame(code, slice_of(NULL, 0));

    codec_drop(ws, false);
    if (!frame || stream_write(ws->stream, frame) < 0)
        ws_end_stream(ws, false);
    else
        ws_leave_open(ws, WS_DISCARDING, WS_DISCARD_MS);
    ws_tell_owner(ws, code);
}

/* ---- time ---- */

static void ws_ping(struct ws_conn *ws)
{
    AUTO(blob_unref) struct blob *ping = ws_server_frame(WS_OP_PING, slice_of(NULL, 0));

    if (!ping || stream_write(ws->stream, ping) < 0) {
        ws_end_stream(ws, false);
        ws_tell_owner(ws, WS_CODE_ABNORMAL);
        return;
    }
    ws->pinged = true;
    /* Behind queued output a ping is late; whether the peer reads fast enough is the session's
     * business. */
    wheel_set(ws->server->wheel, &ws->timeout,
              ws->stream->queued_bytes > ping->len ? WS_PONG_TIMEOUT_QUEUED_MS
                                                   : WS_PONG_TIMEOUT_MS);
}

static void ws_on_timeout(struct wheel_entry *entry)
{
    struct ws_conn *ws = container_of(entry, struct ws_conn, timeout);
    uint64_t silent_ms = env_now_ms(ws->server->env) - ws->heard_ms;

    if (ws->state != WS_OPEN) {
        ws_end_stream(ws, ws->state == WS_DISCARDING);
    } else if (ws->paused) { /* we do not listen: silence says nothing */
        wheel_set(ws->server->wheel, &ws->timeout, WS_PING_INTERVAL_MS);
    } else if (ws->pinged) {
        ws_end_stream(ws, false);
        ws_tell_owner(ws, WS_CODE_ABNORMAL);
    } else if (silent_ms < WS_PING_INTERVAL_MS) {
        wheel_set(ws->server->wheel, &ws->timeout, WS_PING_INTERVAL_MS - silent_ms);
    } else {
        ws_ping(ws);
    }
}

/* ---- input ---- */

static void ws_on_message(void *owner, bool is_text, struct slice payload)
{
    struct ws_conn *ws = owner;

    if (ws->state == WS_OPEN)
        ws->events->on_message(ws->owner, is_text, payload);
}

/* Pongs. They are left out for a peer that does not read: it gets none of its other data
 * either. */
static bool ws_write_answers(struct ws_conn *ws)
{
    struct buf *out = &ws->codec->out;
    int r = 0;

    if (ws->state == WS_OPEN && out->len > 0 && ws->stream->queued_bytes < SOCKET_QUEUE_SOFT)
        r = stream_write_bytes(ws->stream, buf_slice(out));
    buf_clear(out);
    return r == 0;
}

static void ws_on_codec_closed(struct ws_conn *ws)
{
    bool by_peer = ws->codec->by_peer;
    unsigned code = ws->codec->close_code;

    if (ws->state == WS_CLOSING) { /* the answer to our close frame, in whatever form */
        codec_drop(ws, false);
        ws_end_stream(ws, true);
        return;
    }
    if (!by_peer) {
        ws_fail(ws, code);
        return;
    }
    (void)ws_write_answers(
        ws); /* the echo of the close frame; the connection ends in any case */
    codec_drop(ws, false);
    ws_end_stream(ws, true);
    ws_tell_owner(ws, code);
}

static void ws_after_feed(struct ws_conn *ws, int answer)
{
    if (ws->state == WS_DEAD) {
        codec_drop(ws, false);
        return;
    }
    if (answer < 0) {
        if (ws->state == WS_OPEN)
            ws_fail(ws, WS_CODE_OVERLOADED);
        else
            ws_end_stream(ws, true);
        return;
    }
    if (answer == WS_CODEC_CLOSED) {
        ws_on_codec_closed(ws);
        return;
    }
    if (!ws_write_answers(ws)) {
        ws_fail(ws, WS_CODE_OVERLOADED);
        return;
    }
    if (answer == WS_CODEC_BOUNDARY)
        codec_drop(ws, true);
    else if (!codec_charge(ws, ws->codec->message.len) && ws->state == WS_OPEN)
        ws_fail(ws, WS_CODE_OVERLOADED);
}

void ws_conn_feed(struct ws_conn *ws, struct slice bytes)
{
    int answer;

    if (ws->state == WS_DISCARDING || ws->state == WS_DEAD || bytes.len == 0)
        return;
    ws->heard_ms = env_now_ms(ws->server->env);
    ws->pinged = false;
    if (!ws->codec && codec_take(ws) < 0) {
        ws_end_stream(ws, false);
        ws_tell_owner(ws, WS_CODE_ABNORMAL);
        return;
    }
    ws->feeding = true;
    answer = ws_codec_feed(ws->codec, bytes);
    ws->feeding = false;
    ws_after_feed(ws, answer);
}

/* ---- the stream ---- */

static void ws_on_stream_bytes(void *owner, struct slice bytes)
{
    ws_conn_feed(owner, bytes);
}

static void ws_on_stream_drained(void *owner)
{
    struct ws_conn *ws = owner;

    if (ws->state == WS_OPEN)
        ws->events->on_drained(ws->owner);
}

static void ws_on_stream_close(void *owner, enum stream_end end)
{
    struct ws_conn *ws = owner;

    (void)end;
    ws_finish(ws);
    ws_tell_owner(ws, WS_CODE_ABNORMAL);
}

static const struct stream_events ws_stream_events = {
    .on_bytes = ws_on_stream_bytes,
    .on_drained = ws_on_stream_drained,
    .on_close = ws_on_stream_close,
};

/* ---- for the owner ---- */

int ws_conn_new(struct ws_server *server, struct stream *stream, const struct ws_events *events,
                void *owner, struct ws_conn **ret_ws)
{
    struct ws_conn *ws = calloc(1, sizeof(*ws));

    if (!ws) {
        stream_close(stream, false);
        return -ENOMEM;
    }
    ws->server = server;
    ws->stream = stream;
    ws->events = events;
    ws->owner = owner;
    ws->heard_ms = env_now_ms(server->env);
    list_init(&ws->link);
    later_init(&ws->dead, ws_free_now, ws);
    wheel_entry_init(&ws->timeout, ws_on_timeout);
    wheel_set(server->wheel, &ws->timeout, WS_PING_INTERVAL_MS);
    stream_set_events(stream, &ws_stream_events, ws);
    *ret_ws = ws;
    return 0;
}

struct stream *ws_conn_stream(struct ws_conn *ws)
{
    return ws->stream;
}

int ws_conn_send(struct ws_conn *ws, struct blob *frame)
{
    return ws->state == WS_OPEN ? stream_write(ws->stream, frame) : -ECONNRESET;
}

void ws_conn_pause(struct ws_conn *ws, bool paused)
{
    if (ws->paused == paused || ws->state == WS_DEAD)
        return;
    ws->paused = paused;
    stream_pause(ws->stream, paused);
}

/* ---- the server ---- */

void ws_server_init(struct ws_server *server, struct env *env, struct wheel *wheel)
{
    *server = (struct ws_server){.env = env, .wheel = wheel};
    list_init(&server->free_codecs);
    list_init(&server->closing);
}

void ws_server_deinit(struct ws_server *server)
{
    while (!list_empty(&server->closing))
        ws_end_stream(list_first(&server->closing, struct ws_conn, link), false);
    while (!list_empty(&server->free_codecs))
        ws_codec_free(list_first(&server->free_codecs, struct ws_codec, link));
}
