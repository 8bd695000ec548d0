/*
 * store_admin.h - what is done with PostgreSQL before the loop runs, or instead
 * of it: migrations, the incarnation of this process, projects, key rotation.
 * Blocking calls with deadlines; not to be used once the loop runs. Errors are
 * described in a text for the operator, without secrets.
 */
#pragma once

#include "common/base/buf.h"
#include "shard/store/secrets.h"

struct store_admin;

/* Connects and checks that the server keeps what it commits: fsync and synchronous_commit must
 * be on unless allow_unsafe. Negative errno; *problem then says why. */
int store_admin_open(const char *url, bool allow_unsafe, struct buf *problem,
                     struct store_admin **ret_admin) MUST_CHECK;
void store_admin_close(struct store_admin *admin); /* NULL does nothing */
DEFINE_AUTO(struct store_admin, store_admin_close)
/* The server may lose commits in a crash; allow_unsafe let it pass. */
bool store_admin_is_unsafe(const struct store_admin *admin);

/* Brings the schema up to date, under a lock: any number of processes may do so at once.
 * *ret_applied: how many migrations this call has run. */
int store_admin_migrate(struct store_admin *admin, struct buf *problem,
                        unsigned *ret_applied) MUST_CHECK;
/* A number larger than any that was handed out before: the fence of this process's rooms. */
int store_admin_incarnation(struct store_admin *admin, struct buf *problem,
                            uint64_t *ret_incarnation) MUST_CHECK;

#define API_KEY_TEXT_LEN 35 /* "fc_" and 32 hex digits */
struct project_created {
    char project[129];
    char api_key[API_KEY_TEXT_LEN + 1]; /* shown once, kept as a hash */
};
/* id NULL: a random one. -EEXIST: there is such a project. */
int store_admin_create_project(struct store_admin *admin, const struct keyring *keys,
                               const char *name, const char *id, struct buf *problem,
                               struct project_created *ret_created) MUST_CHECK;
/* Seals every secret under keys->current; those sealed under keys->previous are opened with it.
 * *ret_count: how many were sealed anew. */
int store_admin_rotate_master_key(struct store_admin *admin, const struct keyring *keys,
                                  struct buf *problem, unsigned *ret_count) MUST_CHECK;
