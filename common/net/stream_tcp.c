/*
 * stream_tcp.c - struct stream over a socket: see stream_tcp.h.
 *
 * Output: stream_write() queues a reference and puts the stream on the loop's
 * dirty list; stream_tcp_flush_all() at the end of the turn writes each once.
 * Only when the kernel takes no more is a write event made.
 */
#include "common/net/stream_tcp_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/log.h"

#define STREAM_IOV_MAX 128                  /* blobs in one writev() */
#define TLS_RECORD_BYTES ((size_t)16 * KIB) /* the most that one record carries */

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

static int tcp_set_reading(struct stream_tcp *s, bool on)
{
    if (s->reading == on || s->fd < 0)
        return 0;
    if (on ? event_add(&s->read_event, NULL) < 0 : event_del(&s->read_event) < 0)
        return -ENOMEM;
    s->reading = on;
    return 0;
}

static int tcp_wait_writable(struct stream_tcp *s)
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

static void tcp_unwait_writable(struct stream_tcp *s)
{
    if (s->write_event)
        event_free(s->write_event);
    s->write_event = NULL;
}

static void tcp_mark_dirty(struct stream_tcp *s)
{
    if (!list_linked(&s->work))
        list_add_tail(&s->loop->dirty, &s->work);
}

static void tcp_mark_ready(struct stream_tcp *s)
{
    if (!list_linked(&s->ready))
        list_add_tail(&s->loop->ready, &s->ready);
}

/* ---- ending ---- */

static void tcp_close_fd(struct stream_tcp *s)
{
    tcp_unwait_writable(s);
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
static void tcp_die(struct stream_tcp *s)
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
    list_del(&s->ready);
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
        tcp_set_reading(s, true) < 0) {
        tcp_die(s);
        return;
    }
    tcp_mark_dirty(s);
}

void stream_tcp_drop_leaving(struct loop *loop)
{
    while (!list_empty(&loop->leaving))
        tcp_die(list_first(&loop->leaving, struct stream_tcp, leaving));
}

/* All is written: says so to the peer and waits for its end. A close() with unread input would
 * reset the connection and could take our last bytes away from the peer. */
static void tcp_begin_draining(struct stream_tcp *s)
{
    s->state = STREAM_DRAINING;
    if (s->tls)
        tls_session_shutdown(s->tls);
    if (shutdown(s->fd, SHUT_WR) < 0 || tcp_set_reading(s, true) < 0)
        tcp_die(s);
}

void stream_tcp_end(struct stream_tcp *s, enum stream_end why)
{
    const struct stream_events *events = s->stream.events;
    void *owner = s->stream.owner;

    if (s->state == STREAM_DEAD)
        return;
    if (s->state >= STREAM_FLUSHING) { /* no owner to tell */
        tcp_die(s);
        return;
    }
    if (s->state == STREAM_OPEN && why == STREAM_END_EOF && !outq_empty(&s->out)) {
        /* The peer may only have closed its own direction: the answer is still wanted. */
        tcp_begin_flushing(s);
        (void)tcp_set_reading(s, false); /* end of file would be announced again and again */
    } else {
        tcp_die(s);
    }
    if (events)
        events->on_close(owner, why);
}

static enum stream_end tcp_end_of(int err)
{
    switch (err) {
    case -ECONNRESET:
    case -EPIPE:
        return STREAM_END_RESET;
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return STREAM_END_TIMEOUT;
    case -EPROTO:
        return STREAM_END_TLS;
    default:
        return STREAM_END_ERROR;
    }
}

static void tcp_on_deadline(struct timer *timer, void *arg)
{
    (void)timer;
    stream_tcp_end(arg, STREAM_END_TIMEOUT);
}

/* ---- writing ---- */

