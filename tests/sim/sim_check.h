/*
 * sim_check.h - the promises, as a machine sees them: what clients are shown
 * and what the store holds goes in, violations come out. Knows messages by
 * (room, seq) and by key; nothing of gateways or shards.
 */
#pragma once

#include "common/base/map.h"
#include "common/base/slice.h"

struct sim_check {
    struct map facts; /* struct fact: what some client has been shown at (room, seq) */
    struct map keys;  /* struct key_fact: where a key is said to be */
    unsigned violations;
    bool is_verbose;
    uint64_t n_shown, n_acked, n_member_frames;
};

void sim_check_init(struct sim_check *check, bool verbose);
void sim_check_deinit(struct sim_check *check);
void sim_violation(struct sim_check *check, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A client was shown this message (live, replayed or in a snapshot). */
void sim_check_shown(struct sim_check *check, struct slice room, uint64_t seq, int64_t id,
                     struct slice user, struct slice key, struct slice content,
                     int64_t created_us);
/* A client was told that its key is stored there. */
void sim_check_acked(struct sim_check *check, struct slice room, struct slice user,
                     struct slice key, uint64_t seq, int64_t id);
/* What the store holds in the end: called for each entry in seq order, then once per room with
 * its head. */
void sim_check_stored(struct sim_check *check, struct slice room, uint64_t seq, int64_t id,
                      struct slice user, struct slice key, struct slice content);
/* Everything shown and acknowledged was among the stored. */
void sim_check_finish(struct sim_check *check);
