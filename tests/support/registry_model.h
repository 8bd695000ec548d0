/*
 * registry_model.h - what a registry does (common/cluster/registry.h), as plain
 * C over a clock that is passed in: the reference that registry_redis.c is
 * compared with, and the heart of every simulated registry.
 */
#pragma once

#include "common/cluster/registry.h"

#define MODEL_MAX                                                                              \
    300 /* more than a ring holds: members, holds, evictions, suspicions remembered */

struct model_member {
    char id[NODE_ID_MAX + 1], address[LINK_ADDRESS_MAX + 1];
    uint64_t incarnation;
    uint32_t weight;
    bool draining;
    uint64_t lease_until_ms; /* 0: none */
};

struct model_note { /* a suspicion, an eviction or a hold */
    char id[NODE_ID_MAX + 1], observer[NODE_ID_MAX + 1];
    uint64_t incarnation, at_ms, hold_ms;
};

struct registry_model {
    uint64_t epoch;
    uint64_t grace_until_ms;
    size_t n_members, n_suspects, n_evictions, n_holds;
    struct model_member members[MODEL_MAX];
    struct model_note suspects[MODEL_MAX], evictions[MODEL_MAX], holds[MODEL_MAX];

    /* the last view; registry_view points here */
    struct ring_member view_members[MODEL_MAX];
    uint64_t view_ages[MODEL_MAX];
};

void registry_model_init(struct registry_model *m); /* empty */
/* Each returns what on_reply gets as r. wall_ms: the registry's clock; it must not be 0. */
int registry_model_put(struct registry_model *m, uint64_t wall_ms,
                       const struct ring_member *member, uint64_t known_epoch, bool found);
int registry_model_renew(struct registry_model *m, uint64_t wall_ms, struct slice id,
                         uint64_t incarnation);
int registry_model_remove(struct registry_model *m, uint64_t wall_ms, struct slice id,
                          uint64_t incarnation, uint64_t known_epoch);
int registry_model_evict(struct registry_model *m, uint64_t wall_ms,
                         const struct registry_eviction *e);
int registry_model_read(struct registry_model *m, uint64_t wall_ms);
int registry_model_restore(struct registry_model *m, uint64_t wall_ms, const struct ring *ring,
                           uint64_t expected_epoch);
struct registry_view registry_model_view(struct registry_model *m, uint64_t wall_ms);
