/*
 * link.h - one connection to one shard, kept up for as long as the shard is on
 * the ring: connect, handshake, heartbeat, reconnect. It knows neither the ring
 * nor what the messages mean; the pool does. Inside gateway/link only; others
 * use link_pool.h.
 */
#pragma once

#include "common/cluster/ring.h"
#include "common/wire/handshake.h"
#include "gateway/link/link_pool.h"

/* Up to the pool. on_up, on_down and on_message may close the link. */
struct link_events {
    void (*on_up)(void *owner, struct link *link);
    /* It was up and is no longer. */
    void (*on_down)(void *owner, struct link *link);
    /* An attempt (was_up false) or a live connection has ended; why is for the log. Comes
     * before on_down. */
    void (*on_end)(void *owner, struct link *link, bool was_up, const char *why);
    /* An attempt or a live connection ended in a way that says something about the shard. */
    void (*on_evidence)(void *owner, struct link *link, enum link_evidence evidence);
    /* The peer's heartbeat; the pool decides who has the older ring. */
    void (*on_heartbeat)(void *owner, struct link *link, struct ring_identity theirs);
    void (*on_message)(void *owner, struct link *link, const struct msg *msg);
    void (*on_drained)(void *owner, struct link *link);
};

/* Borrowed for the life of the link. */
struct link_setup {
    struct env *env;
    struct gateway_metrics *metrics;
    const struct handshake_config *identity;
    const struct ring_identity *ring; /* ours at any time, for heartbeats */
    const struct link_events *events;
    void *owner;
};

/* Copies node id and address and makes the first attempt at the end of this turn. */
int link_new(const struct link_setup *setup, struct slice node_id, struct slice address,
             struct link **ret_link) MUST_CHECK;
/* Ends the link for good, without on_down; says goodbye when it was up. The memory goes after
 * the turn. */
void link_close(struct link *link);
bool link_is_up(const struct link *link);
struct slice link_address(const struct link *link);
/* A PING now, ahead of the next heartbeat. */
void link_ping(struct link *link);

/* The pool's: the shard has left the ring, the link stays until what is under way has ended. */
void link_set_leaving(struct link *link, bool leaving);
/* The shard has (re)started: connects now instead of after the rest, if it rests. */
void link_hurry(struct link *link);
bool link_is_leaving(const struct link *link);
