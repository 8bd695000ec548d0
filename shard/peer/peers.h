/*
 * peers.h - the links of this shard, as its side of them: one from every
 * gateway, accepted here. Greets, keeps the heartbeat, teaches and learns rings,
 * and hands the messages about sockets to the host and calls to their owner.
 *
 * Pure over env.h and stream.h; who listens and who decides about rings is
 * main's business.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"

struct gate;
struct host;
struct msg_CALL;
struct peers;
struct ring;
struct shard_metrics;

struct peers_config {
    struct slice node_id; /* ours */
    uint64_t incarnation; /* ours */
    struct slice
        secret; /* empty: none, the transport (mutual TLS, loopback) answers for the peer */
};

struct peers_hooks {
    /* A gateway has a newer ring (ring.c's encoding). <0: it is malformed, and the link ends.
     */
    int (*on_ring)(void *owner, uint64_t epoch, struct slice members);
    /* A call of a gateway; its slices are valid during the call. Answered through the gate. */
    void (*on_call)(void *owner, struct gate *gate, const struct msg_CALL *call);
};

/* Strings in config are copied; env, host, metrics, hooks and owner are borrowed. */
int peers_new(struct env *env, struct host *host, struct shard_metrics *metrics,
              const struct peers_config *config, const struct peers_hooks *hooks, void *owner,
              struct peers **ret_peers) MUST_CHECK;
/* Closes what is open, with GOODBYE. Frees nothing that may be on the stack. NULL does nothing.
 */
void peers_free(struct peers *peers);
DEFINE_AUTO(struct peers, peers_free)

/* A connection to our link listener. Takes the stream over. -ENOMEM, -E2BIG (too many
 * have not greeted yet): it is closed. */
int peers_accept(struct peers *peers, struct stream *stream);
/* The ring that counts from now on (borrowed until the next call), told with the heartbeats. */
void peers_set_ring(struct peers *peers, const struct ring *ring);
/* Ends every link in order: GOODBYE, what is queued, end. */
void peers_close(struct peers *peers);
/* Links that are up. */
size_t peers_count(const struct peers *peers);
