/*
 * differential.h - one seeded run of calls on PostgreSQL and on the store of the
 * simulator: both, and what they have answered as text.
 */
#pragma once

#include "pg_fixture.h"
#include "tests/support/fake_env.h"
#include "tests/support/sim_store.h"

#define ROOMS 6
#define KEYS 5 /* of one look-up */

struct both {
    struct pgx x;
    struct fake_env fake;
    struct sim_server server;
    struct store *sim;
    uint64_t random;
    uint64_t seqs[ROOMS], counts[ROOMS], fences[ROOMS]; /* as we believe */
    int64_t next_id;
    unsigned n_rooms;             /* creations asked for */
    uint8_t last_key[DEDUPE_LEN]; /* of a change that was submitted */
    struct buf got[2];            /* answers as text: PostgreSQL's, the simulator's */
    bool done;
    struct buf *to;
    unsigned n_committed, n_changed, n_deleted, n_duplicates, n_found, n_due; /* seen */
};

struct submit_arg {
    struct both *b;
    size_t n;
};

/* Each writes its answer to b->to and sets b->done. The argument is a struct both, of
 * diff_on_submitted a struct submit_arg. */
void diff_on_submitted(void *arg, enum store_result result, const bool *committed,
                       bool is_duplicate);
void diff_on_claimed(void *arg, enum store_result result, const struct claim_result *claim);
void diff_on_page(void *arg, enum store_result result, const struct page *page);
void diff_on_dedupe(void *arg, enum store_result result, const struct dedupe_found *found);
void diff_on_found(void *arg, enum store_result result, struct slice room, struct entry *entry);
void diff_on_due(void *arg, enum store_result result, const struct due_row *rows, size_t n);
void diff_on_fences(void *arg, enum store_result result, const struct fence_state *rows);
void diff_on_created(void *arg, enum store_result result, bool created);
void diff_on_deleted(void *arg, enum store_result result, bool deleted);
void diff_on_swept(void *arg, enum store_result result, uint64_t n, bool more);
