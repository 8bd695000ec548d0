/* admin_keys.c - projects with their first key and secret, and a new master key. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "common/base/secret.h"
#include "shard/store/admin_priv.h"

#define JWT_SECRET_BYTES 32

/* prefix and 2 * n hex digits. */
static int random_name(const char *prefix, size_t n, char *ret)
{
    uint8_t bytes[16];

    if (n > sizeof(bytes) || RAND_bytes(bytes, (int)n) != 1)
        return -EIO;
    ret = stpcpy(ret, prefix);
    hex_encode(bytes, n, ret);
    secret_wipe(bytes, sizeof(bytes));
    return 0;
}

static int add_project(struct store_admin *admin, const char *id, const char *name,
                       struct buf *problem)
{
    AUTO(PQclear) PGresult *result = NULL;
    const char *const values[] = {id, name};
    int r = admin_query(admin, "project",
                        "INSERT INTO projects (project_id, name) VALUES ($1, $2) "
                        "ON CONFLICT DO NOTHING RETURNING project_id",
                        2, values, NULL, NULL, problem, &result);

    if (r < 0)
        return r;
    if (PQntuples(result) == 1)
        return 0;
    admin_problem(problem, "project", "this id exists already");
    return -EEXIST;
}

/* The secret is text, so that it can be pasted into any JWT library. */
static int add_secret(struct store_admin *admin, const struct master_key *master,
                      const char *id, struct buf *problem)
{
    uint8_t bytes[JWT_SECRET_BYTES];
    char kid[20], text[BASE64_LEN(JWT_SECRET_BYTES) + 1];
    uint8_t sealed[sizeof(text) + SEAL_OVERHEAD];
    struct slice plain;
    int r = random_name("k", 6, kid);

    if (r < 0 || RAND_bytes(bytes, sizeof(bytes)) != 1)
        return -EIO;
    plain = slice_of(text, base64_encode(BASE64_URL, bytes, sizeof(bytes), text));
    r = secret_seal(master, slice_str(id), slice_str(kid), plain, sealed);
    if (r >= 0) {
        const char *const values[] = {id, kid, (const char *)sealed, master->kid};
        const int lengths[] = {0, 0, (int)(plain.len + SEAL_OVERHEAD), 0};
        const int formats[] = {0, 0, 1, 0};

        r = admin_query(
            admin, "secret",
            "INSERT INTO project_secrets (project_id, kid, purpose, sealed, master_kid) "
            "VALUES ($1, $2, 'jwt', $3, $4)",
            4, values, lengths, formats, problem, NULL);
    }
    secret_wipe(bytes, sizeof(bytes));
    secret_wipe(text, sizeof(text));
    return r;
}

static int add_api_key(struct store_admin *admin, const char *id, char *ret_key,
                       struct buf *problem)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    char key_id[24], prefix[9];
    int r = random_name("fc_", 16, ret_key);

    if (r < 0 || random_name("key_", 6, key_id) < 0 ||
        !EVP_Digest(ret_key, API_KEY_TEXT_LEN, hash, NULL, EVP_sha256(), NULL))
        return -EIO;
    snprintf(prefix, sizeof(prefix), "%s", ret_key);
    const char *const values[] = {(const char *)hash, id, key_id, prefix};
    const int lengths[] = {32, 0, 0, 0}, formats[] = {1, 0, 0, 0};

    return admin_query(admin, "API key",
                       "INSERT INTO api_keys (key_hash, project_id, key_id, prefix, scopes) "
                       "VALUES ($1, $2, $3, $4, '[\"*\"]')",
                       4, values, lengths, formats, problem, NULL);
}

int store_admin_create_project(struct store_admin *admin, const struct keyring *keys,
                               const char *name, const char *id, struct buf *problem,
                               struct project_created *ret_created)
{
    struct project_created created = {0};
    int r;

