/*
 * migrate.c - brings the schema up to date: one transaction under an advisory
 * lock, so that shards that start together do it once. A schema that is one
 * migration ahead is fine (the other version is being rolled out), one that is
 * further ahead is not ours to use.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "shard/store/admin_priv.h"
#include "shard/store/migrations.h"

#define HASH_LEN 32

static const char prepare[] =
    "BEGIN; SELECT pg_advisory_xact_lock(7021964310);" /* any number, but always this one */
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    " number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())";

static int hash_of(const struct migration *m, char ret[2 * HASH_LEN + 1])
{
    uint8_t hash[EVP_MAX_MD_SIZE];

    if (!EVP_Digest(m->sql, strlen(m->sql), hash, NULL, EVP_sha256(), NULL))
        return -EIO;
    hex_encode(hash, HASH_LEN, ret);
    return 0;
}

/* What was applied must be what we would have applied: the statements rely on it. */
static int check_applied(const PGresult *rows, size_t i, struct buf *problem)
{
    const struct migration *m = &migrations[i];
    char hash[2 * HASH_LEN + 1];
    int r = hash_of(m, hash);

    if (r < 0)
        return r;
    if (atoi(PQgetvalue(rows, (int)i, 0)) == m->number &&
        strcmp(PQgetvalue(rows, (int)i, 1), hash) == 0)
        return 0;
    admin_problem(problem, m->name,
                  "this database was made by another text of this migration; a migration that "
                  "is out must not change");
    return -EBADMSG;
}

/* *ret_n: how many have been applied, ours and later ones. */
static int count_applied(struct store_admin *admin, struct buf *problem, size_t *ret_n)
{
    AUTO(PQclear) PGresult *rows = NULL;
    size_t n;
    int r = admin_query(admin, "schema_migrations",
                        "SELECT number, sha256 FROM schema_migrations ORDER BY number", 0, NULL,
                        NULL, NULL, problem, &rows);

    if (r < 0)
        return r;
    n = (size_t)PQntuples(rows);
    for (size_t i = 0; i < MIN(n, n_migrations) && r >= 0; i++)
        r = check_applied(rows, i, problem);
    if (r < 0)
        return r;
    if (n > n_migrations + 1) {
        admin_problem(problem, "migrations",
                      "the schema is newer than this program by more than one version");
        return -ENOTSUP;
    }
    *ret_n = n;
    return 0;
}

static int apply(struct store_admin *admin, const struct migration *m, struct buf *problem)
{
    char number[12], hash[2 * HASH_LEN + 1];
    const char *const values[] = {number, m->name, hash};
    int r = hash_of(m, hash);

    if (r < 0)
        return r;
    r = admin_run(admin, m->name, m->sql, problem);
    if (r < 0)
        return r;
    snprintf(number, sizeof(number), "%d", m->number);
    return admin_query(
        admin, m->name,
        "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1::integer, $2, $3)", 3,
        values, NULL, NULL, problem, NULL);
}

int store_admin_migrate(struct store_admin *admin, struct buf *problem, unsigned *ret_applied)
{
    unsigned applied = 0;
    size_t n = 0;
    int r = admin_run(admin, "migrations", prepare, problem);

    if (r >= 0)
        r = count_applied(admin, problem, &n);
    for (; r >= 0 && n < n_migrations; n++, applied++)
        r = apply(admin, &migrations[n], problem);
    r = admin_end(admin, r, problem);
    if (r >= 0)
        *ret_applied = applied;
    return r;
}
