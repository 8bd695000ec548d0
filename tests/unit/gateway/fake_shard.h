/*
 * fake_shard.h - the other end of the links in tests of gateway/link and
 * gateway/session: shards that shake hands, keep what they are sent, and say
 * what the test tells them to; a pool of links to them; a ring over them.
 */
#pragma once

#include "common/cluster/ring.h"
#include "common/wire/frame.h"
#include "common/wire/handshake.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"
#include "tests/support/fake_env.h"

#define FAKE_SHARDS_MAX 3

struct fake_shard {
    struct fake_env *f;
    struct fake_listener listener;
    char id[16], address[16];
    struct handshake_config config;
    struct handshake handshake;
    struct frame_reader reader;
    struct stream *stream; /* NULL: no link */
    struct list
        inbox; /* struct fake_letter: what came after the handshake, without heartbeats */
    struct ring_identity ring;
    bool is_mute; /* answers no PING */
    bool is_deaf; /* answers no HELLO */
    unsigned pings;
    unsigned connects;
};

struct fake_letter {
    struct list link;
    struct msg msg; /* slices point into bytes */
    size_t len;
    char bytes[];
};

/* Fake shards "shard-0".. at "shard-0:1".., listening from the start, and a pool that has a
 * ring of all of them. */
struct fake_cluster {
    struct fake_env env;
    struct gateway_metrics metrics;
    struct fake_shard shards[FAKE_SHARDS_MAX];
    size_t n;
    struct link_pool *pool;
    uint64_t epoch;
    /* What the pool said to the membership. */
    unsigned refused, resets, timeouts, stale, rings;
    uint64_t learnt_epoch;
    char why[80]; /* the last end of a link; "up" when it came up since */
};

void fake_cluster_init(struct fake_cluster *c, size_t n, const char *secret);
void fake_cluster_deinit(struct fake_cluster *c);
/* A new ring of the shards whose bit is set. */
void fake_cluster_set_ring(struct fake_cluster *c, unsigned mask);
/* The same, of which some drain. */
void fake_cluster_drain(struct fake_cluster *c, unsigned mask, unsigned draining);
/* The shard that owns the object by the ring of these shards. */
struct fake_shard *fake_cluster_owner(struct fake_cluster *c, unsigned mask,
                                      const char *object);
unsigned fake_cluster_bit(const struct fake_cluster *c, const struct fake_shard *s);

void fake_shard_send(struct fake_shard *s, const struct msg *msg);
/* The oldest message that came, which must be of this type; frees itself with the next call. */
const struct msg *fake_shard_expect(struct fake_shard *s, enum msg_type type);
/* Fails when there is one. */
void fake_shard_expect_nothing(struct fake_shard *s);
size_t fake_shard_count(const struct fake_shard *s);
/* Everything unread is thrown away. */
void fake_shard_clear(struct fake_shard *s);
/* The connection breaks; the shard goes on listening. */
void fake_shard_break(struct fake_shard *s);
