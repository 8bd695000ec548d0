/*
 * sim_db.h - the database of tests: rooms, members, timeline, projects and keys
 * in memory, with the semantics of shard/store/store.h and of PostgreSQL where
 * it matters (row locks that are held until COMMIT, compare-and-set, unique
 * keys, texts that are refused). No time and no faults here: see sim_store.h.
 */
#pragma once

#include "shard/store/store.h"

struct sim_db;
struct sim_room;

struct sim_db *sim_db_new(void);
void sim_db_free(struct sim_db *db);

/* ---- commit, in two steps as it happens in a server ---- */

/* A batch of which the rows are locked; the rooms that lost are not in it. */
struct sim_commit {
    struct batch_room *rooms; /* deep copy: what was sent does not change */
    size_t n_rooms;
    bool *committed; /* per room, valid after sim_commit_start() */
    bool is_started;
};
/* The batch as it is on its way to the server. */
struct sim_commit *sim_commit_new(const struct batch *batch);
/* The statement starts: STORE_OK (rows locked, committed[] filled in) or STORE_BAD_DATA
 * (nothing remains locked). */
enum store_result sim_commit_start(struct sim_db *db, struct sim_commit *commit,
                                   bool *ret_is_duplicate);
/* COMMIT: visible, unlocked. */
void sim_commit_finish(struct sim_db *db, struct sim_commit *commit, int64_t now_us);
void sim_commit_abort(struct sim_db *db,
                      struct sim_commit *commit); /* unlocked; not started: nothing */
void sim_commit_free(struct sim_commit *commit);

/* ---- the rest; results are built in the caller's memory ---- */

struct sim_room *sim_db_room(struct sim_db *db, struct slice project,
                             struct slice room); /* or NULL */
bool sim_room_is_locked(const struct sim_room *room);
bool sim_room_is_deleted(const struct sim_room *room); /* only its row is left */
const struct room_row *sim_room_row(const struct sim_room *room);
/* By seq from 1, *ret_n of them; NULL where a seq has only changed an entry, or is gone. */
struct entry *const *sim_room_entries(const struct sim_room *room, size_t *ret_n);
/* A claim: the room gets the fence, and the generation of the server. */
void sim_room_own(struct sim_db *db, struct sim_room *room, uint64_t fence);
/* From now on it is another server, or another timeline: 1 at first. */
void sim_db_set_generation(struct sim_db *db, uint64_t generation);
/* Each of them, oldest first. */
void sim_db_each_room(const struct sim_db *db,
                      void (*fn)(void *arg, const struct sim_room *room), void *arg);
struct slice sim_room_name(const struct sim_room *room);
/* For tests that need another owner. */
void sim_room_set_fence(struct sim_room *room, uint64_t fence);
/* For tests that need an edited or deleted entry: takes the next seq into updated_seq. */
void sim_room_change(struct sim_room *room, uint64_t seq, int64_t deleted_us);

/* A copy of row, members and restrictions (by user) and tail, independent of what happens to
 * the room. */
struct sim_claim {
    struct claim_result result;
    struct member_row *members;
    struct restriction_row *restrictions;
    struct entry **tail, **streams;
};
void sim_room_claim(const struct sim_room *room, uint32_t tail_len, int64_t now_us,
                    struct sim_claim *ret_claim);
void sim_room_tail(const struct sim_room *room, uint32_t tail_len,
                   struct sim_claim *claim); /* that part of it alone */
void sim_room_streams(const struct sim_room *room, struct sim_claim *claim); /* likewise */
void sim_claim_deinit(struct sim_claim *claim);
bool sim_db_create_room(struct sim_db *db, const struct room_create *create);
bool sim_room_delete(struct sim_room *room, uint64_t fence); /* false: another's */
/* What a deleted room has left goes with it here; true: there was one that had not been swept.
 */
bool sim_db_sweep_room(struct sim_db *db, uint64_t *ret_rows);
/* How many. */
uint64_t sim_db_sweep_changes(struct sim_db *db, int64_t before_us, size_t limit);
/* ret->entries is the caller's array with one reference each (sim_entries_free()). */
void sim_room_page(const struct sim_room *room, const struct page_query *query, int64_t now_us,
                   struct page *ret_page);
/* The entry that bears the key, or that a change with it has changed (then its seq). Borrowed.
 */
struct entry *sim_room_find(const struct sim_room *room, const uint8_t dedupe[DEDUPE_LEN],
                            uint64_t *ret_change_seq);
struct entry *sim_db_find(struct sim_db *db, const struct find_query *query,
                          struct slice *ret_room); /* both borrowed */
/* Names are borrowed; the array is the caller's. */
size_t sim_db_due(struct sim_db *db, int64_t before_us, uint32_t limit,
                  struct due_row **ret_rows);
int64_t sim_db_id_block(struct sim_db *db, uint32_t count);
void sim_db_skip_ids(struct sim_db *db,
                     int64_t first); /* blocks handed out from now on start there */

void sim_db_add_project(struct sim_db *db, const char *project, const char *name,
                        const char *secret);
void sim_db_add_key(struct sim_db *db, const char *project, const char *key_id,
                    const uint8_t hash[32]);
const struct project_row *sim_db_project(struct sim_db *db, struct slice project); /* or NULL */
const struct key_row *sim_db_key(struct sim_db *db, const uint8_t hash[32]);       /* or NULL */

void sim_entries_free(struct entry *const *entries, size_t n);
