/*
 * host.h - the rooms of this shard and the gateways that have sockets in them.
 *
 * Owns every struct room_host and struct gate. Knows no link protocol beyond
 * struct msg (shard/peer drives the links), no REST call (shard/api), no SQL.
 * Lives on env.h, store.h, the committer and the ring, so that the simulator
 * runs it unchanged.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/env.h"
#include "common/base/map.h"
#include "shard/commit/committer.h"
#include "shard/host/claims.h"
#include "shard/host/drops.h"
#include "shard/host/moves.h"
#include "shard/host/reach.h"
#include "shard/store/store.h"

struct expiry;
struct fences_probe;
struct lookups;
struct pace;
struct ring;
struct room_host;
struct search_index;
struct shard_metrics;

struct host_config {
    struct slice node_id;  /* ours on the ring; borrowed */
    uint64_t incarnation;  /* of this process start: the fence of every room that it claims */
    uint64_t room_idle_ms; /* a room without traffic for that long leaves */
    uint32_t page_entries; /* in a page of a catch-up; 0: RESUME_PAGE, which is also the most */
    uint32_t tail_entries; /* newest entries kept in memory, */
    uint32_t tail_bytes;   /* and their bytes */
    uint32_t rate_scale;   /* multiplies message rates */
};

struct host {
    struct env *env;
    struct store *store;
    struct committer *committer;
    const struct ring *ring; /* borrowed; NULL: none yet */
    struct shard_metrics *metrics;
    struct host_config config;

    struct map rooms;         /* struct room_host by project and room */
    struct list rooms_by_use; /* the longest unused first */
    struct map gates;         /* struct gate by incarnation */
    struct list all_gates;
    struct map users;    /* struct user_channel by project and user */
    uint64_t push_count; /* events and moves of user channels: tells who has been told */
    struct list gathers; /* struct gather: questions to all gateways */
    size_t n_gathers;
    uint64_t gather_count;
    struct expiry *expiry;
    struct lookups *lookups; /* projects and keys, see lookup.h */
    struct search_index *search;
    struct moves moves;     /* rooms that are to go to other shards */
    struct drops drops;     /* rooms that end because of another database server */
    struct claims claims;   /* of rooms that are to be activated */
    struct pace *pace;      /* of catch-ups */
    struct reaches reaches; /* how far old clients had come when they went */

    bool lease_is_confirmed;    /* nobody can have taken our place on the ring unnoticed */
    struct fences_probe *probe; /* under way; NULL: none */
    struct timer tick;          /* once a second: idle rooms, fences, forgotten limits */

    /* Scratch, each used within one function at a time. */
    struct buf json;       /* a frame in the making */
    struct buf json2;      /* a part of it */
    struct buf wire;       /* a link message in the making */
    uint64_t sender_count; /* of attach.sender */
    uint64_t change_count; /* makes the keys of membership entries unique */
    uint64_t wake_count;   /* numbers activations */
};

/* env, store, committer and metrics are borrowed and outlive the host. */
int host_new(struct env *env, struct store *store, struct committer *committer,
             struct shard_metrics *metrics, const struct host_config *config,
             struct host **ret_host) MUST_CHECK;
/* Drops all gates and rooms without telling anybody. What the store still answers later is for
 * nobody, and only then is its memory freed. NULL does nothing. */
void host_free(struct host *host);
DEFINE_AUTO(struct host, host_free)

/* The ring that counts from now on (borrowed until the next call). Rooms that are no longer
 * ours leave: one after the other while it lists us, else at once. */
void host_set_ring(struct host *host, const struct ring *ring);
/* While the lease is unconfirmed, fences are checked once a second. */
void host_set_lease(struct host *host, bool is_confirmed);
/* Now by the store's clock, which all times of entries come from; microseconds since 1970. */
int64_t host_now_us(const struct host *host);
/* True when the newest ring that we know gives us the object. */
bool host_owns(const struct host *host, struct slice object);
/* We answer for this room: it is ours, or in our memory and has not gone to its new owner yet.
 */
bool host_serves(const struct host *host, struct slice project, struct slice room);
/* Everything leaves (shutdown): host_set_ring() with a ring without us does that; this asks
 * whether it is done. */
bool host_is_empty(const struct host *host);

/* All rooms are dropped in this turn, and claimed anew by those who need them: the process
 * ends.
 */
void host_drop_rooms(struct host *host);
/* Another PostgreSQL than before answers: all rooms stop at once and are dropped, over several
 * turns; sleeping ones are woken. */
void host_store_replaced(struct host *host);
/* The store can be written to again: rooms that wait for their claim try soon. */
void host_store_is_back(struct host *host);
