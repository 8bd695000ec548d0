/*
 * test_admin.c - projects with their first key and secret, and the change of
 * the master key: complete or not at all, and nothing of a secret in the clear.
 */
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "shard/store/store_admin.h"
#include "tests/integration/store/sql.h"
#include "tests/support/test.h"

static PGconn *db; /* looks on, as the owner */
static struct store_admin *admin;

static struct master_key key_of(char digit)
{
    char text[2 * MASTER_KEY_LEN];
    struct master_key key;

    memset(text, digit, sizeof(text));
    assert_int_equal(master_key_parse(slice_of(text, sizeof(text)), &key), 0);
    return key;
}

static struct keyring ring_of(char current, char previous)
{
    struct keyring ring = {.current = key_of(current)};

    if (previous) {
        ring.previous = key_of(previous);
        ring.has_previous = true;
    }
    return ring;
}

static int setup(void **state)
{
    AUTO_BUF problem = BUF_INIT;
    unsigned applied;

    (void)state;
    sql_empty_database();
    db = sql_connect(sql_url());
    assert_int_equal(store_admin_open(sql_url(), false, &problem, &admin), 0);
    assert_int_equal(store_admin_migrate(admin, &problem, &applied), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_admin_close(TAKE(admin));
    PQfinish(db);
    db = NULL;
    return 0;
}

static struct project_created create(const struct keyring *ring, const char *id)
{
    AUTO_BUF problem = BUF_INIT;
    struct project_created made;

    if (store_admin_create_project(admin, ring, "Some project", id, &problem, &made) < 0)
        fail_msg("%.*s", (int)problem.len, problem.data);
    return made;
}

static bool says(const struct buf *problem, const char *word)
{
    return problem->len > 0 && memmem(problem->data, problem->len, word, strlen(word));
}

/* Opens the only secret of a project and returns its length; -EBADMSG. */
static int open_secret(const struct keyring *ring, const char *project, char ret[200])
{
    const char *const values[] = {project};
    PGresult *rows = PQexecParams(
        db,
        "SELECT kid, master_kid, sealed, purpose FROM project_secrets WHERE project_id = $1", 1,
        NULL, values, NULL, NULL, 1);
    const struct master_key *master;
    struct secret_place place;
    struct slice sealed;
    int r;

    assert_int_equal(PQntuples(rows), 1);
    place = (struct secret_place){slice_str(project), slice_str(PQgetvalue(rows, 0, 0)),
                                  slice_str(PQgetvalue(rows, 0, 3))};
    master = keyring_find(ring, slice_str(PQgetvalue(rows, 0, 1)));
    sealed = slice_of(PQgetvalue(rows, 0, 2), (size_t)PQgetlength(rows, 0, 2));
    assert_true(sealed.len < 200);
    r = master ? secret_open(master, &place, sealed, (uint8_t *)ret) : -EBADMSG;
    PQclear(rows);
    return r < 0 ? r : (int)(sealed.len - SEAL_OVERHEAD);
}

static int rotate(const struct keyring *ring, struct buf *problem, unsigned *ret_count)
{
    return store_admin_rotate_master_key(admin, ring, problem, ret_count);
}

/* ---- projects ---- */

static void test_project_has_one_key_and_one_secret(void **state)
{
    struct keyring ring = ring_of('1', 0);
    struct project_created made = create(&ring, "acme");
    uint8_t hash[SHA256_DIGEST_LENGTH], bytes[16], raw[200];
    char hex[2 * sizeof(hash) + 1], secret[200];
    size_t raw_len;
    int len;

    (void)state;
    assert_string_equal(made.project, "acme");
    assert_string_equal(sql_value(db, "SELECT name || ' ' || version FROM projects"),
                        "Some project 1");

    assert_int_equal(strlen(made.api_key), API_KEY_TEXT_LEN);
    assert_memory_equal(made.api_key, "fc_", 3);
    assert_int_equal(hex_decode(slice_str(made.api_key + 3), bytes, sizeof(bytes)), 0);
    SHA256((const uint8_t *)made.api_key, strlen(made.api_key), hash);
    hex_encode(hash, sizeof(hash), hex);
    assert_string_equal(sql_value(db, "SELECT encode(key_hash, 'hex') FROM api_keys"), hex);
    assert_string_equal(sql_value(db, "SELECT project_id || ' ' || scopes FROM api_keys "
                                      "WHERE revoked_at IS NULL"),
                        "acme [\"*\"]");

    assert_string_equal(sql_value(db, "SELECT purpose FROM project_secrets"), "jwt");
    len = open_secret(&ring, "acme", secret);
    assert_int_equal(len, 64); /* fit for HS512, and text that any library takes */
    assert_int_equal(
        base64_decode(BASE64_URL, slice_of(secret, (size_t)len), raw, sizeof(raw), &raw_len),
        0);
    assert_int_equal(raw_len, 48);
}

/* A dump of the database is no use to who finds it. */
static void test_nothing_secret_is_in_the_clear(void **state)
{
    static const char dump[] = "SELECT (SELECT json_agg(p)::text FROM projects p) || "
                               "(SELECT json_agg(s)::text FROM project_secrets s) || "
                               "(SELECT json_agg(k)::text FROM api_keys k)";
    struct keyring ring = ring_of('1', 0);
    struct project_created made = create(&ring, "acme");
    char secret[200], hex[500];
    const char *text = sql_value(db, dump);
    int len;

    (void)state;
    assert_non_null(strstr(text, "acme"));
    assert_null(strstr(text, made.api_key + 11)); /* but for what is shown of it */
    len = open_secret(&ring, "acme", secret);
    assert_true(len > 0);
    hex_encode(secret, (size_t)len, hex);
    text = sql_value(db, dump);
    assert_null(strstr(text, hex));
}

static void test_projects_differ(void **state)
{
    struct keyring ring = ring_of('1', 0);
    struct project_created a = create(&ring, NULL), b = create(&ring, NULL);
    char secret_a[200] = "", secret_b[200] = "";

    (void)state;
    assert_true(ident_is_valid(slice_str(a.project)));
    assert_string_not_equal(a.project, b.project);
    assert_string_not_equal(a.api_key, b.api_key);
    assert_int_equal(open_secret(&ring, a.project, secret_a),
                     open_secret(&ring, b.project, secret_b));
    assert_memory_not_equal(secret_a, secret_b, 64);
}

static void test_existing_project_stays_as_it_is(void **state)
{
    struct keyring ring = ring_of('1', 0);
    AUTO_BUF problem = BUF_INIT;
    struct project_created again = {.project = "untouched"};

    (void)state;
    (void)create(&ring, "acme");
    assert_int_equal(
        store_admin_create_project(admin, &ring, "Other", "acme", &problem, &again), -EEXIST);
    assert_true(says(&problem, "exist"));
    assert_string_equal(again.project, "untouched");
    assert_string_equal(sql_value(db, "SELECT name FROM projects"), "Some project");
    assert_string_equal(sql_value(db, "SELECT count(*) FROM api_keys"), "1");
    assert_string_equal(sql_value(db, "SELECT count(*) FROM project_secrets"), "1");
    (void)create(&ring, "next"); /* the connection goes on */
}

static void test_bad_ids_and_names_are_refused(void **state)
{
    struct keyring ring = ring_of('1', 0);
    char long_id[130], long_name[258];
    const struct {
        const char *name, *project, *id;
    } cases[] = {
        {"empty id", "name", ""},
        {"white space", "name", "a b"},
        {"quote", "name", "a'b"},
        {"too long", "name", long_id},
        {"no name", "", "fine"},
        {"name that is not UTF-8", "\xff\xfe", "fine"},
        {"name with a line break", "a\nb", "fine"},
        {"name too long", long_name, "fine"},
    };

    (void)state;
    memset(long_id, 'a', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF problem = BUF_INIT;
        struct project_created made;

        CHECK(store_admin_create_project(admin, &ring, cases[i].project, cases[i].id, &problem,
                                         &made) < 0,
              cases[i].name);
        CHECK(problem.len > 0, cases[i].name);
    }
    assert_string_equal(sql_value(db, "SELECT count(*) FROM projects"), "0");
    long_id[128] = '\0';
    assert_string_equal(create(&ring, long_id).project, long_id);
}

static void test_failing_half_way_leaves_no_project(void **state)
{
    struct keyring ring = ring_of('1', 0);
    AUTO_BUF problem = BUF_INIT;
    struct project_created made;
    unsigned count;

    (void)state;
    sql_run(db, "ALTER TABLE api_keys ADD CONSTRAINT none CHECK (false)");
    assert_true(store_admin_create_project(admin, &ring, "n", "acme", &problem, &made) < 0);
    assert_true(says(&problem, "api_keys"));
    assert_int_equal(rotate(&ring, &problem, &count), 0); /* the transaction has ended */
    assert_string_equal(sql_value(db, "SELECT count(*) FROM projects"), "0");
    assert_string_equal(sql_value(db, "SELECT count(*) FROM project_secrets"), "0");
}

/* ---- the master key ---- */

#define PROJECTS 5

static void create_projects(const struct keyring *ring, char secrets[PROJECTS][200])
{
    for (int i = 0; i < PROJECTS; i++) {
        char id[8];

        snprintf(id, sizeof(id), "p%d", i);
        (void)create(ring, id);
        memset(secrets[i], 0, 200);
        assert_true(open_secret(ring, id, secrets[i]) > 0);
    }
}

/* How many of the secrets open with this ring to what they were. */
static int count_open(const struct keyring *ring, char secrets[PROJECTS][200])
{
    int n = 0;

    for (int i = 0; i < PROJECTS; i++) {
        char id[8], opened[200] = {0};
        int len;

        snprintf(id, sizeof(id), "p%d", i);
        len = open_secret(ring, id, opened);
        n += len > 0 && memcmp(opened, secrets[i], (size_t)len) == 0;
    }
    return n;
}

static void test_rotation_seals_everything_anew(void **state)
{
    struct keyring old = ring_of('1', 0), both = ring_of('2', '1'), only_new = ring_of('2', 0);
    char secrets[PROJECTS][200];
    AUTO_BUF problem = BUF_INIT;
    unsigned count = 0;

    (void)state;
    create_projects(&old, secrets);
    (void)create(&both, "born-later");
    assert_int_equal(count_open(&both, secrets), PROJECTS); /* while both are in use */
    assert_int_equal(rotate(&both, &problem, &count), 0);
    assert_int_equal(count, PROJECTS);
    assert_int_equal(count_open(&only_new, secrets), PROJECTS);
    assert_int_equal(count_open(&old, secrets), 0);

    assert_int_equal(rotate(&both, &problem, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(rotate(&only_new, &problem, &count), 0);
    assert_int_equal(count, 0);
}

static void test_rotation_without_the_old_key_changes_nothing(void **state)
{
    struct keyring old = ring_of('1', 0), wrong = ring_of('2', '3'), none = ring_of('2', 0);
    char secrets[PROJECTS][200];
    unsigned count = 77;

    (void)state;
    create_projects(&old, secrets);
    for (int i = 0; i < 2; i++) {
        AUTO_BUF problem = BUF_INIT;

        assert_int_equal(rotate(i == 0 ? &wrong : &none, &problem, &count), -ENOKEY);
        assert_true(says(&problem, "p0"));
    }
    assert_int_equal(count, 77);
    assert_int_equal(count_open(&old, secrets), PROJECTS);
}

static void test_rotation_stops_at_a_changed_row(void **state)
{
    static const char *const changes[] = {
        "set_byte(sealed, 14, get_byte(sealed, 14) # 1)",
        "substring(sealed for 20)",
        "''",
    };
    struct keyring old = ring_of('1', 0), both = ring_of('2', '1');
    char secrets[PROJECTS][200];

    (void)state;
    create_projects(&old, secrets);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        AUTO_BUF problem = BUF_INIT;
        unsigned count = 77;
        char sql[200];

        snprintf(sql, sizeof(sql),
                 "CREATE TABLE kept AS SELECT sealed AS was FROM project_secrets "
                 "WHERE project_id = 'p3'; "
                 "UPDATE project_secrets SET sealed = %s WHERE project_id = 'p3'",
                 changes[i]);
        sql_run(db, sql);
        CHECK_EQ(rotate(&both, &problem, &count), -EBADMSG, changes[i]);
        CHECK(says(&problem, "p3"), changes[i]);
        CHECK_EQ(count, 77, changes[i]);
        sql_run(db,
                "UPDATE project_secrets SET sealed = was FROM kept WHERE project_id = 'p3'; "
                "DROP TABLE kept");
        CHECK_EQ(count_open(&old, secrets), PROJECTS, changes[i]); /* all or nothing */
    }
}

/* A sealed secret that somebody has moved to another tenant or use is not taken over. */
static void test_rotation_refuses_a_moved_secret(void **state)
{
    struct keyring old = ring_of('1', 0), both = ring_of('2', '1');
    char secrets[PROJECTS][200];
    AUTO_BUF problem = BUF_INIT;
    unsigned count;

    (void)state;
    create_projects(&old, secrets);
    sql_run(db, "UPDATE project_secrets a SET sealed = b.sealed FROM project_secrets b "
                "WHERE a.project_id = 'p1' AND b.project_id = 'p2'");
    assert_int_equal(rotate(&both, &problem, &count), -EBADMSG);
    assert_true(says(&problem, "p1"));

    sql_run(db, "DELETE FROM project_secrets WHERE project_id = 'p1'; "
                "UPDATE project_secrets SET purpose = 'webhook' WHERE project_id = 'p0'");
    buf_clear(&problem);
    assert_int_equal(rotate(&both, &problem, &count), -EBADMSG);
    assert_true(says(&problem, "p0"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_project_has_one_key_and_one_secret, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nothing_secret_is_in_the_clear, setup, teardown),
        cmocka_unit_test_setup_teardown(test_projects_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(test_existing_project_stays_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_ids_and_names_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_half_way_leaves_no_project, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_rotation_seals_everything_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotation_without_the_old_key_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotation_stops_at_a_changed_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotation_refuses_a_moved_secret, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
