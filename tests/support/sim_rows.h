/* sim_rows.h - what the files of the database of tests share. */
#pragma once

#include <stdlib.h>

#include "common/base/list.h"
#include "common/base/map.h"
#include "tests/support/sim_db.h"

struct sim_db {
    struct map rooms;     /* struct sim_room */
    struct list by_age;   /* struct sim_room, oldest first */
    struct list projects; /* struct sim_project */
    struct list keys;     /* struct sim_api_key */
    int64_t next_id;
    uint64_t generation; /* of rooms that are made or claimed */
};

struct sim_member {
    char *user;
    enum member_role role;
    int64_t joined_us;
};

struct sim_restriction {
    char *user;
    int64_t muted_us, banned_us;
};

/* An entry by its dedupe key. */
struct sim_key {
    struct map_node node;
    struct entry *entry;
};

/* A change by its key (room_ops). */
struct sim_change {
    struct map_node node;
    struct list link; /* room->change_ages, oldest first */
    uint8_t key[DEDUPE_LEN];
    uint64_t seq, target;
    int64_t at_us;
};

struct sim_room {
    struct map_node node;
    struct list link;
    struct slice project, room;
    struct room_row row; /* texts owned */
    bool is_deleted, has_remains;
    uint64_t remains; /* rows that a server would still have: of the table with most of them */
    const struct sim_commit *locked_by;
    struct sim_member *members;
    size_t n_members;
    struct sim_restriction *restrictions; /* by user */
    size_t n_restrictions;
    struct entry **entries; /* by seq - 1; NULL: a seq that only changed an entry, or is gone */
    size_t n_entries, cap_entries;
    struct map keys;    /* struct sim_key */
    struct map changes; /* struct sim_change */
    struct list change_ages;
};

/* Memory is not what is tested here. */
static inline void *sim_must(void *p)
{
    if (!p)
        abort();
    return p;
}

static inline struct slice sim_dup(struct slice s)
{
    return slice_of(sim_must(slice_dup(s)), s.len);
}

static inline void sim_drop(struct slice s)
{
    free((char *)(uintptr_t)s.data);
}

/* sim_db.c */
void sim_rooms_free(struct sim_db *db);
void sim_member_set(struct sim_room *room, struct slice user, enum member_role role,
                    int64_t at_us);
void sim_restriction_set(struct sim_room *room, const struct side_op *op);
/* The text becomes another (a copy). */
void sim_text_set(struct slice *text, struct slice to);

/* sim_timeline.c */
void sim_timeline_init(struct sim_room *room);
/* Entries and keys go, seqs stay counted. How many of the more numerous of both. */
size_t sim_timeline_clear(struct sim_room *room);
void sim_timeline_free(struct sim_room *room);
void sim_timeline_grow(struct sim_room *room, uint64_t seq); /* seqs up to this one are taken */
void sim_timeline_append(struct sim_room *room, struct entry *entry);
/* The row with the seq of `image` becomes a copy of it; no such row: nothing. */
void sim_timeline_replace(struct sim_room *room, const struct entry *image);
/* Does an entry bear it; does a change? */
bool sim_key_exists(const struct sim_room *room, const uint8_t dedupe[DEDUPE_LEN]);
bool sim_change_exists(const struct sim_room *room, const uint8_t key[DEDUPE_LEN]);
void sim_change_add(struct sim_room *room, const struct batch_key *key, int64_t now_us);
