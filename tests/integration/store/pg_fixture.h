/*
 * pg_fixture.h - a store on the private PostgreSQL of tests/support/with-postgres
 * and a real event loop. Waits are for conditions, with a deadline.
 */
#pragma once

#include <libpq-fe.h>

#include "common/net/loop.h"
#include "shard/store/store_admin.h"
#include "shard/store/store_pg.h"
#include "tests/support/test.h"

#define PG_WAIT_MS 15000

struct pgx {
    struct loop *loop;
    struct store *store;
    struct keyring keys;
    PGconn *sql; /* for looking and for mischief; blocking */
    char url[512];
    unsigned connections; /* when all are up */
};

/* Opens everything in a fresh schema that migrations have made, waits until the store is up. */
void pgx_init(struct pgx *x, unsigned lanes);
void pgx_deinit(struct pgx *x);
void pgx_open_store(struct pgx *x, unsigned lanes, const char *url);
/* Turns the loop until *flag, or fails the test. */
void pgx_wait(struct pgx *x, const bool *flag);
void pgx_wait_up(struct pgx *x); /* all connections */
/* Turns the loop until the store has been told that error so often. */
void pgx_wait_errors(struct pgx *x, enum pg_error error, uint64_t n);
void pgx_wait_disconnects(struct pgx *x, uint64_t n); /* so many since it was opened */
/* Turns the loop until the statement says so. */
void pgx_wait_sql(struct pgx *x, const char *sql, const char *want);
/* Runs the statement that ends backends and waits until n connections have noticed. */
void pgx_cut(struct pgx *x, const char *sql, unsigned n);
/* One statement; returns the first value as text (a static buffer), "" without rows. */
const char *pgx_sql(struct pgx *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- calls that wait ---- */

struct pgx_submit {
    bool done;
    enum store_result result;
    bool is_duplicate;
    bool committed[64];
    size_t n;
};
void pgx_submit_start(struct pgx *x, unsigned lane, const struct batch *batch,
                      struct pgx_submit *ret);
void pgx_submit(struct pgx *x, const struct batch *batch, struct pgx_submit *ret);

struct pgx_claim {
    bool done;
    enum store_result result;
    struct room_row row;
    size_t n_members, n_tail;
    char users[8][16];
    enum member_role roles[8];
    uint64_t tail_seqs[64], touched_floor, seq_floor;
    struct pgx_restriction {
        char user[16];
        int64_t muted_us, banned_us;
    } restrictions[8];
    size_t n_restrictions;
};
void pgx_claim_start(struct pgx *x, const char *room, uint64_t fence, struct pgx_claim *ret);
void pgx_members(struct pgx *x, const char *room, struct pgx_claim *ret);
void pgx_claim(struct pgx *x, const char *room, uint64_t fence, struct pgx_claim *ret);

bool pgx_create_room(struct pgx *x, const char *room, uint64_t fence);

/* ---- batches ---- */

/* A batch that is easy to build: rooms of project "p". */
struct pgx_batch {
    struct batch batch;
    struct batch_room rooms[64];
    struct entry *entries[4096];
    size_t n_entries;
    struct entry *changed[64];
    size_t n_changed;
    struct batch_key keys[64];
    size_t n_keys;
    struct side_op ops[64];
    size_t n_ops;
    int64_t next_id;
};
void pgx_batch_init(struct pgx_batch *b, int64_t first_id);
void pgx_batch_deinit(struct pgx_batch *b);
/* Adds a room with n messages "<text><seq>", keys from text and seq. */
struct batch_room *pgx_batch_room(struct pgx_batch *b, const char *room, uint64_t fence,
                                  uint64_t expect_seq, unsigned n, const char *text);
/* The last entry of the last room gets another content and key (NULL: stays). */
void pgx_batch_last(struct pgx_batch *b, struct slice content, const char *key);
void pgx_batch_op(struct pgx_batch *b, const char *user, enum member_role role);
void pgx_batch_side(struct pgx_batch *b, struct side_op op);
/* The last room changes an older entry, which takes the next seq: a copy of `image` with that.
 * NULL: no key. */
void pgx_batch_change(struct pgx_batch *b, const struct entry *image, const char *key);
