/*
 * file_store.h - where uploaded files are: what a place for them must be able
 * to do. PostgreSQL is one (file_store_pg.c); an object store can be another.
 * A file has a project, a key and pieces of FILE_CHUNK_BYTES (the last may be
 * shorter), and can be read once it is finished. Everything may be asked twice:
 * gateways ask again when an answer was lost.
 *
 * Asynchronous like store.h: a function returns <0 and never calls back, or
 * calls back exactly once, never before it has returned. What a callback is
 * given is valid during the call; what a function is given until it returns.
 */
#pragma once

#include "shard/store/store.h"

struct file_store;

struct file_id {
    struct slice project, key;
};

struct file_row {
    struct slice room; /* data NULL: of no room */
    struct slice user; /* who has uploaded it */
    struct slice name, content_type;
    uint64_t size;
};

/* STORE_NOT_FOUND: there is no such file, or (finish) it is not whole. */
typedef void (*file_done_fn)(void *arg, enum store_result result);
typedef void (*file_stat_fn)(void *arg, enum store_result result, const struct file_row *file);
typedef void (*file_piece_fn)(void *arg, enum store_result result, struct slice data);
typedef void (*file_sweep_fn)(void *arg, enum store_result result, uint64_t n_removed);

struct file_store_ops {
    int (*create)(struct file_store *s, const struct file_id *id, const struct file_row *file,
                  file_done_fn fn, void *arg);
    int (*put)(struct file_store *s, const struct file_id *id, uint32_t n, struct slice data,
               file_done_fn fn, void *arg);
    int (*finish)(struct file_store *s, const struct file_id *id, uint64_t size,
                  uint32_t n_pieces, file_done_fn fn, void *arg);
    int (*stat)(struct file_store *s, const struct file_id *id, file_stat_fn fn, void *arg);
    int (*get)(struct file_store *s, const struct file_id *id, uint32_t n, file_piece_fn fn,
               void *arg);
    int (*remove)(struct file_store *s, const struct file_id *id, file_done_fn fn, void *arg);
    /* Removes at most max files that were begun longer ago than FILE_UNFINISHED_S. */
    int (*sweep)(struct file_store *s, uint32_t max, file_sweep_fn fn, void *arg);
    void (*free)(struct file_store *s);
};

struct file_store {
    const struct file_store_ops *ops;
};

/* store is borrowed and outlives it. */
int file_store_pg_new(struct store *store, struct file_store **ret_files) MUST_CHECK;
static inline void file_store_free(struct file_store *s) /* NULL does nothing */
{
    if (s)
        s->ops->free(s);
}
