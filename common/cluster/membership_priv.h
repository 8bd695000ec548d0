/*
 * membership_priv.h - the parts of a membership, for its own files: membership.c
 * (life, timers, rings, replies), membership_place.c (a shard's own place) and
 * membership_watch.c (who is dead).
 */
#pragma once

#include "common/cluster/membership.h"
#include "common/cluster/suspects.h"

struct membership {
    struct env *env;
    struct registry *registry;
    const struct membership_events *events;
    void *owner;
    char *node_id; /* owned; self.id and self.address as well */
    struct ring_member self;
    bool is_shard;

    struct ring *ring;            /* never NULL */
    bool busy[REGISTRY_OP_COUNT]; /* under way at the registry */
    bool read_again;              /* a hint came while one was */
    struct timer poll, renew, suspicion, founding, leaving, hint;
    struct later begin, left;

    /* contact with the registry */
    uint64_t contact_since_ms; /* of the unbroken row of answers; 0: none */
    uint64_t contact_ms;       /* of the last answer */

    /* our own place */
    bool is_member;  /* by the last view */
    bool was_member; /* since the last put */
    bool superseded, leave_begun, has_left;
    uint64_t renew_sent_ms; /* of the renewal or put under way */
    uint64_t put_sent_ms;
    uint64_t confirmed_ms; /* when the last successful one was sent; 0: never */
    uint64_t next_put_ms;
    uint64_t rejoin_ms; /* pause before the next return */
    uint64_t member_since_ms;
    bool found_allowed; /* we waited for somebody who remembers a ring */

    struct suspects suspects;
    char evicting[NODE_ID_MAX + 1]; /* whose eviction was asked for last */
    uint64_t hint_ms;               /* when the last hint was followed */
    struct membership_metrics metrics;
};

static inline uint64_t membership_now_ms(const struct membership *m)
{
    return env_now_ms(m->env);
}

/* membership.c */
void membership_arm(struct membership *m, struct timer *timer, uint64_t delay_ms);
void membership_ask_read(struct membership *m);
/* Puts our ring back when the registry's epoch still is that one. */
void membership_ask_restore(struct membership *m, uint64_t stored_epoch);

/* membership_place.c */
void place_ask_put(struct membership *m, bool found);
void place_ask_renew(struct membership *m);
void place_ask_remove(struct membership *m);
void place_on_put(struct membership *m, int r);
/* Where do we stand by this view? */
void place_tend(struct membership *m, const struct registry_view *view);
/* The registry is empty: somebody may remember the ring and restore it; a shard that has waited
 * begins a new one. */
void place_tend_empty(struct membership *m);

/* membership_watch.c */
void watch_ask_evict(struct membership *m, const struct ring_member *member, bool refused);
void watch_on_evicted(struct membership *m, int r);
/* Who is dead by this view? refused_now: the registry has just refused an eviction; from this
 * view only those are asked for whose turn comes after it. */
void watch_tend(struct membership *m, const struct registry_view *view, bool refused_now);
