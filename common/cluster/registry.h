/*
 * registry.h - where the cluster keeps its ring and the shards' leases: the
 * seam between membership.c and Redis (registry_redis.c in production, a
 * simulated one in tests).
 *
 * Speed, not truth: ownership of rooms is safe by the fences in the store,
 * whatever a registry answers or forgets. It must only be atomic: each
 * operation happens as a whole, or not, or unknown.
 *
 * Every change of the members sets the epoch to
 *     max(stored, known to the caller, the registry's clock in ms) + 1.
 *
 * Each started operation is answered exactly once by on_reply, never before
 * the starter returns. One operation of each kind may be under way at a time.
 */
#pragma once

#include "common/cluster/ring.h"

struct registry;

enum registry_op {
    REGISTRY_PUT,
    REGISTRY_RENEW,
    REGISTRY_REMOVE,
    REGISTRY_EVICT,
    REGISTRY_READ,
    REGISTRY_RESTORE,
    REGISTRY_OP_COUNT
};

/* Answers of on_reply beside 0 and <0: not done, or unknown. -ENOTCONN, -ECONNRESET,
 * -ECONNREFUSED: out of reach; -ETIMEDOUT; -EACCES: it refuses (takes no writes, wants another
 * password, ...); -EBADMSG: nonsense. */
enum registry_answer {
    REGISTRY_GONE =
        1, /* renew, remove, evict: this process is not a member (evicted, or replaced
              by another incarnation); put: a later incarnation with a lease is it */
    REGISTRY_REFUSED, /* evict: the rules do not allow it now; put: the ring is full */
    REGISTRY_EMPTY, /* the registry has no ring: it is new, or has lost everything. Nothing was
                       changed. */
    REGISTRY_STALE, /* restore: its ring is not the expected one any more */
};

/* No lease: it ran out, or there never was one. */
#define REGISTRY_LEASE_EXPIRED UINT64_MAX

/* What the registry holds right after the operation. Valid during on_reply. */
struct registry_view {
    uint64_t epoch; /* 0: empty */
    size_t n;
    const struct ring_member *members;
    const uint64_t
        *lease_age_ms; /* per member: since its last renewal, or REGISTRY_LEASE_EXPIRED */
    bool is_garbled;   /* empty, because what it holds is no ring that we can have written */
};

struct registry_events {
    /* view: NULL when r < 0. */
    void (*on_reply)(void *owner, enum registry_op op, int r, const struct registry_view *view);
    void (*on_hint)(void *owner); /* something has changed, perhaps: read soon. At any rate. */
};

struct registry_eviction {
    struct slice id;
    uint64_t incarnation;  /* another one than the registry's: refused */
    struct slice observer; /* who saw it */
    bool refused;      /* the observer's evidence: the shard's machine refuses connections */
    bool trust_leases; /* the observer has been in touch with the registry for LEASE_TTL_MS: old
                          leases mean dead shards, not a registry that was away */
    uint64_t known_epoch;
};

/* All return 0 when the operation is under way, or <0 (-ENOTCONN, -ENOMEM) and then no reply
 * comes. */
struct registry_ops {
    /* Enters the member, or replaces an earlier incarnation (or state) of it, and gives it a
     * lease. found: on an empty registry, begin a new ring with it (else REGISTRY_EMPTY). Also
     * how a member begins to drain. */
    int (*put)(struct registry *registry, const struct ring_member *member,
               uint64_t known_epoch, bool found);
    int (*renew)(struct registry *registry, struct slice id, uint64_t incarnation);
    int (*remove)(struct registry *registry, struct slice id, uint64_t incarnation,
                  uint64_t known_epoch);
    /*
     * Removes a member that is dead. Allowed when
     *   its lease has run out and the observer may trust leases; or connections are refused,
     * and another observer said so within SUSPECT_MS, or the lease has not been renewed for
     * SUSPECT_LEASE_MS and may be trusted; and nobody restored the ring within the last
     * LEASE_TTL_MS; and another member remains; and it is the first of this id within its
     * hold-down (EVICT_HOLD_MS, doubled when the incarnation evicted last came back); and at
     * most a third of the members (at least one) goes within EVICT_WINDOW_MS. Else
     * REGISTRY_REFUSED; the evidence is remembered for the next observer.
     */
    int (*evict)(struct registry *registry, const struct registry_eviction *eviction);
    int (*read)(struct registry *registry);
    /* Puts the ring back, epoch included, if the stored epoch still is expected_epoch (0:
     * empty). */
    int (*restore)(struct registry *registry, const struct ring *ring, uint64_t expected_epoch);
};

struct registry {
    const struct registry_ops *ops;
    const struct registry_events *events; /* NULL: nobody listens */
    void *owner;
};

static inline void registry_set_events(struct registry *registry,
                                       const struct registry_events *events, void *owner)
{
    registry->events = events;
    registry->owner = owner;
}
