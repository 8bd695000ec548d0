/*
 * stream_tcp.c - struct stream over a socket: see stream_tcp.h. Its life and
 * the events of libevent; the bytes are moved in stream_tcp_io.c.
 *
 * Output: stream_write() queues a reference and puts the stream on the loop's
 * dirty list; stream_tcp_flush_all() at the end of the turn writes each once.
 * Input: what the kernel announces waits for its turn in the same way
 * (stream_tcp_turns.c). Only when the kernel takes no more is a write event made.
 */
#include "common/net/stream_tcp_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/limits.h"

static struct stream_tcp *tcp_of(struct stream *stream)
{
    return container_of(stream, struct stream_tcp, stream);
}

static const struct stream_tcp *tcp_of_const(const struct stream *stream)
{
    return container_of((struct stream *)(uintptr_t)stream, struct stream_tcp, stream);
}

/* ---- events ---- */

static void tcp_on_readable(evutil_socket_t fd, short what, void *arg);
static void tcp_on_writable(evutil_socket_t fd, short what, void *arg);

int stream_tcp_set_reading(struct stream_tcp *s, bool on)
{
    if (s->reading == on || s->fd < 0)
        return 0;
    if (on ? event_add(&s->read_event, NULL) < 0 : event_del(&s->read_event) < 0)
        return -ENOMEM;
    s->reading = on;
    return 0;
}

int stream_tcp_wait_writable(struct stream_tcp *s)
{
    if (s->write_event)
        return 0;
    s->write_event = event_new(s->loop->base, s->fd, EV_WRITE | EV_PERSIST, tcp_on_writable, s);
    if (!s->write_event)
        return -ENOMEM;
    if (event_add(s->write_event, NULL) < 0) {
        event_free(s->write_event);
        s->write_event = NULL;
        return -ENOMEM;
    }
    return 0;
}

void stream_tcp_unwait_writable(struct stream_tcp *s)
{
    if (s->write_event)
        event_free(s->write_event);
    s->write_event = NULL;
}

/* ---- ending ---- */

static void tcp_close_fd(struct stream_tcp *s)
{
    stream_tcp_unwait_writable(s);
    if (s->fd < 0)
        return;
    if (s->reading)
        event_del(&s->read_event);
    s->reading = false;
    close(s->fd);
    s->fd = -1;
    if (s->accepted) {
        s->accepted = false;
        s->loop->accepted--;
        listener_room_again(s->loop);
    }
}

/* Gives up everything but the memory, which goes when the turn has ended. */
void stream_tcp_die(struct stream_tcp *s)
{
    if (s->state == STREAM_DEAD)
        return;
    if (s->connect)
        connect_abandon(TAKE(s->connect));
    tcp_close_fd(s);
    env_timer_cancel(&s->loop->env, &s->deadline);
    outq_deinit(&s->out);
    s->stream.queued_bytes = 0;
    s->state = STREAM_DEAD;
    list_del(&s->work);
    s->is_unhurried = false;
    stream_tcp_unmark_ready(s);
    list_del(&s->leaving);
    list_add_tail(&s->loop->dead, &s->work);
    env_free_later(&s->loop->env, &s->loop->reap);
}

void stream_tcp_reap(struct later *later, void *arg)
{
    struct loop *loop = arg;
    struct stream_tcp *s, *next;

    (void)later;
    list_for_each_safe(s, next, &loop->dead, work)
    {
        list_del(&s->work);
        tls_session_free(s->tls);
        free(s);
    }
}

/* Output that is still queued gets its chance without an owner, up to a deadline. */
static void tcp_begin_flushing(struct stream_tcp *s)
{
    s->stream.events = NULL;
    s->stream.owner = NULL;
    s->paused = false;
    s->above_high = false;
    s->state = STREAM_FLUSHING;
    list_add_tail(&s->loop->leaving, &s->leaving);
    if (env_timer(&s->loop->env, &s->deadline, CLOSE_TIMEOUT_MS) < 0 ||
        stream_tcp_set_reading(s, true) < 0) {
        stream_tcp_die(s);
        return;
    }
    stream_tcp_mark_dirty(s);
}

void stream_tcp_drop_leaving(struct loop *loop)
{
    while (!list_empty(&loop->leaving))
        stream_tcp_die(list_first(&loop->leaving, struct stream_tcp, leaving));
}

