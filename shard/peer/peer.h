/*
 * peer.h - one link as the shard sees it. Inside shard/peer only.
 */
#pragma once

#include "common/cluster/ring.h"
#include "common/wire/frame.h"
#include "common/wire/handshake.h"
#include "shard/peer/peers.h"

struct peers {
    struct env *env;
    struct host *host;
    struct shard_metrics *metrics;
    const struct peers_hooks *hooks;
    void *owner;
    struct handshake_config identity;
    char *node_id, *secret;  /* what identity points at; owned */
    const struct ring *ring; /* borrowed; NULL: none yet */
    struct list all;         /* struct peer */
    size_t n_greeting, n_up;
};

enum peer_state { PEER_GREETING, PEER_UP, PEER_CLOSED };

struct peer {
    struct peers *peers;
    struct list link; /* peers.all */
    enum peer_state state;
    bool is_paused;        /* not read: too much is queued to it */
    struct stream *stream; /* NULL once closed */
    struct gate *gate;     /* while UP */
    struct handshake handshake;
    struct frame_reader reader;
    struct timer timer; /* GREETING: its deadline; UP: the heartbeat */
    uint64_t heard_ms;  /* when the last bytes came */
    /* Bytes given to the stream; taken from it by the gateway, and when last. */
    uint64_t written, taken, taken_ms;
    uint64_t beat_due_ms; /* when the heartbeat timer should run */
    struct buf out;       /* encoded in this turn */
    struct later flush;
    struct later dead;
};

int peer_new(struct peers *peers, struct stream *stream) MUST_CHECK;
/* The one way out. reason: for the log and, when orderly, for the GOODBYE. Safe in any
 * callback. */
void peer_close(struct peer *peer, const char *reason, bool is_orderly);
/* Queues a message; a failure ends the link when the turn does. */
void peer_say(struct peer *peer, const struct msg *msg);
