/*
 * test_migrate.c - connecting to PostgreSQL before the loop runs, and bringing
 * its schema up to date: once, by however many at a time, wholly or not at all.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "shard/store/migrations.h"
#include "shard/store/store_admin.h"
#include "tests/integration/store/sql.h"
#include "tests/support/test.h"

static PGconn *db; /* looks on, as superuser */

static int setup(void **state)
{
    (void)state;
    sql_empty_database();
    db = sql_connect(sql_superuser_url());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    PQfinish(db);
    db = NULL;
    return 0;
}

static struct store_admin *open_admin(void)
{
    AUTO_BUF problem = BUF_INIT;
    struct store_admin *admin;

    if (store_admin_open(sql_url(), false, &problem, &admin) < 0)
        fail_msg("%.*s", (int)problem.len, problem.data);
    return admin;
}

/* The result of one attempt; *problem says why it failed. */
static int migrate(struct buf *problem, unsigned *ret_applied)
{
    AUTO(store_admin_close) struct store_admin *admin = open_admin();

    return store_admin_migrate(admin, problem, ret_applied);
}

static bool says(const struct buf *problem, const char *word)
{
    return problem->len > 0 && memmem(problem->data, problem->len, word, strlen(word));
}

static void test_empty_database_gets_all_migrations_once(void **state)
{
    AUTO_BUF problem = BUF_INIT;
    unsigned applied = 0;
    char want[12];

    (void)state;
    assert_int_equal(migrate(&problem, &applied), 0);
    assert_int_equal(applied, n_migrations);
    snprintf(want, sizeof(want), "%zu", n_migrations);
    assert_string_equal(sql_value(db, "SELECT count(*) FROM schema_migrations"), want);
    assert_string_equal(sql_value(db, "SELECT name FROM schema_migrations WHERE number = 1"),
                        "001_base.sql");
    assert_string_equal(sql_value(db, "SELECT count(*) FROM timeline"), "0");
    assert_string_equal(
        sql_value(db, "SELECT tableowner FROM pg_tables WHERE tablename = 'rooms'"), "fluxy");

    sql_run(db, "INSERT INTO projects (project_id, name) VALUES ('kept', 'kept')");
    assert_int_equal(migrate(&problem, &applied), 0);
    assert_int_equal(applied, 0);
    assert_string_equal(sql_value(db, "SELECT project_id FROM projects"), "kept");
    assert_int_equal(problem.len, 0);
}

/* ---- several at once ---- */

struct starter {
    pthread_t thread;
    pthread_barrier_t *together;
    struct store_admin *admin;
    struct buf problem;
    unsigned applied;
    int r;
};

static void *start_one(void *arg)
{
    struct starter *s = arg;

    (void)pthread_barrier_wait(s->together);
    s->r = store_admin_migrate(s->admin, &s->problem, &s->applied);
    return NULL;
}

