/*
 * net_fixture.h - a loop, a listener on a port of the kernel's choice and ends
 * that remember what they got, for the tests of common/net.
 */
#pragma once

#include "common/base/buf.h"
#include "common/net/listener.h"
#include "common/net/loop.h"
#include "common/net/stream_tcp.h"

struct peer {
    struct stream *stream; /* NULL once closed from below, or by the test */
    struct buf in;
    int opened, drained, closed;
    enum stream_end end;
    void (*on_bytes)(struct peer *peer,
                     struct slice bytes);  /* after they were added to in; may be NULL */
    void (*on_drained)(struct peer *peer); /* may be NULL */
};

extern const struct stream_events peer_events;

void peer_deinit(struct peer *peer);
void peer_send(struct peer *peer, const char *text);
void peer_send_zeros(struct peer *peer, size_t len);

#define NET_PEERS 16

struct net_fixture {
    struct loop *loop;
    struct listener *listener;
    char address[ADDR_TEXT_MAX];    /* where the listener listens */
    struct peer servers[NET_PEERS]; /* accepted connections, in order; more are closed */
    size_t accepted;
    struct tls_ctx *server_tls; /* accepted streams start TLS with it; NULL: plain */
};

void net_setup(struct net_fixture *f, size_t max_connections);
void net_teardown(struct net_fixture *f);
/* env->connect() to the listener. */
void net_connect(struct net_fixture *f, struct peer *client, const char *address);
/* Blocking, from outside the loop; returns the descriptor. */
int net_raw_connect(struct net_fixture *f);

/* Runs turns until cond is true; fails the test after NET_WAIT_MS. */
#define NET_WAIT_MS 5000
#define NET_UNTIL(f, cond)                                                                     \
    do {                                                                                       \
        uint64_t net_end_ = net_clock_ms() + NET_WAIT_MS;                                      \
        while (!(cond)) {                                                                      \
            if (net_clock_ms() > net_end_)                                                     \
                fail_msg("waited in vain for %s", #cond);                                      \
            net_turn(f);                                                                       \
        }                                                                                      \
    } while (0)

uint64_t net_clock_ms(void);
void net_turn(struct net_fixture *f); /* one turn that waits at most a few milliseconds */