static int tcp_write_plain(struct stream_tcp *s, size_t *ret_offered, size_t *ret_n)
{
    struct iovec iov[STREAM_IOV_MAX];
    int count = outq_peek(&s->out, iov, STREAM_IOV_MAX, ret_offered);
    ssize_t n;

    do {
        n = writev(s->fd, iov, count);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? TLS_WANT_WRITE : -errno;
    *ret_n = (size_t)n;
    return 0;
}

/* One record of at most 16 KiB. Small blobs are gathered, so that they share a record; what is
 * at the head of the queue only changes by being written, so a repeat after WANT offers the
 * same bytes, as OpenSSL demands. */
static int tcp_write_tls(struct stream_tcp *s, size_t *ret_offered, size_t *ret_n)
{
    struct iovec iov[STREAM_IOV_MAX];
    size_t bytes, len = 0;
    int count = outq_peek(&s->out, iov, STREAM_IOV_MAX, &bytes);
    const char *data = iov[0].iov_base;

    if (count == 1 || iov[0].iov_len >= TLS_RECORD_BYTES) {
        len = MIN(iov[0].iov_len, (size_t)TLS_RECORD_BYTES);
    } else {
        for (int i = 0; i < count && len < TLS_RECORD_BYTES; i++) {
            size_t part = MIN(iov[i].iov_len, TLS_RECORD_BYTES - len);

            memcpy(s->loop->write_scratch + len, iov[i].iov_base, part);
            len += part;
        }
        data = s->loop->write_scratch;
    }
    *ret_offered = len;
    return tls_session_write(s->tls, data, len, ret_n);
}

/* Writes until the queue is empty, the kernel is full or this turn's share is used up. */
static int tcp_write_out(struct stream_tcp *s)
{
    size_t budget = STREAM_WRITE_PER_TURN;

    s->write_wants_read = false;
    while (!outq_empty(&s->out)) {
        size_t offered = 0, n = 0;
        int r = s->tls ? tcp_write_tls(s, &offered, &n) : tcp_write_plain(s, &offered, &n);

        if (r == TLS_WANT_READ) {
            s->write_wants_read = true;
            return 0;
        }
        if (r == TLS_WANT_WRITE)
            return tcp_wait_writable(s);
        if (r < 0)
            return r;
        outq_advance(&s->out, n);
        s->stream.queued_bytes -= n;
        if (outq_empty(&s->out))
            break;
        if ((!s->tls && n < offered) || budget <= n)
            return tcp_wait_writable(s);
        budget -= n;
    }
    if (!s->read_wants_write)
        tcp_unwait_writable(s);
    return 0;
}

static void tcp_flush(struct stream_tcp *s)
{
    int r;

    if (s->state != STREAM_OPEN && s->state != STREAM_FLUSHING)
        return; /* while connecting the queue waits; once dead it is empty */
    r = tcp_write_out(s);
    if (r < 0) {
        stream_tcp_end(s, tcp_end_of(r));
        return;
    }
    if (s->state == STREAM_FLUSHING) {
        if (outq_empty(&s->out))
            tcp_begin_draining(s);
        return;
    }
    if (s->above_high && s->stream.queued_bytes <= s->stream.low_bytes) {
        s->above_high = false;
        if (s->stream.events && s->stream.events->on_drained)
            s->stream.events->on_drained(s->stream.owner);
    }
}

void stream_tcp_flush_all(struct loop *loop)
{
    struct list now; /* what on_drained adds goes into the next round */

    list_init(&now);
    list_splice_tail(&now, &loop->dirty);
    while (!list_empty(&now)) {
        struct stream_tcp *s = list_first(&now, struct stream_tcp, work);

        list_del(&s->work);
        tcp_flush(s);
    }
}

/* ---- reading ---- */

/* 0 with bytes, 0 with none at the end, TLS_WANT_*, or -errno. */
static int tcp_read_some(struct stream_tcp *s, char *buf, size_t size, size_t *ret_n)
{
    ssize_t n;

    if (s->tls)
        return tls_session_read(s->tls, buf, size, ret_n);
    do {
        n = recv(s->fd, buf, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? TLS_WANT_READ : -errno;
    *ret_n = (size_t)n;
    return 0;
}

static bool tcp_may_read(const struct stream_tcp *s)
{
    return (s->state == STREAM_OPEN && !s->paused) || s->state == STREAM_FLUSHING ||
           s->state == STREAM_DRAINING;
}

static void tcp_read(struct stream_tcp *s)
{
    s->read_wants_write = false;
    for (size_t got = 0, n = 0; got < STREAM_READ_PER_TURN && tcp_may_read(s); got += n) {
        char *buf = s->loop->read_scratch;
        bool was_tls = s->tls != NULL;
        int r = tcp_read_some(s, buf, LOOP_SCRATCH_BYTES, &n);

        if (r == TLS_WANT_READ)
            return;
        if (r == TLS_WANT_WRITE) {
            s->read_wants_write = true;
            if (tcp_wait_writable(s) < 0)
                stream_tcp_end(s, STREAM_END_ERROR);
            return;
        }
        if (r < 0 || n == 0) {
            stream_tcp_end(s, r < 0 ? tcp_end_of(r) : STREAM_END_EOF);
            return;
        }
        if (s->state == STREAM_OPEN && s->stream.events)
            s->stream.events->on_bytes(s->stream.owner, slice_of(buf, n));
        /* s may be closed by now; its memory is still there. on_bytes may also have called
         * stream_tcp_start_tls(). */
        if (!was_tls || !tls_session_has_pending(s->tls))
            return; /* what the socket still has, it announces again */
    }
    if (tcp_may_read(s) && s->tls && tls_session_has_pending(s->tls))
        tcp_mark_ready(s);
}

static void tcp_handshake(struct stream_tcp *s)
{
    int r;

    if (s->loop->handshakes_left == 0) {
        tcp_mark_ready(s); /* its turn comes */
        return;
    }
    s->loop->handshakes_left--;
    r = tls_session_handshake(s->tls);
    if (r == TLS_WANT_READ) {
        tcp_unwait_writable(s);
        return;
    }
    if (r == TLS_WANT_WRITE) {
        if (tcp_wait_writable(s) < 0)
            stream_tcp_end(s, STREAM_END_ERROR);
        return;
    }
    if (r < 0) {
        /* The owner learns that TLS failed, only the log why. */
        log_info("TLS handshake failed", L_STR("why", tls_session_error(s->tls)), L_ERR(r));
        stream_tcp_end(s, tcp_end_of(r));
        return;
    }
    tcp_unwait_writable(s);
    env_timer_cancel(&s->loop->env, &s->deadline);
    s->state = STREAM_OPEN;
    tcp_mark_dirty(s);
    tcp_mark_ready(
        s); /* the peer's first record may have come with its last handshake message */
    if (s->stream.events && s->stream.events->on_open)
        s->stream.events->on_open(s->stream.owner);
}

void stream_tcp_read_ready(struct loop *loop)
{
    struct list now;

    list_init(&now);
    list_splice_tail(&now, &loop->ready);
    while (!list_empty(&now)) {
        struct stream_tcp *s = list_first(&now, struct stream_tcp, ready);

        list_del(&s->ready);
        if (s->state == STREAM_HANDSHAKING)
            tcp_handshake(s);
        else
            tcp_read(s);
    }
}

/* ---- callbacks of libevent ---- */

static void tcp_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream_tcp *s = arg;

    (void)fd;
    (void)what;
    loop_touch(s->loop);
    if (s->state == STREAM_HANDSHAKING) {
        tcp_handshake(s);
        return;
    }
    if (s->write_wants_read)
        tcp_mark_dirty(s);
    tcp_read(s);
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
        tcp_unwait_writable(s);
        connect_on_result(s->connect, err);
        return;
    }
    case STREAM_HANDSHAKING:
        tcp_handshake(s);
        return;
    case STREAM_OPEN:
    case STREAM_FLUSHING:
    case STREAM_DRAINING:
        if (s->read_wants_write) {
            tcp_read(s);
            if (s->state == STREAM_DEAD)
                return;
        }
        /* Later in the turn, together with what this turn adds; the event goes when the queue
         * is empty. */
        tcp_mark_dirty(s);
        return;
    case STREAM_DEAD:
        return;
    }
}

