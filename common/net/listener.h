/*
 * listener.h - accepts TCP connections and hands each out as a plain stream
 * (stream_tcp_start_tls() makes it a TLS one). Accepts a bounded number per
 * turn, stops at a cap of open connections, and survives running out of file
 * descriptors. Knows no protocol and no peer policy.
 */
#pragma once

#include "common/net/addr.h"
#include "common/net/loop.h"

struct listener;

struct listener_config {
    const char *address; /* "host:port"; port 0 lets the kernel choose; a name is resolved here
                            and now */
    bool reuse_port;     /* several processes of one host share the port */
    size_t reserved_descriptors; /* so many of those that the process may have (at most a
                                    quarter) are not for connections of this listener */
    size_t max_connections;      /* of all listeners of this loop together; 0: no cap. Above it
                                    connections wait in the backlog */
};

struct listener_events {
    /* Sets the stream's events before it returns; a stream without is closed. */
    void (*on_accept)(void *owner, struct stream *stream, const struct addr *peer);
};

/* May block for a name: made at start only. -EINVAL: address malformed or unknown; -errno of
 * bind() and listen(). */
int listener_new(struct loop *loop, const struct listener_config *config,
                 const struct listener_events *events, void *owner,
                 struct listener **ret_listener) MUST_CHECK;
/* Stops listening; accepted streams live on. Not from inside on_accept. NULL does nothing. */
void listener_free(struct listener *listener);
DEFINE_AUTO(struct listener, listener_free)

const struct addr *listener_addr(const struct listener *listener); /* as bound */
