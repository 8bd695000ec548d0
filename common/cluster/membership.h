/*
 * membership.h - which ring this process goes by, and, in a shard, its own
 * place on it. Pure over env.h and registry.h.
 *
 * The newest ring wins, whether it came from the registry or from a peer
 * (membership_learn). Without the registry the last ring stays. A shard joins,
 * renews its lease, comes back when it was evicted by mistake, drains and
 * leaves; gateways only watch. Everybody evicts shards that are dead by the
 * rules of registry.h; membership only asks, the registry decides.
 */
#pragma once

#include "common/base/env.h"
#include "common/cluster/membership_metrics.h"
#include "common/cluster/registry.h"

struct membership;

struct membership_config {
    struct slice node_id; /* ours, copied; also for gateways (as an observer) */
    /* Shards: the place on the ring that we take; id empty: this process only watches. Copied.
     */
    struct ring_member self;
};

struct membership_events {
    /* There is another ring than before; always a newer one. The old one lives until this
     * returns. Must not free the membership (no event may). */
    void (*on_ring)(void *owner, const struct ring *ring);
    /* Shards: another process with our node id has taken our place. We must stop. May be NULL
     * in gateways. */
    void (*on_superseded)(void *owner);
    /* Shards: membership_leave() has come to its end, left or not. May be NULL in gateways. */
    void (*on_left)(void *owner);
};

/* What a link saw of a shard. */
enum membership_evidence {
    MEMBERSHIP_REFUSED, /* its machine answers, but nobody listens: the process is gone */
    MEMBERSHIP_RESET,   /* a connection was cut; the link tries again and reports what it sees
                           then */
    MEMBERSHIP_TIMEOUT, /* silence: only the lease can tell */
};

/* Takes over the events of the registry, which the caller keeps. Works from the next turn on:
 * reads, joins. */
int membership_new(struct env *env, struct registry *registry,
                   const struct membership_config *config,
                   const struct membership_events *events, void *owner,
                   struct membership **ret_membership) MUST_CHECK;
/* NULL does nothing. Does not leave the ring. */
void membership_free(struct membership *m);
DEFINE_AUTO(struct membership, membership_free)

/* The ring that counts now; never NULL (empty with epoch 0 in the beginning). Borrowed until
 * on_ring has returned for another one. */
const struct ring *membership_ring(const struct membership *m);
/* Shards: on the ring, with a lease confirmed within LEASE_TTL_MS. False: check your fences. */
bool membership_is_confirmed(const struct membership *m);
/* The registry answered within the last seconds. */
bool membership_is_registry_up(const struct membership *m);
/* As it is now. */
struct membership_metrics membership_metrics(const struct membership *m);

/* A peer's ring (MSG RING). Kept when it is newer. -EBADMSG, -ENOMEM. */
int membership_learn(struct membership *m, uint64_t epoch, struct slice members) MUST_CHECK;
/* Somebody named a newer ring that we do not have: reads the registry now. */
void membership_refresh(struct membership *m);
void membership_suspect(struct membership *m, struct slice shard_id,
                        enum membership_evidence evidence);

/* Shards: no new objects from now on; stays listed until membership_leave(). */
void membership_drain(struct membership *m);
/* Shards: off the ring; on_left follows within LEASE_TTL_MS also without the registry. */
void membership_leave(struct membership *m);
