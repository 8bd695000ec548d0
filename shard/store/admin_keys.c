/* admin_keys.c - projects with their first key and secret, and a new master key. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/secret.h"
#include "common/base/utf8.h"
#include "shard/store/admin_priv.h"

/* 64 characters of text, enough for every HMAC that JWT knows. */
#define JWT_SECRET_BYTES 48

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
    admin_problem(problem, id, "this project exists already");
    return -EEXIST;
}

/* The secret is text, so that it can be pasted into any JWT library. */
static int add_secret(struct store_admin *admin, const struct master_key *master,
                      const char *id, struct buf *problem)
{
    uint8_t bytes[JWT_SECRET_BYTES];
    char kid[20], text[BASE64_LEN(JWT_SECRET_BYTES) + 1];
    uint8_t sealed[sizeof(text) + SEAL_OVERHEAD];
    struct secret_place place;
    struct slice plain;
    int r = random_name("k", 6, kid);

    if (r < 0 || RAND_bytes(bytes, sizeof(bytes)) != 1)
        return -EIO;
    plain = slice_of(text, base64_encode(BASE64_URL, bytes, sizeof(bytes), text));
    place = (struct secret_place){slice_str(id), slice_str(kid), SECRET_JWT};
    r = secret_seal(master, &place, plain, sealed);
    if (r >= 0) {
        const char *const values[] = {id, kid, place.purpose.data, (const char *)sealed,
                                      master->kid};
        const int lengths[] = {0, 0, 0, (int)(plain.len + SEAL_OVERHEAD), 0};
        const int formats[] = {0, 0, 0, 1, 0};

        r = admin_query(
            admin, "secret",
            "INSERT INTO project_secrets (project_id, kid, purpose, sealed, master_kid) "
            "VALUES ($1, $2, $3, $4, $5)",
            5, values, lengths, formats, problem, NULL);
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

/* A name is shown to people, in pages and in logs. */
static bool name_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((uint8_t)name.data[i] < ' ' || name.data[i] == 0x7f)
            return false;
    }
    return name.len > 0 && utf8_is_valid(name) && utf8_code_points(name) <= NAME_MAX_CHARS;
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
    if (!name_is_valid(slice_str(name))) {
        admin_problem(problem, "project",
                      "a name has 1 to 256 characters of UTF-8 and no control characters");
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
    struct secret_place place; /* texts, also with a NUL behind */
    const struct master_key *master;
    struct slice sealed;
};

/* Opens with the key that sealed it, seals with `next`: as long as before. */
static int seal_again(const struct sealed_row *row, const struct master_key *next,
                      uint8_t *ret_sealed)
{
    uint8_t *plain = malloc(row->sealed.len + 1);
    int r;

    if (!plain)
        return -ENOMEM;
    r = secret_open(row->master, &row->place, row->sealed, plain);
    if (r >= 0)
        r = secret_seal(next, &row->place, slice_of(plain, row->sealed.len - SEAL_OVERHEAD),
                        ret_sealed);
    secret_wipe(plain, row->sealed.len);
    free(plain);
    return r;
}

static int update_secret(struct store_admin *admin, const struct sealed_row *row,
                         const struct master_key *next, const uint8_t *sealed,
                         struct buf *problem)
{
    const char *const values[] = {row->place.project.data, row->place.kid.data,
                                  (const char *)sealed, next->kid};
    const int lengths[] = {0, 0, (int)row->sealed.len, 0}, formats[] = {0, 0, 1, 0};

    return admin_query(admin, "secret",
                       "UPDATE project_secrets SET sealed = $3, master_kid = $4 "
                       "WHERE project_id = $1 AND kid = $2",
                       4, values, lengths, formats, problem, NULL);
}

static int rotate_row(struct store_admin *admin, const struct sealed_row *row,
                      const struct master_key *next, struct buf *problem)
{
    uint8_t *sealed;
    int r;

    if (!row->master) {
        admin_problem(problem, row->place.project.data,
                      "a secret is sealed under a master key that is neither the current nor "
                      "the previous one");
        return -ENOKEY;
    }
    sealed = malloc(row->sealed.len + 1);
    if (!sealed)
        return -ENOMEM;
    r = seal_again(row, next, sealed);
    if (r == -EBADMSG)
        admin_problem(problem, row->place.project.data,
                      "a secret does not open with its master key: its row was changed");
    if (r >= 0)
        r = update_secret(admin, row, next, sealed, problem);
    free(sealed);
    return r;
}

static struct slice field(const PGresult *rows, int row, int column)
{
    return slice_of(PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column));
}

static int rotate(struct store_admin *admin, const struct keyring *keys, struct buf *problem,
                  unsigned *ret_count)
{
    AUTO(PQclear) PGresult *rows = NULL;
    const char *const values[] = {keys->current.kid};
    unsigned count = 0;
    int r =
        admin_query(admin, "secrets",
                    "SELECT project_id, kid, purpose, master_kid, sealed FROM project_secrets "
                    "WHERE master_kid <> $1 ORDER BY project_id, kid FOR UPDATE",
                    1, values, NULL, NULL, problem, &rows);

    for (int i = 0; r >= 0 && i < PQntuples(rows); i++, count++) {
        size_t len;
        unsigned char *sealed =
            PQunescapeBytea((const unsigned char *)PQgetvalue(rows, i, 4), &len);
        struct sealed_row row = {
            .place = {field(rows, i, 0), field(rows, i, 1), field(rows, i, 2)},
            .master = keyring_find(keys, field(rows, i, 3)),
            .sealed = slice_of(sealed, len),
        };

        r = sealed ? rotate_row(admin, &row, &keys->current, problem) : -ENOMEM;
        PQfreemem(sealed);
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
