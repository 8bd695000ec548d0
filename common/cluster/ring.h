/*
 * ring.h - which shard owns an object: a consistent hash ring over the members
 * of the cluster at one epoch. Immutable and counted; pure. Who is a member is
 * decided elsewhere (membership.h).
 *
 * Each member has RING_POINTS points per unit of weight: the hash of "<id>#<n>",
 * n = 0, 1, ... in decimal. An object belongs to the member with the first
 * point at or after the hash of its name. Hash: XXH3 (64 bits) with RING_SEED.
 * Address, incarnation and epoch do not move points, so a restart moves nothing.
 *
 * Members that drain have no points, but stay listed (their links stay up while
 * they hand over); when all drain, they keep theirs.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"

/* Part of the protocol: every process must agree on both. "fluxyrng" as a little endian number.
 */
#define RING_SEED 0x676e727978756c66ull
#define RING_POINTS 160

struct ring;

struct ring_member {
    struct slice id; /* node id: 1..NODE_ID_MAX of [A-Za-z0-9_.-] */
    struct slice
        address; /* of its link listener, "host:port": 1..LINK_ADDRESS_MAX visible ASCII */
    uint64_t incarnation; /* of the process */
    uint32_t weight;      /* 1..RING_WEIGHT_MAX */
    bool draining;
};

/* Two rings with one identity are the same ring. */
struct ring_identity {
    uint64_t epoch;
    uint64_t hash; /* of the members' encoding */
};

/* <0, 0, >0: a is older than, the same as, newer than b. Equal epochs with other members (a
 * registry that lost data) are ordered by hash, so that everybody settles on one of them. */
int ring_identity_compare(struct ring_identity a, struct ring_identity b);
/* The order of members in a ring: <0, 0, >0. */
int ring_compare_ids(struct slice a, struct slice b);

/* Copies the members, in any order. -EINVAL: epoch over RING_EPOCH_MAX, bad or repeated id, bad
 * address or weight; -E2BIG: too many members or too much weight; -ENOMEM. An empty ring is
 * allowed. */
int ring_new(uint64_t epoch, const struct ring_member *members, size_t n,
             struct ring **ret_ring) MUST_CHECK;
struct ring *ring_ref(const struct ring *ring);
void ring_unref(struct ring *ring); /* NULL does nothing */
DEFINE_AUTO(struct ring, ring_unref)

struct ring_identity ring_identity(const struct ring *ring);
size_t ring_count(const struct ring *ring);
/* The i-th member, in the order of ids. Valid while the ring lives. */
const struct ring_member *ring_at(const struct ring *ring, size_t i);
const struct ring_member *ring_find(const struct ring *ring,
                                    struct slice id); /* NULL: not a member */
/* The owner of an object by its name ("room/<project>/<room>"); NULL only when the ring is
 * empty. */
const struct ring_member *ring_owner(const struct ring *ring, struct slice object);

/*
 * The members as bytes (MSG RING), canonical: in the order of ids, little endian:
 * u16 count, then per member u8 length + id, u16 length + address, u64 incarnation, u8 weight,
 * u8 draining.
 */
struct slice ring_encoded(const struct ring *ring); /* valid while the ring lives */
/* -EBADMSG: not a canonical encoding within the limits; -ENOMEM. */
int ring_decode(uint64_t epoch, struct slice encoded, struct ring **ret_ring) MUST_CHECK;
