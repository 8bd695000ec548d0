/*
 * migrate.c - brings the schema up to date: one transaction under an advisory
 * lock, so that shards that start together do it once. A schema that is one
 * migration ahead is fine (the other version is being rolled out), one that is
 * further ahead is not ours to use.
 */
#include <errno.h>
#include <stdlib.h>

#include "shard/store/admin_priv.h"
#include "shard/store/migrations.h"

static const char prepare[] =
    "BEGIN; SELECT pg_advisory_xact_lock(7021964310);" /* any number, but always this one */
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    " number integer PRIMARY KEY, name text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())";

static int applied_count(struct store_admin *admin, struct buf *problem, size_t *ret_n)
{
    AUTO(PQclear) PGresult *result = NULL;
    int r = admin_query(admin, "schema_migrations",
                        "SELECT coalesce(max(number), 0) FROM schema_migrations", 0, NULL, NULL,
                        NULL, problem, &result);

    if (r < 0)
        return r;
    *ret_n = (size_t)strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    return 0;
}

static int apply(struct store_admin *admin, const struct migration *m, struct buf *problem)
{
    char number[12];
    const char *const values[] = {number, m->name};
    int r = admin_run(admin, m->name, m->sql, problem);

    if (r < 0)
        return r;
    snprintf(number, sizeof(number), "%d", m->number);
    return admin_query(admin, m->name,
                       "INSERT INTO schema_migrations (number, name) VALUES ($1::integer, $2)",
                       2, values, NULL, NULL, problem, NULL);
}

int store_admin_migrate(struct store_admin *admin, struct buf *problem, unsigned *ret_applied)
{
    unsigned applied = 0;
    size_t n = 0;
    int r = admin_run(admin, "migrations", prepare, problem);

    if (r >= 0)
        r = applied_count(admin, problem, &n);
    if (r >= 0 && n > n_migrations + 1) {
        admin_problem(problem, "migrations",
                      "the schema is newer than this program by more than one version");
        r = -ENOTSUP;
    }
    for (; r >= 0 && n < n_migrations; n++, applied++)
        r = apply(admin, &migrations[n], problem);
    r = admin_end(admin, r, problem);
    if (r >= 0)
        *ret_applied = applied;
    return r;
}