    if (id && !ident_is_valid(slice_str(id))) {
        admin_problem(problem, "project", "an id has 1 to 128 of A-Z a-z 0-9 _ -");
        return -EINVAL;
    }
    if (id)
        snprintf(created.project, sizeof(created.project), "%s", id);
    else if (random_name("prj_", 8, created.project) < 0)
        return -EIO;
    r = admin_run(admin, "project", "BEGIN", problem);
    if (r >= 0)
        r = add_project(admin, created.project, name, problem);
    if (r >= 0)
        r = add_secret(admin, &keys->current, created.project, problem);
    if (r >= 0)
        r = add_api_key(admin, created.project, created.api_key, problem);
    r = admin_end(admin, r, problem);
    if (r >= 0)
        *ret_created = created;
    secret_wipe(&created, sizeof(created));
    return r;
}

/* ---- rotation ---- */

struct sealed_row {
    const char *project, *kid, *master_kid;
    unsigned char *sealed; /* PQfreemem() */
    size_t len;
};

static int seal_again(struct store_admin *admin, const struct keyring *keys,
                      const struct sealed_row *row, struct buf *problem)
{
    const struct master_key *old = keyring_find(keys, slice_str(row->master_kid));
    struct slice project = slice_str(row->project), kid = slice_str(row->kid);
    uint8_t *plain = NULL, *sealed = malloc(row->len + 1);
    int r = -EBADMSG;

    if (!old) {
        admin_problem(
            problem, row->project,
            "sealed under a master key that is neither the current nor the previous one");
        free(sealed);
        return -ENOKEY;
    }
    if (row->len >= SEAL_OVERHEAD) {
        plain = malloc(row->len);
        r = plain && sealed
                ? secret_open(old, project, kid, slice_of(row->sealed, row->len), plain)
                : -ENOMEM;
    }
    if (r >= 0)
        r = secret_seal(&keys->current, project, kid, slice_of(plain, row->len - SEAL_OVERHEAD),
                        sealed);
    if (r < 0)
        admin_problem(problem, row->project, "a secret does not open with its master key");
    if (plain)
        secret_wipe(plain, row->len);
    free(plain);
    if (r >= 0) {
        const char *const values[] = {row->project, row->kid, (const char *)sealed,
                                      keys->current.kid};
        const int lengths[] = {0, 0, (int)row->len, 0}, formats[] = {0, 0, 1, 0};

        r = admin_query(admin, "secret",
                        "UPDATE project_secrets SET sealed = $3, master_kid = $4 "
                        "WHERE project_id = $1 AND kid = $2",
                        4, values, lengths, formats, problem, NULL);
    }
    free(sealed);
    return r;
}

static int rotate(struct store_admin *admin, const struct keyring *keys, struct buf *problem,
                  unsigned *ret_count)
{
    AUTO(PQclear) PGresult *rows = NULL;
    const char *const values[] = {keys->current.kid};
    unsigned count = 0;
    int r = admin_query(admin, "secrets",
                        "SELECT project_id, kid, master_kid, sealed FROM project_secrets "
                        "WHERE master_kid <> $1 ORDER BY project_id, kid FOR UPDATE",
                        1, values, NULL, NULL, problem, &rows);

    for (int i = 0; r >= 0 && i < PQntuples(rows); i++, count++) {
        struct sealed_row row = {PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1),
                                 PQgetvalue(rows, i, 2), NULL, 0};

        row.sealed = PQunescapeBytea((const unsigned char *)PQgetvalue(rows, i, 3), &row.len);
        r = row.sealed ? seal_again(admin, keys, &row, problem) : -ENOMEM;
        PQfreemem(row.sealed);
    }
    if (r >= 0)
        *ret_count = count;
    return r;
}

int store_admin_rotate_master_key(struct store_admin *admin, const struct keyring *keys,
                                  struct buf *problem, unsigned *ret_count)
{
    unsigned count = 0;
    int r = admin_run(admin, "secrets", "BEGIN", problem);

    if (r >= 0)
        r = rotate(admin, keys, problem, &count);
    r = admin_end(admin, r, problem);
    if (r >= 0)
        *ret_count = count;
    return r;
}
