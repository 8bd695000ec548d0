/*
 * stream.h - a byte stream, whatever carries it: TCP, TLS, the simulator's
 * network. Knows no protocol. Output is queued as references to blobs and
 * written together at the end of the turn; input is pushed up as it comes.
 *
 * Life: created by env->connect() or by a listener; stream_close() is the one
 * way out for the owner, on_close the one notice from below (never both:
 * after stream_close() no event comes any more). The memory is freed after the
 * turn in which either happened; the owner forgets its pointer at once.
 */
#pragma once

#include "common/base/blob.h"

struct stream;

enum stream_end {
    STREAM_END_EOF,     /* the peer closed in order */
    STREAM_END_RESET,   /* connection reset, or write to a closed peer */
    STREAM_END_REFUSED, /* connect: nobody listens there */
    STREAM_END_TIMEOUT, /* connect or handshake took too long */
    STREAM_END_TLS,     /* handshake or record failure */
    STREAM_END_ERROR,   /* anything else of the system */
};

struct stream_events {
    void (*on_open)(void *owner); /* outgoing: connected (and TLS done) */
    /* The bytes are only valid during the call and must all be taken. */
    void (*on_bytes)(void *owner, struct slice bytes);
    void (*on_drained)(void *owner); /* queued output fell below the low mark (after having been
                                        above the high mark) */
    void (*on_close)(void *owner, enum stream_end end);
};

struct stream_ops {
    int (*write)(struct stream *s, struct blob *blob);           /* takes its own reference */
    int (*write_unhurried)(struct stream *s, struct blob *blob); /* NULL: as write */
    void (*pause)(struct stream *s, bool paused);                /* stop or resume reading */
    void (*close)(struct stream *s,
                  bool flush); /* flush: what is queued is still written, with a deadline */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    void *owner;
    size_t queued_bytes; /* output not yet taken by the kernel */
    /* Whose bytes come in, set by the owner: links are read first, the rest in turns of
     * tenants (a number, a hash of the project; 0: not known yet). */
    uint64_t tenant;
    bool is_link;
    /* Marks of queued_bytes for on_drained. Set by whoever makes the stream, the owner may
     * change them. */
    uint32_t high_bytes, low_bytes;
};

/* -ENOMEM, or 0. After a failure the owner closes. The blob is shared, not copied. */
static inline int stream_write(struct stream *s, struct blob *blob)
{
    return s->ops->write(s, blob);
}
/* The same for what nobody waits for: it leaves behind what is written to other streams, a
 * bound number of streams a turn, unless stream_write() follows. The order of this stream
 * stays. */
static inline int stream_write_unhurried(struct stream *s, struct blob *blob)
{
    return s->ops->write_unhurried ? s->ops->write_unhurried(s, blob) : s->ops->write(s, blob);
}
static inline void stream_pause(struct stream *s, bool paused)
{
    s->ops->pause(s, paused);
}
static inline void stream_close(struct stream *s, bool flush)
{
    s->ops->close(s, flush);
}
static inline void stream_set_events(struct stream *s, const struct stream_events *events,
                                     void *owner)
{
    s->events = events;
    s->owner = owner;
}
int stream_write_bytes(struct stream *s,
                       struct slice bytes) MUST_CHECK; /* copies into a blob */
