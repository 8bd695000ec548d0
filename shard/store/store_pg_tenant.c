/* store_pg_tenant.c - what belongs to a project as a whole: secrets, keys; and ids.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "shard/limits.h"
#include "shard/store/pg_read.h"

/* ---- projects and keys ---- */

/* Opens what can be opened; a secret under an unknown master key is left out, and said so. */
static size_t open_secrets(struct pg_read *read, const struct project_row *row,
                           struct project_secret *secrets, uint8_t *plain)
{
    const PGresult *rows = read->results[1];
    size_t n = 0;

    for (int i = 0; i < PQntuples(rows); i++) {
        struct slice kid = pg_bytes(rows, i, 0), sealed = pg_bytes(rows, i, 1);
        const struct master_key *key = keyring_find(read->store->keys, pg_bytes(rows, i, 2));
        const struct secret_place place = {row->project, kid, SECRET_JWT};

        if (!key || secret_open(key, &place, sealed, plain) < 0) {
            log_error("a project secret does not open with our master keys",
                      L_SLICE("project", row->project), L_SLICE("kid", kid));
            continue;
        }
        secrets[n++] =
            (struct project_secret){kid, slice_of(plain, sealed.len - SEAL_OVERHEAD)};
        plain += sealed.len - SEAL_OVERHEAD;
    }
    return n;
}

static void finish_project(struct pg_read *read, enum store_result result)
{
    const PGresult *rows = read->results[0], *sealed = read->results[1];
    struct project_secret *secrets = NULL;
    struct project_row row = {0};
    uint8_t *plain = NULL;
    size_t bytes = 1;

    if (result == STORE_OK && PQntuples(rows) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK) {
        for (int i = 0; i < PQntuples(sealed); i++)
            bytes += (size_t)PQgetlength(sealed, i, 1);
        secrets = calloc((size_t)PQntuples(sealed) + 1, sizeof(*secrets));
        plain = malloc(bytes);
        if (!secrets || !plain)
            result = STORE_UNAVAILABLE;
    }
    if (result == STORE_OK) {
        row.project = pg_bytes(rows, 0, 0);
        row.name = pg_bytes(rows, 0, 1);
        row.version = (uint64_t)pg_int8(rows, 0, 2);
        row.n_secrets = open_secrets(read, &row, secrets, plain);
        row.secrets = secrets;
    }
    read->fn.project(read->arg, result, result == STORE_OK ? &row : NULL);
    if (plain)
        secret_wipe(plain, bytes);
    free(plain);
    free(secrets);
}

int store_pg_project(struct store *s, struct slice project, store_project_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_project);

    if (!read)
        return -ENOMEM;
    read->fn.project = fn;
    pg_params_text(&read->params, project);
    pg_read_add(read, SQL_PROJECT, 1);
    pg_read_add(read, SQL_SECRETS, 1);
    return pg_read_start(read, pg_read_conn(s));
}

static void finish_key(struct pg_read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct key_row row = {0};

    if (result == STORE_OK && PQntuples(rows) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK)
        row =
            (struct key_row){pg_bytes(rows, 0, 0), pg_bytes(rows, 0, 1), pg_bytes(rows, 0, 2)};
    read->fn.key(read->arg, result, result == STORE_OK ? &row : NULL);
}

int store_pg_api_key(struct store *s, const uint8_t key_hash[32], store_key_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_key);

    if (!read)
        return -ENOMEM;
    read->fn.key = fn;
    pg_params_text(&read->params, slice_of(key_hash, 32));
    pg_read_add(read, SQL_API_KEY, 1);
    return pg_read_start(read, pg_read_conn(s));
}

static void finish_ids(struct pg_read *read, enum store_result result)
{
    int64_t first = result == STORE_OK ? pg_int8(read->results[0], 0, 0) * PG_ID_BLOCK : 0;

    read->fn.ids(read->arg, result, first, PG_ID_BLOCK);
}

int store_pg_id_block(struct store *s, store_ids_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_ids);

    if (!read)
        return -ENOMEM;
    read->fn.ids = fn;
    pg_read_add(read, SQL_ID_BLOCK, 0);
    return pg_read_start(read, pg_read_conn(s));
}
