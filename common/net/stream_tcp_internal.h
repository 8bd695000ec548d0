/*
 * stream_tcp_internal.h - the stream's insides, for the files of common/net
 * that make one (connect.c) or carry its bytes.
 */
#pragma once

#include <sys/socket.h>

#include "common/net/loop_internal.h"
#include "common/net/outq.h"
#include "common/net/stream_tcp.h"
#include "common/net/tls_session.h"

struct connect_job;

/*
 *  CONNECTING -> HANDSHAKING -> OPEN -> FLUSHING -> DRAINING -> DEAD
 *       (outgoing)      (TLS)    |  (closed, output left)  (FIN sent)
 *                                +-> DEAD at once: error, or close without flush
 * From FLUSHING on there is no owner any more.
 */
enum stream_state {
    STREAM_CONNECTING,
    STREAM_HANDSHAKING,
    STREAM_OPEN,
    STREAM_FLUSHING,
    STREAM_DRAINING,
    STREAM_DEAD,
};

struct stream_tcp {
    struct stream stream; /* first: what the owner holds */
    struct loop *loop;
    int fd; /* -1: none yet, or closed */
    uint8_t state;
    bool paused : 1;           /* by the owner */
    bool reading : 1;          /* read_event is with the kernel */
    bool accepted : 1;         /* counted in loop->accepted */
    bool above_high : 1;       /* on_drained is owed */
    bool read_wants_write : 1; /* TLS: reading goes on when the socket is writable */
    bool write_wants_read : 1; /* TLS: writing goes on when it is readable */
    bool is_unhurried : 1;     /* work is on loop->unhurried */
    bool is_first : 1;         /* ready is on loop->links_ready, not among clients_ready */
    struct event read_event;
    struct event
        *write_event; /* exists while writing, connecting or handshaking waits for the socket */
    struct list work; /* on loop->dirty, loop->unhurried, or loop->dead */
    struct fair_item ready; /* has input, and waits for its turn */
    struct list leaving;    /* on loop->leaving while closing without an owner */
    struct timer deadline;  /* of connecting, handshaking, closing */
    struct outq out;
    struct tls_session *tls;     /* NULL: plain */
    struct connect_job *connect; /* outgoing, until connected */
};

/* An outgoing stream without a socket. */
int stream_tcp_new_unconnected(struct loop *loop, const struct stream_events *events,
                               void *owner, struct stream_tcp **ret_stream) MUST_CHECK;
/* Gives it the socket on which connect() is under way. The job hears of the outcome by
 * connect_on_result(). */
int stream_tcp_attach_fd(struct stream_tcp *s, int fd) MUST_CHECK;
void stream_tcp_detach_fd(struct stream_tcp *s); /* that address failed: closes the socket */
/* Connected: OPEN, or with a context the handshake begins. */
void stream_tcp_connected(struct stream_tcp *s, struct tls_ctx *ctx, const char *host);
/* The end from below: tells the owner. */
void stream_tcp_end(struct stream_tcp *s, enum stream_end why);

/* ---- between stream_tcp.c and stream_tcp_io.c ---- */

int stream_tcp_set_reading(struct stream_tcp *s, bool on);
/* The write event, which exists only while something waits for it. */
int stream_tcp_wait_writable(struct stream_tcp *s);
void stream_tcp_unwait_writable(struct stream_tcp *s);
/* Gives up everything but the memory, which goes when the turn has ended. Tells nobody. */
void stream_tcp_die(struct stream_tcp *s);
void stream_tcp_flush(struct stream_tcp *s);
bool stream_tcp_may_read(const struct stream_tcp *s);
/* Reads at most `share` bytes; returns how many there were. */
size_t stream_tcp_read(struct stream_tcp *s, size_t share);
void stream_tcp_handshake(struct stream_tcp *s);

/* ---- stream_tcp_turns.c ---- */

/* Has output: written at the end of the turn, or, unless something comes that has to hurry,
 * when there is time. */
void stream_tcp_mark_dirty(struct stream_tcp *s);
void stream_tcp_mark_unhurried(struct stream_tcp *s);
/* Has, or may have, input: read when it is its turn. */
void stream_tcp_mark_ready(struct stream_tcp *s);
void stream_tcp_unmark_ready(struct stream_tcp *s);

/* connect.c: connect() on the stream's socket has ended, err 0 or an errno. */
void connect_on_result(struct connect_job *job, int err);
void connect_abandon(struct connect_job *job); /* the stream is going: frees the job */
/* listener.c: this socket counts against the connection cap. */
void stream_tcp_mark_accepted(struct stream *stream);
/* listener.c: closes the stream when nobody has set its events. */
void stream_tcp_close_unowned(struct stream *stream);
