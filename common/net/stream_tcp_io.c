/*
 * stream_tcp_io.c - the bytes of a socket's stream: what is written at the end
 * of a turn, what is read when there is some, and the TLS handshake before it.
 *
 * Either way at most a share per turn, so that one fast peer does not keep the
 * others waiting (stream_tcp_turns.c). TLS may want to read in order to write and the other way
 * round; both wishes are remembered and met when the socket is ready for them.
 */
#include <errno.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/net/stream_tcp_internal.h"

#define STREAM_IOV_MAX 128                  /* blobs in one writev() */
#define TLS_RECORD_BYTES ((size_t)16 * KIB) /* the most that one record carries */

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

/* ---- writing ---- */

static int tcp_write_plain(struct stream_tcp *s, size_t *ret_offered, size_t *ret_n)
{
    struct iovec iov[STREAM_IOV_MAX];
    int count = outq_peek(&s->out, iov, STREAM_IOV_MAX, ret_offered);
    ssize_t n;

    do { /* one blob is the usual case, and send() the shorter way into the kernel */
        n = count == 1 ? send(s->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                       : writev(s->fd, iov, count);
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
            return stream_tcp_wait_writable(s);
        if (r < 0)
            return r;
        outq_advance(&s->out, n);
        s->stream.queued_bytes -= n;
        if (outq_empty(&s->out))
            break;
        if ((!s->tls && n < offered) || budget <= n)
            return stream_tcp_wait_writable(s);
        budget -= n;
    }
    if (!s->read_wants_write)
        stream_tcp_unwait_writable(s);
    return 0;
}

/* All is written: says so to the peer and waits for its end. A close() with unread input would
 * reset the connection and could take our last bytes away from the peer. */
static void tcp_begin_draining(struct stream_tcp *s)
{
    s->state = STREAM_DRAINING;
    if (s->tls)
        tls_session_shutdown(s->tls);
    if (shutdown(s->fd, SHUT_WR) < 0 || stream_tcp_set_reading(s, true) < 0)
        stream_tcp_die(s);
}

void stream_tcp_flush(struct stream_tcp *s)
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

bool stream_tcp_may_read(const struct stream_tcp *s)
{
    return (s->state == STREAM_OPEN && !s->paused) || s->state == STREAM_FLUSHING ||
           s->state == STREAM_DRAINING;
}

size_t stream_tcp_read(struct stream_tcp *s, size_t share)
{
    size_t got = 0;

    s->read_wants_write = false;
    for (size_t n = 0; got < share && stream_tcp_may_read(s);) {
        char *buf = s->loop->read_scratch;
        bool was_tls = s->tls != NULL;
        int r = tcp_read_some(s, buf, MIN(share - got, (size_t)LOOP_SCRATCH_BYTES), &n);

        if (r == TLS_WANT_READ)
            return got;
        if (r == TLS_WANT_WRITE) {
            s->read_wants_write = true;
            if (stream_tcp_wait_writable(s) < 0)
                stream_tcp_end(s, STREAM_END_ERROR);
            return got;
        }
        if (r < 0 || n == 0) {
            stream_tcp_end(s, r < 0 ? tcp_end_of(r) : STREAM_END_EOF);
            return got;
        }
        got += n;
        if (s->state == STREAM_OPEN && s->stream.events)
            s->stream.events->on_bytes(s->stream.owner, slice_of(buf, n));
        /* s may be closed by now; its memory is still there. on_bytes may also have called
         * stream_tcp_start_tls(). */
        if (!was_tls || !tls_session_has_pending(s->tls))
            return got; /* what the socket still has, it announces again */
    }
    if (stream_tcp_may_read(s) && s->tls && tls_session_has_pending(s->tls))
        stream_tcp_mark_ready(s);
    return got;
}

void stream_tcp_handshake(struct stream_tcp *s)
{
    int r;

    if (s->loop->handshakes_left == 0) {
        stream_tcp_mark_ready(s); /* its turn comes */
        return;
    }
    s->loop->handshakes_left--;
    r = tls_session_handshake(s->tls);
    if (r == TLS_WANT_READ) {
        stream_tcp_unwait_writable(s);
        return;
    }
    if (r == TLS_WANT_WRITE) {
        if (stream_tcp_wait_writable(s) < 0)
            stream_tcp_end(s, STREAM_END_ERROR);
        return;
    }
    if (r < 0) {
        /* The owner learns that TLS failed, only the log why. */
        log_info("TLS handshake failed", L_STR("why", tls_session_error(s->tls)), L_ERR(r));
        stream_tcp_end(s, tcp_end_of(r));
        return;
    }
    stream_tcp_unwait_writable(s);
    env_timer_cancel(&s->loop->env, &s->deadline);
    s->state = STREAM_OPEN;
    stream_tcp_mark_dirty(s);
    stream_tcp_mark_ready(
        s); /* the peer's first record may have come with its last handshake message */
    if (s->stream.events && s->stream.events->on_open)
        s->stream.events->on_open(s->stream.owner);
}