void stream_tcp_end(struct stream_tcp *s, enum stream_end why)
{
    const struct stream_events *events = s->stream.events;
    void *owner = s->stream.owner;

    if (s->state == STREAM_DEAD)
        return;
    if (s->state >= STREAM_FLUSHING) { /* no owner to tell */
        stream_tcp_die(s);
        return;
    }
    if (s->state == STREAM_OPEN && why == STREAM_END_EOF && !outq_empty(&s->out)) {
        /* The peer may only have closed its own direction: the answer is still wanted. */
        tcp_begin_flushing(s);
        (void)stream_tcp_set_reading(
            s, false); /* end of file would be announced again and again */
    } else {
        stream_tcp_die(s);
    }
    if (events)
        events->on_close(owner, why);
}

static void tcp_on_deadline(struct timer *timer, void *arg)
{
    (void)timer;
    stream_tcp_end(arg, STREAM_END_TIMEOUT);
}

/* ---- callbacks of libevent ---- */

static void tcp_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream_tcp *s = arg;

    (void)fd;
    (void)what;
    loop_touch(s->loop);
    if (s->write_wants_read && s->state != STREAM_HANDSHAKING)
        stream_tcp_mark_dirty(s);
    stream_tcp_mark_ready(s);
}

static void tcp_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream_tcp *s = arg;

    (void)what;
    loop_touch(s->loop);
    switch ((enum stream_state)s->state) {
    case STREAM_CONNECTING: {
        int err = 0;
        socklen_t len = sizeof(err);

        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
            err = errno;
        stream_tcp_unwait_writable(s);
        connect_on_result(s->connect, err);
        return;
    }
    case STREAM_HANDSHAKING:
        stream_tcp_handshake(s);
        return;
    case STREAM_OPEN:
    case STREAM_FLUSHING:
    case STREAM_DRAINING:
        if (s->read_wants_write)
            stream_tcp_mark_ready(s);
        /* Later in the turn, together with what this turn adds; the event goes when the queue
         * is empty. */
        stream_tcp_mark_dirty(s);
        return;
    case STREAM_DEAD:
        return;
    }
}

/* ---- struct stream_ops ---- */

/* 0; -ENOMEM; WAITS_FOR_SOCKET: queued, and the socket says when it can be written. */
enum { WAITS_FOR_SOCKET = 1 };

static int tcp_queue(struct stream_tcp *s, struct blob *blob)
{
    struct stream *stream = &s->stream;
    int r;

    assert(s->state <= STREAM_OPEN);
    r = outq_push(&s->out, blob);
    if (r < 0)
        return r;
    stream->queued_bytes += blob->len;
    if (stream->queued_bytes > stream->high_bytes)
        s->above_high = true;
    return s->write_event || s->write_wants_read ? WAITS_FOR_SOCKET : 0;
}

static int tcp_write(struct stream *stream, struct blob *blob)
{
    struct stream_tcp *s = tcp_of(stream);
    int r = tcp_queue(s, blob);

    if (r == 0)
        stream_tcp_mark_dirty(s);
    return MIN(r, 0);
}

static int tcp_write_unhurried(struct stream *stream, struct blob *blob)
{
    struct stream_tcp *s = tcp_of(stream);
    int r = tcp_queue(s, blob);

    if (r == 0)
        stream_tcp_mark_unhurried(s);
    return MIN(r, 0);
}

static void tcp_pause(struct stream *stream, bool paused)
{
    struct stream_tcp *s = tcp_of(stream);

    assert(s->state <= STREAM_OPEN);
    if (s->paused == paused)
        return;
    s->paused = paused;
    if (s->state != STREAM_OPEN)
        return; /* connecting needs no reads, the handshake needs them all */
    if (stream_tcp_set_reading(s, !paused) < 0) {
        shutdown(
            s->fd,
            SHUT_RDWR); /* comes back as the end of the stream, not from inside this call */
        s->paused = false;
        stream_tcp_mark_ready(s);
    } else if (!paused && s->tls) {
        stream_tcp_mark_ready(s);
    }
}

static void tcp_close(struct stream *stream, bool flush)
{
    struct stream_tcp *s = tcp_of(stream);

    assert(s->state <= STREAM_OPEN);
    s->stream.events = NULL;
    if (flush && s->state == STREAM_OPEN) {
        tcp_begin_flushing(s);
        return;
    }
    if (s->tls && s->state == STREAM_OPEN)
        tls_session_shutdown(s->tls);
    stream_tcp_die(s);
}

static const struct stream_ops tcp_ops = {
    .write = tcp_write,
    .write_unhurried = tcp_write_unhurried,
    .pause = tcp_pause,
    .close = tcp_close,
};

/* ---- making one ---- */

