/*
 * loop_internal.h - what the loop shares with the streams, listeners and the
 * resolver of common/net. Nobody else includes it.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/fair.h"
#include "common/net/loop.h"

#define LOOP_SCRATCH_BYTES (64u * 1024)
#define LOOP_SIGNALS_MAX 8

struct evdns_base;
struct listener;

struct loop_signal {
    struct event *event;
    loop_signal_fn fn;
    void *arg;
    struct loop *loop;
};

struct loop {
    struct env env; /* first: loop_of() */
    struct event_base *base;
    struct event *wake;   /* libevent's timer for the earliest of env.timers */
    uint64_t wake_due_ms; /* when it is set for; UINT64_MAX: not set */
    bool stopped;

    /* the turn's clock; 0: not read yet in this turn */
    uint64_t turn_start_ns;
    uint64_t longest_turn_us;
    uint64_t scraped_longest_us; /* the same, since the last loop_write_metrics() */
    uint64_t scraped_busiest_us; /* as above, of processor time */
    uint64_t cpu_ns;             /* of the thread, at the end of the last turn */
    uint64_t turns, slow_turns;
    uint64_t tidied_ms; /* heap_tidy() */

    struct list dirty;         /* streams with output that has not been offered to the kernel */
    struct list unhurried;     /* the same, and nobody waits for it */
    struct list links_ready;   /* streams with input: links, */
    struct fair clients_ready; /* and all others, tenants in turn */
    uint64_t reads_put_off, writes_put_off; /* turns that left such streams to the next one */
    struct list leaving; /* streams that have no owner any more and still write or wait for
                            their peer */
    struct list dead;    /* streams to be freed after this turn */
    struct later reap;   /* frees them */

    unsigned handshakes_left; /* TLS handshake steps that this turn may still do */
    size_t flushes_left;      /* streams that may still be written in this turn */

    uint64_t accept_rests;    /* for want of descriptors */
    size_t accepted;          /* open sockets that came through a listener */
    struct list full_waiters; /* listeners that stopped because of their connection cap */
    struct tls_ctx *link_tls; /* borrowed */
    struct evdns_base *dns;   /* made at first use */
    struct loop_signal signals[LOOP_SIGNALS_MAX];
    size_t n_signals;

    /* What is read from any socket lands here and is pushed up before the next read: no buffer
     * per connection. TLS output is gathered in the second. */
    char read_scratch[LOOP_SCRATCH_BYTES];
    char write_scratch[LOOP_SCRATCH_BYTES];
};

/* Microseconds since this turn began. */
uint64_t loop_turn_us(const struct loop *loop);

/* stream_tcp_turns.c: one write for each dirty stream; for some of those without hurry, at the
 * end of the turn; reads for the ready ones. */
void stream_tcp_flush_all(struct loop *loop);
void stream_tcp_flush_unhurried(struct loop *loop);
void stream_tcp_read_ready(struct loop *loop);
bool stream_tcp_is_any_ready(const struct loop *loop);
/* stream_tcp.c */
void stream_tcp_reap(struct later *later, void *arg);
/* The loop goes: nobody will write out what the leaving streams still hold. */
void stream_tcp_drop_leaving(struct loop *loop);
/* listener.c: a socket closed, listeners at their cap may go on. */
void listener_room_again(struct loop *loop);
/* connect.c: env_ops.connect of the loop. */
int connect_start(struct env *env, const char *address, const struct stream_events *events,
                  void *owner, struct stream **ret_stream);