/* ---- struct stream_ops ---- */

static int tcp_write(struct stream *stream, struct blob *blob)
{
    struct stream_tcp *s = tcp_of(stream);
    int r;

    assert(s->state <= STREAM_OPEN);
    r = outq_push(&s->out, blob);
    if (r < 0)
        return r;
    stream->queued_bytes += blob->len;
    if (stream->queued_bytes > stream->high_bytes)
        s->above_high = true;
    if (!s->write_event && !s->write_wants_read) /* else the socket says when */
        tcp_mark_dirty(s);
    return 0;
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
    if (tcp_set_reading(s, !paused) < 0) {
        shutdown(
            s->fd,
            SHUT_RDWR); /* comes back as the end of the stream, not from inside this call */
        s->paused = false;
        tcp_mark_ready(s);
    } else if (!paused && s->tls) {
        tcp_mark_ready(s);
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
    tcp_die(s);
}

static const struct stream_ops tcp_ops = {
    .write = tcp_write,
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
    list_init(&s->ready);
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
    return s->state == STREAM_CONNECTING && s->connect ? tcp_wait_writable(s) : 0;
}

void stream_tcp_detach_fd(struct stream_tcp *s)
{
    tcp_close_fd(s);
}

static void tcp_open_now(struct stream_tcp *s)
{
    env_timer_cancel(&s->loop->env, &s->deadline);
    s->state = STREAM_OPEN;
    if (!s->paused && tcp_set_reading(s, true) < 0) {
        stream_tcp_end(s, STREAM_END_ERROR);
        return;
    }
    if (!outq_empty(&s->out))
        tcp_mark_dirty(s);
    if (s->stream.events && s->stream.events->on_open)
        s->stream.events->on_open(s->stream.owner);
}

void stream_tcp_connected(struct stream_tcp *s, struct tls_ctx *ctx, const char *host)
{
    if (!ctx) {
        tcp_open_now(s);
        return;
    }
    if (tls_session_new_client(ctx, s->fd, host, &s->tls) < 0 || tcp_set_reading(s, true) < 0) {
        stream_tcp_end(s, STREAM_END_ERROR);
        return;
    }
    s->state = STREAM_HANDSHAKING;
    tcp_handshake(s);
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
        r = tcp_set_reading(s, true);
    if (r < 0) {
        tcp_die(s);
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
    r = tcp_set_reading(s, true);
    if (r < 0)
        return r;
    s->state = STREAM_HANDSHAKING;
    if (already_read.len > 0)
        tcp_mark_ready(s);
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
        tcp_die(s);
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
