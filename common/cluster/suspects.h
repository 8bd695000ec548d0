/*
 * suspects.h - the shards that this process takes for dead, for SUSPECT_MS each
 * time that it is said. Pure: time is passed in.
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/base/slice.h"

struct suspects {
    struct {
        char id[NODE_ID_MAX];
        size_t id_len;
        uint64_t until_ms; /* 0: free */
    } list[SUSPECTS_MAX];
};

bool suspects_has(const struct suspects *suspects, struct slice id, uint64_t now_ms);
/* False: there are SUSPECTS_MAX already; their leases will tell. id: NODE_ID_MAX at most. */
bool suspects_add(struct suspects *suspects, struct slice id, uint64_t now_ms) MUST_CHECK;
