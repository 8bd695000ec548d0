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
    struct map texts; /* struct fact: the text of (room, seq, version) */
    struct map keys;  /* struct key_fact: where a key is said to be */
    struct map lost;  /* struct lost: what a failover has taken back */
    unsigned violations;
    bool is_verbose;
    uint64_t n_shown, n_acked, n_member_frames;
};

void sim_check_init(struct sim_check *check, bool verbose);
void sim_check_deinit(struct sim_check *check);
void sim_violation(struct sim_check *check, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A message as a client was shown it (live, replayed or in a snapshot), or as it is stored. */
struct sim_shown {
    struct slice room, user, key, content;
    uint64_t seq, version;
    int64_t id, created_us;
    bool is_deleted; /* the text is gone */
};
void sim_check_shown(struct sim_check *check, const struct sim_shown *shown);
/* A client was shown or told that this number changed the message with this id. */
void sim_check_changed(struct sim_check *check, struct slice room, uint64_t seq, int64_t id);
/* A client was told that its key is stored there. */
void sim_check_acked(struct sim_check *check, struct slice room, struct slice user,
                     struct slice key, uint64_t seq, int64_t id);
/* The store forgets this number, which was the message with this id, or changed it (0: it
 * changed some message). Who is still told of it is told nothing wrong. */
void sim_check_lost(struct sim_check *check, struct slice room, uint64_t seq, int64_t id);
bool sim_check_has_lost(const struct sim_check *check, struct slice room); /* anything */
/* All that was shown or acknowledged above `head` is forgotten; after all of it has been named.
 * Texts of the room are not compared from then on. */
void sim_check_forget(struct sim_check *check, struct slice room, uint64_t head);
/* What the store holds in the end: called for each number in order. */
void sim_check_stored(struct sim_check *check, const struct sim_shown *stored);
void sim_check_stored_change(struct sim_check *check, struct slice room, uint64_t seq);
/* Everything shown and acknowledged was among the stored. */
void sim_check_finish(struct sim_check *check);