static void test_starting_together_applies_each_once(void **state)
{
    struct starter starters[6] = {0};
    pthread_barrier_t together;
    unsigned applied = 0;

    (void)state;
    assert_int_equal(pthread_barrier_init(&together, NULL, ARRAY_LEN(starters)), 0);
    for (size_t i = 0; i < ARRAY_LEN(starters); i++) {
        starters[i].together = &together;
        starters[i].admin = open_admin();
    }
    for (size_t i = 0; i < ARRAY_LEN(starters); i++)
        assert_int_equal(pthread_create(&starters[i].thread, NULL, start_one, &starters[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(starters); i++) {
        struct starter *s = &starters[i];

        assert_int_equal(pthread_join(s->thread, NULL), 0);
        if (s->r < 0)
            print_error("%.*s\n", (int)s->problem.len, s->problem.data);
        assert_int_equal(s->r, 0);
        applied += s->applied;
        store_admin_close(s->admin);
        buf_deinit(&s->problem);
    }
    (void)pthread_barrier_destroy(&together);
    assert_int_equal(applied, n_migrations);
}

/* ---- what goes wrong ---- */

static void test_failed_migration_leaves_nothing(void **state)
{
    AUTO_BUF problem = BUF_INIT;
    unsigned applied = 99;

    (void)state;
    sql_run(db, "CREATE TABLE timeline (mine text)"); /* in the way, late in the first one */
    assert_true(migrate(&problem, &applied) < 0);
    assert_true(says(&problem, "001_base.sql"));
    assert_true(says(&problem, "timeline"));
    assert_int_equal(applied, 99);
    assert_string_equal(
        sql_value(db, "SELECT string_agg(tablename, ' ') FROM pg_tables "
                      "WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"),
        "timeline");

    sql_run(db, "DROP TABLE timeline");
    buf_clear(&problem);
    assert_int_equal(migrate(&problem, &applied), 0);
    assert_int_equal(applied, n_migrations);
}

/* The same connection goes on after a failure: the transaction has ended. */
static void test_connection_survives_a_failed_migration(void **state)
{
    AUTO(store_admin_close) struct store_admin *admin = open_admin();
    AUTO_BUF problem = BUF_INIT;
    unsigned applied;

    (void)state;
    sql_run(db, "CREATE TABLE timeline (mine text)");
    assert_true(store_admin_migrate(admin, &problem, &applied) < 0);
    sql_run(db, "DROP TABLE timeline");
    assert_int_equal(store_admin_migrate(admin, &problem, &applied), 0);
}

static void add_later_migrations(unsigned n)
{
    char sql[200];

    snprintf(sql, sizeof(sql),
             "INSERT INTO schema_migrations (number, name, sha256) SELECT %zu + i, 'later', '' "
             "FROM generate_series(1, %u) i",
             n_migrations, n);
    sql_run(db, sql);
}

static void test_one_version_ahead_is_fine_two_are_not(void **state)
{
    AUTO_BUF problem = BUF_INIT;
    unsigned applied;

    (void)state;
    assert_int_equal(migrate(&problem, &applied), 0);
    add_later_migrations(1);
    assert_int_equal(migrate(&problem, &applied), 0);
    assert_int_equal(applied, 0);
    sql_run(db, "DELETE FROM schema_migrations WHERE name = 'later'");
    add_later_migrations(2);
    assert_int_equal(migrate(&problem, &applied), -ENOTSUP);
    assert_true(says(&problem, "newer"));
}

static void test_changed_or_missing_migration_is_noticed(void **state)
{
    static const char *const changes[] = {
        "UPDATE schema_migrations SET sha256 = md5(sha256) WHERE number = 1",
        "UPDATE schema_migrations SET number = 77 WHERE number = 1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        AUTO_BUF problem = BUF_INIT;
        unsigned applied = 99;

        sql_empty_database();
        assert_int_equal(migrate(&problem, &applied), 0);
        applied = 99;
        sql_run(db, changes[i]);
        CHECK_EQ(migrate(&problem, &applied), -EBADMSG, changes[i]);
        CHECK(says(&problem, "001_base.sql"), changes[i]);
        CHECK_EQ(applied, 99, changes[i]);
    }
}

/* ---- connecting ---- */

/* A standby in a list of hosts is passed over, one that stands alone is no use. */
static void test_server_that_takes_no_writes_is_refused(void **state)
{
    AUTO_BUF problem = BUF_INIT;
    struct store_admin *admin = NULL;

    (void)state;
    sql_run(db, "ALTER ROLE fluxy SET default_transaction_read_only = on");
    assert_int_equal(store_admin_open(sql_url(), false, &problem, &admin), -ECONNREFUSED);
    assert_null(admin);
    assert_true(says(&problem, "read-only"));
    sql_run(db, "ALTER ROLE fluxy RESET default_transaction_read_only");
}

static void test_incarnations_rise(void **state)
{
    AUTO_BUF problem = BUF_INIT;
    unsigned applied;
    uint64_t last = 0;

    (void)state;
    assert_int_equal(migrate(&problem, &applied), 0);
    for (int i = 0; i < 3; i++) {
        AUTO(store_admin_close) struct store_admin *admin = open_admin();
        uint64_t now = 0;

        assert_int_equal(store_admin_incarnation(admin, &problem, &now), 0);
        assert_true(now > last);
        last = now;
    }
}

static void test_incarnation_without_schema_fails(void **state)
{
    AUTO(store_admin_close) struct store_admin *admin = open_admin();
    AUTO_BUF problem = BUF_INIT;
    uint64_t incarnation = 7;

    (void)state;
    assert_true(store_admin_incarnation(admin, &problem, &incarnation) < 0);
    assert_true(says(&problem, "server_epoch"));
    assert_int_equal(incarnation, 7);
}

static void test_no_connection_says_why(void **state)
{
    static const struct {
        const char *name, *url, *word;
        int want;
    } cases[] = {
        {"no server", "postgresql://fluxy:hunter2@/fluxy?host=/nowhere", "/nowhere",
         -ECONNREFUSED},
        {"not a URL", "postgresql://fluxy:hunter2@[::1/fluxy", "FLUXY_DATABASE_URL", -EINVAL},
        {"no option of libpq", "postgresql://u:hunter2@/fluxy?colour=red", "FLUXY_DATABASE_URL",
         -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF problem = BUF_INIT;
        struct store_admin *admin = NULL;

        CHECK_EQ(store_admin_open(cases[i].url, false, &problem, &admin), cases[i].want,
                 cases[i].name);
        CHECK(!admin, cases[i].name);
        CHECK(says(&problem, cases[i].word), cases[i].name);
        CHECK(!says(&problem, "\n"), cases[i].name); /* one log line */
        CHECK(!says(&problem, "hunter2"), cases[i].name);
    }
}

static void refuses_unsafe_server(const char *word)
{
    AUTO_BUF problem = BUF_INIT;
    struct store_admin *admin = NULL;

    assert_int_equal(store_admin_open(sql_url(), false, &problem, &admin), -EPERM);
    assert_null(admin);
    assert_true(says(&problem, word));
    assert_int_equal(store_admin_open(sql_url(), true, &problem, &admin), 0);
    assert_true(store_admin_is_unsafe(admin));
    store_admin_close(admin);
}

static void test_server_that_loses_commits_is_refused(void **state)
{
    AUTO(store_admin_close) struct store_admin *safe = open_admin();

    (void)state;
    assert_false(store_admin_is_unsafe(safe));

    sql_run(db, "ALTER ROLE fluxy SET synchronous_commit = off");
    refuses_unsafe_server("synchronous_commit");
    sql_run(db, "ALTER ROLE fluxy RESET synchronous_commit");

    sql_run(db, "ALTER SYSTEM SET fsync = off");
    sql_run(db, "SELECT pg_reload_conf()");
    sql_await(db, "SHOW fsync", "off"); /* in this session, hence in the server before it */
    refuses_unsafe_server("fsync");
    sql_run(db, "ALTER SYSTEM RESET fsync");
    sql_run(db, "SELECT pg_reload_conf()");
    sql_await(db, "SHOW fsync", "on");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty_database_gets_all_migrations_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_starting_together_applies_each_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_failed_migration_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection_survives_a_failed_migration, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_version_ahead_is_fine_two_are_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_changed_or_missing_migration_is_noticed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_server_that_takes_no_writes_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_incarnations_rise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_incarnation_without_schema_fails, setup, teardown),
        cmocka_unit_test(test_no_connection_says_why),
        cmocka_unit_test_setup_teardown(test_server_that_loses_commits_is_refused, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
