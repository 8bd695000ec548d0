/*
 * link_pool.h - the links of this gateway: one to every shard of the ring.
 *
 * Opens and closes links as the ring changes, finds the owner of an object, and
 * tells its two users (sessions and calls) what happens. It does not know what
 * the messages mean and does not decide who is on the ring: main hands every
 * new ring in and passes the evidence on to the membership.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"
#include "common/cluster/ring.h"
#include "common/wire/msg.h"

struct gateway_metrics;
struct link;
struct link_pool;
struct ring;

/* What a failed connection says about a shard. */
enum link_evidence { LINK_REFUSED, LINK_RESET, LINK_TIMEOUT };

/* The two users. Calls get REPLY, sessions everything else. */
enum link_user { LINK_USER_CALLS, LINK_USER_SESSIONS, LINK_USER_COUNT };

struct link_user_events {
    void (*on_up)(void *owner, struct link *link);   /* authenticated: may be sent on */
    void (*on_down)(void *owner, struct link *link); /* nothing comes or goes any more; the
                                                        pointer dies after this turn */
    void (*on_ring)(void *owner);                    /* owners may have changed */
    void (*on_message)(void *owner, struct link *link,
                       const struct msg *msg);          /* slices are valid during the call */
    void (*on_drained)(void *owner, struct link *link); /* link_is_full() has become false */
};

/* Up to the membership, through main. */
struct link_pool_hooks {
    void (*on_evidence)(void *owner, struct slice node_id, enum link_evidence evidence);
    /* A peer's ring, as in MSG RING; perhaps newer than ours. */
    void (*on_ring)(void *owner, uint64_t epoch, struct slice members);
    /* Our ring seems to be old: read the registry now. */
    void (*on_stale)(void *owner);
    /* For the log; may be NULL. A link came up (why NULL), broke, or (was_up false) could not
     * be made. */
    void (*on_link)(void *owner, struct slice node_id, bool was_up, const char *why);
};

struct link_pool_config {
    struct slice node_id; /* ours */
    uint64_t incarnation; /* ours, random, unique per start */
    struct slice secret;  /* empty: no shared secret (mutual TLS or loopback) */
};

/* Everything in config is copied; env, metrics, hooks and owner are borrowed. */
int link_pool_new(struct env *env, struct gateway_metrics *metrics,
                  const struct link_pool_config *config, const struct link_pool_hooks *hooks,
                  void *owner, struct link_pool **ret_pool) MUST_CHECK;
void link_pool_free(struct link_pool *pool); /* NULL does nothing; closes the links with
                                                GOODBYE, tells nobody */
DEFINE_AUTO(struct link_pool, link_pool_free)

void link_pool_set_user(struct link_pool *pool, enum link_user user,
                        const struct link_user_events *events, void *owner);

/* The ring that counts from now on; borrowed until the next call. Opens and closes links, then
 * tells the users. <0: some link could not be opened (-ENOMEM); the next call tries again. */
int link_pool_set_ring(struct link_pool *pool, const struct ring *ring) MUST_CHECK;

uint64_t link_pool_incarnation(const struct link_pool *pool);
/* The live link to the owner of a ring object name, or NULL when there is none at the moment.
 */
struct link *link_pool_owner(struct link_pool *pool, struct slice object);
/* For a while after a new ring: the live link to the shard that owned the object before and may
 * still have it; to be asked first. NULL: there is none. */
struct link *link_pool_holder(struct link_pool *pool, struct slice object);
/* For a while after a new ring: the shard behind this link (one of the pool's) is on it, too,
 * and will say MOVED when it lets go of what is not its own any more. */
bool link_pool_may_hold(const struct link_pool *pool, const struct link *link);
uint64_t link_pool_epoch(const struct link_pool *pool); /* of the ring; 0: none yet */
/* Sends our ring when theirs is older; true then. */
bool link_pool_teach(struct link_pool *pool, struct link *link, struct ring_identity theirs);
/* Whether this is one of the links, and up; it may be a pointer to one that is no more. */
bool link_pool_has(const struct link_pool *pool, const struct link *link);
/* Sends it on every live link but one (NULL: on every one). */
void link_pool_tell_all(struct link_pool *pool, const struct link *except,
                        const struct msg *msg);
/* Any live link, in turn, or NULL. */
struct link *link_pool_any(struct link_pool *pool);
size_t link_pool_live(const struct link_pool *pool);  /* links that are up */
size_t link_pool_total(const struct link_pool *pool); /* shards on the ring */
/* Somebody says that our ring is old (MOVED, 421): ask the peers and the registry now, at most
 * every RING_REFRESH_MS. */
void link_pool_refresh_ring(struct link_pool *pool);

/* ---- one live link ---- */

/* Queues a message; it leaves at the end of the turn. -ENOTCONN: not up; -ENOMEM: the link
 * closes by itself. */
int link_send(struct link *link, const struct msg *msg) MUST_CHECK;
/* More than LINK_QUEUE_HIGH is queued: whoever can wait does, until on_drained. */
bool link_is_full(const struct link *link);
struct slice link_node_id(const struct link *link); /* the shard at the other end */
/* A place for the session side to hang its list of rooms on; empty when the link comes up. */
struct list *link_rooms(struct link *link);