int stream_tcp_new_unconnected(struct loop *loop, const struct stream_events *events,
                               void *owner, struct stream_tcp **ret_stream)
{
    struct stream_tcp *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->stream = (struct stream){
        .ops = &tcp_ops,
        .events = events,
        .owner = owner,
        .high_bytes = STREAM_QUEUE_HIGH,
        .low_bytes = STREAM_QUEUE_LOW,
    };
    s->loop = loop;
    s->fd = -1;
    s->state = STREAM_CONNECTING;
    list_init(&s->work);
    list_init(&s->ready.link);
    list_init(&s->leaving);
    timer_init(&s->deadline, tcp_on_deadline, s);
    outq_init(&s->out);
    *ret_stream = s;
    return 0;
}

int stream_tcp_attach_fd(struct stream_tcp *s, int fd)
{
    int one = 1;

    /* Small frames leave at once: batching is done here, per turn. Not a TCP socket: nothing to
     * set. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    s->fd = fd;
    event_assign(&s->read_event, s->loop->base, fd, EV_READ | EV_PERSIST, tcp_on_readable, s);
    return s->state == STREAM_CONNECTING && s->connect ? stream_tcp_wait_writable(s) : 0;
}

void stream_tcp_detach_fd(struct stream_tcp *s)
{
    tcp_close_fd(s);
}

static void tcp_open_now(struct stream_tcp *s)
{
    env_timer_cancel(&s->loop->env, &s->deadline);
    s->state = STREAM_OPEN;
    if (!s->paused && stream_tcp_set_reading(s, true) < 0) {
        stream_tcp_end(s, STREAM_END_ERROR);
        return;
    }
    if (!outq_empty(&s->out))
        stream_tcp_mark_dirty(s);
    if (s->stream.events && s->stream.events->on_open)
        s->stream.events->on_open(s->stream.owner);
}

void stream_tcp_connected(struct stream_tcp *s, struct tls_ctx *ctx, const char *host)
{
    if (!ctx) {
        tcp_open_now(s);
        return;
    }
    if (tls_session_new_client(ctx, s->fd, host, &s->tls) < 0 ||
        stream_tcp_set_reading(s, true) < 0) {
        stream_tcp_end(s, STREAM_END_ERROR);
        return;
    }
    s->state = STREAM_HANDSHAKING;
    stream_tcp_handshake(s);
}

int stream_tcp_new(struct loop *loop, int fd, const struct stream_events *events, void *owner,
                   struct stream **ret_stream)
{
    struct stream_tcp *s;
    int r;

    r = stream_tcp_new_unconnected(loop, events, owner, &s);
    if (r < 0) {
        close(fd);
        return r;
    }
    r = stream_tcp_attach_fd(s, fd);
    s->state = STREAM_OPEN;
    if (r == 0)
        r = stream_tcp_set_reading(s, true);
    if (r < 0) {
        stream_tcp_die(s);
        return r;
    }
    *ret_stream = &s->stream;
    return 0;
}

int stream_tcp_start_tls(struct stream *stream, struct tls_ctx *ctx, struct slice already_read)
{
    struct stream_tcp *s = tcp_of(stream);
    int r;

    assert(s->state == STREAM_OPEN && !s->tls && outq_empty(&s->out));
    r = env_timer(&s->loop->env, &s->deadline, TLS_HANDSHAKE_TIMEOUT_MS);
    if (r < 0)
        return r;
    r = tls_session_new_server(ctx, s->fd, already_read, &s->tls);
    if (r < 0) {
        env_timer_cancel(&s->loop->env, &s->deadline);
        return r;
    }
    r = stream_tcp_set_reading(s, true);
    if (r < 0)
        return r;
    s->state = STREAM_HANDSHAKING;
    if (already_read.len > 0)
        stream_tcp_mark_ready(s);
    return 0;
}

void stream_tcp_mark_accepted(struct stream *stream)
{
    struct stream_tcp *s = tcp_of(stream);

    s->accepted = true;
    s->loop->accepted++;
}

void stream_tcp_close_unowned(struct stream *stream)
{
    struct stream_tcp *s = tcp_of(stream);

    if (s->state <= STREAM_OPEN && !stream->events)
        stream_tcp_die(s);
}

bool stream_tcp_is_tls(const struct stream *stream)
{
    return tcp_of_const(stream)->tls != NULL;
}

struct slice stream_tcp_alpn(const struct stream *stream)
{
    const struct stream_tcp *s = tcp_of_const(stream);

    return s->tls ? tls_session_alpn(s->tls) : (struct slice){NULL, 0};
}

bool stream_tcp_peer_name(const struct stream *stream, char *ret_name, size_t size)
{
    const struct stream_tcp *s = tcp_of_const(stream);

    return s->tls && tls_session_peer_name(s->tls, ret_name, size);
}

int stream_tcp_fd(const struct stream *stream)
{
    return tcp_of_const(stream)->fd;
}
