/* fixture.h - rooms with commit queues on a simulated store, and what they were told. */
#pragma once

#include "shard/commit/committer.h"
#include "tests/support/fake_env.h"
#include "tests/support/sim_store.h"
#include "tests/support/test.h"

#define FX_ROOMS 8
#define FX_LOG 8192
#define FX_SEQS 4096

struct fx;

struct fx_room {
    struct fx *fx;
    struct commit_queue queue;
    char project[16], room[16];
    uint64_t last_done_seq;
    bool lost;
    struct entry *images[FX_SEQS]; /* by seq: as released last, or loaded; owned */
};

/* One on_settled. */
struct fx_told {
    int room;
    enum commit_outcome outcome;
    unsigned tag; /* the requester; 0: none */
    uint64_t seq, updated_seq, change_seq, message_no;
    int64_t id, created_us;
    uint32_t version, flags;
    enum error_code error;
    size_t n_ops;
    char content[24], reactions[64];
};

struct fx {
    struct fake_env fake;
    struct sim_server server;
    struct store *sim;
    struct store spy; /* in front of sim */
    struct store_ops spy_ops;
    struct committer *c;
    struct fx_room rooms[FX_ROOMS];
    struct fx_told log[FX_LOG];
    size_t n_log;
    unsigned submits,
        refusals[FX_ROOMS]; /* batches; those of a room that came back with STORE_BAD_DATA */
    size_t rows[64], rooms_in[64], changed[64], keys[64]; /* of the first batches */
    uint64_t op_seqs[SIDE_AUDIT + 1]; /* by kind: of the last one that was submitted */
};

/* n rooms "p<i / rooms_per_project>"/"r<i>", created and claimed with fence 1. NULL config:
 * defaults. */
void fx_init(struct fx *fx, uint64_t seed, int n, int rooms_per_project,
             const struct commit_config *config);
void fx_deinit(struct fx *fx);
void fx_open(struct fx *fx,
             int room); /* opens the queue from what the database says, with its fence */
void fx_open_at(struct fx *fx, int room, uint64_t fence, const struct commit_head *head);
/* The author is "u", the key is `key` (or the content). Returns committer_push(). */
int fx_push(struct fx *fx, int room, unsigned tag, const char *content, const char *key);
int fx_push_item(struct fx *fx, int room, unsigned tag, const char *content, const char *key,
                 bool is_suspect);
/* The same by a socket. */
int fx_push_by(struct fx *fx, int room, uint64_t sender, unsigned tag, const char *content);
int fx_push_member(struct fx *fx, int room, unsigned tag, const char *user,
                   enum member_role role);
/* A change of the entry with this seq, as it is known. Key NULL: none. */
int fx_push_change(struct fx *fx, int room, unsigned tag, uint64_t seq,
                   const struct mutation *from, const char *key, bool is_suspect);
int fx_push_change_with(struct fx *fx, int room, unsigned tag, uint64_t seq,
                        const struct mutation *from, const char *key, const struct side_op *ops,
                        size_t n_ops);
/* By "u", the author of everything. */
struct mutation fx_edit(const char *content);
struct mutation fx_delete(void);
struct mutation fx_reaction(const char *actor, bool is_added);
/* The row; the test fails when there is none. */
const struct entry *fx_row(struct fx *fx, int room, uint64_t seq);
struct sim_room *fx_db_room(struct fx *fx, int room);
void fx_advance(struct fx *fx, uint64_t ms);
/* What the log says about a tag; fails the test when it was not told exactly once. */
const struct fx_told *fx_told(struct fx *fx, unsigned tag);
size_t fx_count(const struct fx *fx, enum commit_outcome outcome);
/* The timeline of every room has rising ids and times, no repeated key, no two events with one
 * seq, and nothing above its head. */
void fx_check_db(struct fx *fx);
