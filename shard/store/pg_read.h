/*
 * pg_read.h - one call to the PostgreSQL store that is not a batch: parameters,
 * up to five statements in one transaction, their results, one call back. Only
 * for the files of the store.
 */
#pragma once

#include "shard/store/pg_rows.h"
#include "shard/store/store_pg_priv.h"

#define PG_READ_STATEMENTS 5
#define PG_READ_ARGUMENTS QUERY_PARAMS_MAX

/* One statement of a read: which of its parameters it takes, in order. */
struct pg_statement {
    enum sql_id id;
    int n;
    int params[PG_READ_ARGUMENTS];
};

struct pg_read {
    struct pg_request req;
    struct store_pg *store;
    struct pg_params params;
    struct pg_statement statements[PG_READ_STATEMENTS];
    unsigned n_statements;
    PGresult *results[PG_READ_STATEMENTS];
    void (*finish)(struct pg_read *read, enum store_result result); /* calls back */
    union {
        store_claim_fn claim;
        store_page_fn page;
        store_dedupe_fn dedupe;
        store_fences_fn fences;
        store_project_fn project;
        store_key_fn key;
        store_ids_fn ids;
        store_create_fn create;
        store_delete_fn deleted;
        store_sweep_fn sweep;
        store_find_fn find;
        store_due_fn due;
        store_query_fn query;
    } fn;
    void *arg;
    uint64_t started_us; /* env_mono_us() */
    bool keeps_bad_data; /* the caller wants to know of a refused value */
    bool is_duplicate;   /* it was a key that exists */
    size_t n;            /* keys of a look-up; sweeps before a creation */
    uint32_t limit;      /* of a page or tail */
};

/* NULL: out of memory. */
struct pg_read *pg_read_new(struct store *store, void *arg,
                            void (*finish)(struct pg_read *read, enum store_result result));
/* The statement takes the parameters first .. first + n - 1. */
void pg_read_add(struct pg_read *read, enum sql_id id, int n);
/* Takes the read, also on failure. */
int pg_read_start(struct pg_read *read, struct pg_conn *conn) MUST_CHECK;
/* The read connection with the least to do, one that is up before one that is not. */
struct pg_conn *pg_read_conn(struct store *store);
/* The same of those for what may wait for a row lock. */
struct pg_conn *pg_lock_conn(struct store *store);

/* The first n rows as entries, in an array of the caller. NULL: out of memory. */
struct entry **pg_read_entries(const PGresult *result, size_t n, int column);
void pg_entries_free(struct entry **entries, size_t n);

/* store_pg_room.c */
int store_pg_claim(struct store *s, struct slice project, struct slice room, uint64_t fence,
                   uint32_t tail_len, store_claim_fn fn, void *arg);
int store_pg_members(struct store *s, struct slice project, struct slice room,
                     store_claim_fn fn, void *arg);
int store_pg_create_room(struct store *s, const struct room_create *room, store_create_fn fn,
                         void *arg);
int store_pg_delete_room(struct store *s, struct slice project, struct slice room,
                         uint64_t fence, store_delete_fn fn, void *arg);
int store_pg_sweep(struct store *s, enum sweep_kind kind, store_sweep_fn fn, void *arg);

/* store_pg_timeline.c */
int store_pg_page(struct store *s, const struct page_query *query, store_page_fn fn, void *arg);
int store_pg_find(struct store *s, const struct find_query *query, store_find_fn fn, void *arg);
int store_pg_due(struct store *s, int64_t before_us, uint32_t limit, store_due_fn fn,
                 void *arg);
int store_pg_find_dedupe(struct store *s, const struct dedupe_key *keys, size_t n,
                         store_dedupe_fn fn, void *arg);
int store_pg_probe_fences(struct store *s, const struct fence_probe *rooms, size_t n,
                          store_fences_fn fn, void *arg);

/* store_pg_query.c */
int store_pg_query(struct store *s, const struct store_query *query, store_query_fn fn,
                   void *arg);

/* store_pg_tenant.c */
int store_pg_project(struct store *s, struct slice project, store_project_fn fn, void *arg);
int store_pg_api_key(struct store *s, const uint8_t key_hash[32], store_key_fn fn, void *arg);
int store_pg_id_block(struct store *s, store_ids_fn fn, void *arg);
