/* test_store_pg.c - the store on a real PostgreSQL: commits, claims, locks, lost connections,
 * reads. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "pg_fixture.h"

static int setup(void **state)
{
    struct pgx *x = calloc(1, sizeof(*x));

    *state = x;
    pgx_init(x, 2);
    return 0;
}

static int teardown(void **state)
{
    pgx_deinit(*state);
    free(*state);
    return 0;
}

static void a_batch_commits_per_room(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    assert_true(pgx_create_room(x, "a", 1));
    assert_true(pgx_create_room(x, "b", 1));
    assert_true(pgx_create_room(x, "c", 1));
    assert_false(pgx_create_room(x, "c", 2)); /* exists, and keeps its fence */
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 3, "x");
    (void)pgx_batch_room(&b, "b", 1, 5, 2, "x");       /* wrong seq */
    (void)pgx_batch_room(&b, "c", 2, 0, 2, "x");       /* wrong fence */
    (void)pgx_batch_room(&b, "missing", 1, 0, 1, "x"); /* no such room */
    pgx_submit(x, &b.batch, &s);
    assert_int_equal(s.result, STORE_OK);
    assert_true(s.committed[0]);
    assert_false(s.committed[1] || s.committed[2] || s.committed[3]);
    assert_string_equal(
        pgx_sql(x,
                "SELECT string_agg(room_id || seq || content, ',' ORDER BY seq) FROM timeline"),
        "a1x1,a2x2,a3x3");
    pgx_claim(x, "a", 7, &c);
    assert_int_equal(c.result, STORE_OK);
    assert_int_equal(c.row.last_seq, 3);
    assert_int_equal(c.row.last_id, 102);
    assert_int_equal(c.row.last_created_us, 1700000000003000);
    assert_int_equal(c.row.fence, 7);
    assert_int_equal(c.row.generation, 1);
    assert_int_equal(c.n_tail, 3);
    assert_int_equal(c.tail_seqs[0], 1);
    assert_int_equal(c.n_members, 1);
    assert_string_equal(c.users[0], "ann");
    assert_int_equal(c.roles[0], ROLE_OWNER);
    pgx_claim(x, "missing", 7, &c);
    assert_int_equal(c.result, STORE_NOT_FOUND);
    pgx_batch_deinit(&b);
}

static void member_changes_go_with_their_room(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_create_room(x, "b", 1);
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 3, "x");
    pgx_batch_op(&b, "bob", ROLE_MEMBER);
    pgx_batch_op(&b, "ann", ROLE_ADMIN);
    pgx_batch_op(&b, "nobody", ROLE_NONE);
    (void)pgx_batch_room(&b, "b", 9, 0, 1, "x"); /* loses */
    pgx_batch_op(&b, "eve", ROLE_OWNER);
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0] && !s.committed[1]);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_members, 2);
    assert_int_equal(c.roles[0], ROLE_ADMIN);
    assert_string_equal(c.users[1], "bob");
    pgx_claim(x, "b", 9, &c);
    assert_int_equal(c.n_members, 1);
    pgx_batch_deinit(&b);
    pgx_batch_init(&b, 200);
    (void)pgx_batch_room(&b, "a", 1, 3, 1, "x");
    pgx_batch_op(&b, "bob", ROLE_NONE);
    (void)pgx_batch_room(&b, "b", 9, 0, 1, "x");
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0] && s.committed[1]);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_members, 1);
    pgx_batch_deinit(&b);
}

static void duplicates_and_refused_values_write_nothing(void **state)
{
    static const struct {
        const char *name;
        const char *content;
        size_t len;
        const char *key;
        enum store_result want;
        bool is_duplicate;
    } rows[] = {
        {"NUL in a text", "a\0b", 3, NULL, STORE_BAD_DATA, false},
        {"no UTF-8", "\xff\xfe", 2, NULL, STORE_BAD_DATA, false},
        {"a key of an old row", "y", 1, "x1", STORE_BAD_DATA, true},
        {"a key twice in the batch", "y", 1, "n2", STORE_BAD_DATA, true},
    };
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_create_room(x, "b", 1);
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    pgx_submit(x, &b.batch, &s);
    pgx_batch_deinit(&b);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        pgx_batch_init(&b, 200);
        (void)pgx_batch_room(&b, "a", 1, 1, 3, "n");
        pgx_batch_last(&b, slice_of(rows[i].content, rows[i].len), rows[i].key);
        pgx_submit(x, &b.batch, &s);
        CHECK_EQ(s.result, rows[i].want, rows[i].name);
        CHECK_EQ(s.is_duplicate, rows[i].is_duplicate, rows[i].name);
        pgx_batch_deinit(&b);
    }
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM timeline"), "1");
    assert_string_equal(pgx_sql(x, "SELECT last_seq FROM rooms WHERE room_id = 'a'"), "1");
    pgx_batch_init(&b, 300);
    (void)pgx_batch_room(&b, "b", 1, 0, 1, "x"); /* the same key in another room */
    pgx_submit(x, &b.batch, &s);
    assert_true(s.result == STORE_OK && s.committed[0]);
    pgx_batch_deinit(&b);
}

static void a_locked_row_is_skipped_and_the_others_commit(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_create_room(x, "b", 1);
    (void)pgx_sql(x, "BEGIN");
    (void)pgx_sql(x, "SELECT 1 FROM rooms WHERE room_id = 'a' FOR UPDATE");
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    (void)pgx_batch_room(&b, "b", 1, 0, 1, "x");
    pgx_submit(x, &b.batch, &s);
    assert_int_equal(s.result, STORE_OK);
    assert_false(s.committed[0]);
    assert_true(s.committed[1]);
    (void)pgx_sql(x, "ROLLBACK");
    pgx_batch_deinit(&b);
    pgx_batch_init(&b, 200);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
}

/* A slow commit of another session: rows locked, not committed yet. */
static void a_claim_waits_for_a_batch_in_flight(void **state)
{
    struct pgx *x = *state;
    struct pgx_claim c;

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_sql(x, "BEGIN");
    (void)pgx_sql(x, "UPDATE rooms SET last_seq = 1, last_id = 5 WHERE room_id = 'a'");
    (void)pgx_sql(x, "INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, "
                     "created_at, dedupe, kind, "
                     "version, user_id, content) VALUES ('p', 'a', 1, 1, 5, now(), "
                     "gen_random_uuid(), 1, 1, 'u', 'c')");
    pgx_claim_start(x, "a", 2, &c);
    while (
        strcmp(
            pgx_sql(x, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"),
            "0") == 0)
        assert_int_equal(loop_turn(x->loop, false), 0);
    assert_false(c.done);
    (void)pgx_sql(x, "COMMIT");
    pgx_wait(x, &c.done);
    assert_int_equal(c.result, STORE_OK);
    assert_int_equal(c.row.last_seq, 1);
    assert_int_equal(c.row.fence, 2);
    assert_int_equal(c.n_tail, 1); /* what the batch wrote is in the tail */
}

/* The row changes between the snapshot of the statement and its lock: the compare-and-set sees
 * the new row. */
static void a_row_that_moves_under_the_statement_loses(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_create_room(x, "b", 1);
    /* A trigger stops the first room's update, so that the second row is looked at much later.
     */
    (void)pgx_sql(x, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "PERFORM pg_advisory_xact_lock(1); RETURN new; END $$");
    (void)pgx_sql(
        x,
        "CREATE TRIGGER slow BEFORE UPDATE ON rooms FOR EACH ROW WHEN (new.room_id = 'a' AND "
        "new.last_seq = 1) EXECUTE FUNCTION slow()");
    (void)pgx_sql(x, "SELECT pg_advisory_lock(1)");
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    pgx_submit_start(x, 0, &b.batch, &s);
    while (strcmp(pgx_sql(
                      x, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"),
                  "0") == 0)
        assert_int_equal(loop_turn(x->loop, false), 0);
    /* It holds its row: an identical batch on the other lane skips it. */
    struct pgx_submit again;
    pgx_submit_start(x, 1, &b.batch, &again);
    pgx_wait(x, &again.done);
    assert_int_equal(again.result, STORE_OK);
    assert_false(again.committed[0]);
    (void)pgx_sql(x, "SELECT pg_advisory_unlock(1)");
    pgx_wait(x, &s.done);
    assert_true(s.committed[0]);
    pgx_submit_start(x, 1, &b.batch,
                     &again); /* and loses afterwards, without an error about keys */
    pgx_wait(x, &again.done);
    assert_int_equal(again.result, STORE_OK);
    assert_false(again.committed[0]);
    pgx_batch_deinit(&b);
}

static void a_killed_backend_leaves_the_outcome_unknown(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_sql(x, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "PERFORM pg_advisory_xact_lock(1); RETURN new; END $$");
    (void)pgx_sql(
        x,
        "CREATE TRIGGER slow BEFORE INSERT ON timeline FOR EACH ROW EXECUTE FUNCTION slow()");
    (void)pgx_sql(x, "SELECT pg_advisory_lock(1)");
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    pgx_submit_start(x, 0, &b.batch, &s);
    while (strcmp(pgx_sql(
                      x, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"),
                  "0") == 0)
        assert_int_equal(loop_turn(x->loop, false), 0);
    (void)pgx_sql(
        x,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'");
    pgx_wait(x, &s.done);
    assert_int_equal(s.result, STORE_UNKNOWN);
    (void)pgx_sql(x, "SELECT pg_advisory_unlock(1)");
    pgx_wait_up(x); /* by itself */
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.row.last_seq, 0);
    pgx_submit(x, &b.batch, &s); /* the identical batch again */
    assert_true(s.result == STORE_OK && s.committed[0]);
    pgx_batch_deinit(&b);
}

static void all_connections_come_back(void **state)
{
    struct pgx *x = *state;
    struct pgx_claim c;

    (void)pgx_create_room(x, "a", 1);
    pgx_cut(x,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'fluxy%'",
            x->connections);
    pgx_wait_up(x);
    pgx_claim(x, "a", 3, &c);
    assert_int_equal(c.result, STORE_OK);
}

static void a_stopped_server_ends_reads_in_time(void **state)
{
    struct pgx *x = *state;
    struct pgx_claim c;
    int pid;

    (void)pgx_create_room(x, "a", 1);
    pid = atoi(pgx_sql(
        x,
        "SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'fluxy-shard lock' AND "
        "query LIKE 'WITH made%%'"));
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0); /* the backend that claims */
    pgx_claim(x, "a", 2, &c);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(c.result, STORE_UNAVAILABLE);
    pgx_wait_up(x);
    pgx_claim(x, "a", 2, &c);
    assert_int_equal(c.result, STORE_OK);
}

static void closing_answers_all_that_is_out(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    (void)pgx_create_room(x, "a", 1);
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    pgx_submit_start(x, 0, &b.batch, &s);
    pgx_claim_start(x, "a", 2, &c);
    store_pg_close(x->store);
    assert_true(s.done && c.done);
    assert_int_equal(s.result, STORE_UNKNOWN);
    assert_int_equal(c.result, STORE_UNAVAILABLE);
    pgx_batch_deinit(&b);
    assert_int_equal(loop_turn(x->loop, false), 0);
    pgx_open_store(x, 2, x->url); /* for teardown */
}

static void an_unreachable_server_refuses_at_once(void **state)
{
    struct pgx *x = *state;
    struct pgx_claim c = {0};
    uint64_t deadline;

    store_pg_close(x->store);
    pgx_open_store(x, 1, "postgresql://fluxy@localhost:1,127.0.0.1:1/fluxy");
    deadline = env_now_ms(loop_env(x->loop)) + PG_WAIT_MS;
    while (store_pg_stats(x->store)->connect_failures < 12) { /* 3 connections to two hosts */
        assert_true(env_now_ms(loop_env(x->loop)) < deadline);
        assert_int_equal(loop_turn(x->loop, true), 0);
    }
    assert_int_equal(
        x->store->ops->claim(x->store, SLICE_LIT("p"), SLICE_LIT("a"), 1, 1, NULL, &c),
        -ENOTCONN);
}

static void the_next_host_of_the_url_is_tried(void **state)
{
    struct pgx *x = *state;
    char url[600];
    const char *dir = strstr(x->url, "host=") + 5;

    store_pg_close(x->store);
    snprintf(url, sizeof(url), "postgresql://fluxy@/fluxy?host=127.0.0.1,%s&port=1,5432", dir);
    pgx_open_store(x, 2, url);
    pgx_wait_up(x);
    assert_true(store_pg_stats(x->store)->connect_failures >= 5);
}

/* After a failover the old primary may answer on as a standby; a disk that runs full may make a
 * service read-only. What only reads goes on there. */
static void a_server_that_became_read_only_serves_readers(void **state)
{
    static const char cut[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                              "WHERE application_name LIKE 'fluxy-shard %'";
    struct pgx *x = *state;
    const struct store_pg_stats *stats = store_pg_stats(x->store);
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;
    uint64_t before = stats->errors[PG_ERROR_READ_ONLY];

    (void)pgx_create_room(x, "a", 1);
    (void)pgx_sql(x, "ALTER DATABASE fluxy SET default_transaction_read_only = on");
    pgx_cut(x, cut, x->connections);
    pgx_wait_errors(x, PG_ERROR_READ_ONLY, before + 3); /* two lanes, and that for claims */
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    assert_int_equal(x->store->ops->submit(x->store, 0, &b.batch, NULL, NULL), -ENOTCONN);
    assert_false(x->store->ops->is_available(x->store));
    pgx_members(x, "a", &c);
    assert_int_equal(c.result, STORE_OK);
    assert_int_equal(c.n_members, 1);
    (void)pgx_sql(x, "SET default_transaction_read_only = off; "
                     "ALTER DATABASE fluxy RESET default_transaction_read_only");
    pgx_wait_up(x); /* by itself */
    pgx_submit(x, &b.batch, &s);
    assert_true(s.result == STORE_OK && s.committed[0]);
    pgx_batch_deinit(&b);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_commits_per_room),
        TEST(member_changes_go_with_their_room),
        TEST(duplicates_and_refused_values_write_nothing),
        TEST(a_locked_row_is_skipped_and_the_others_commit),
        TEST(a_claim_waits_for_a_batch_in_flight),
        TEST(a_row_that_moves_under_the_statement_loses),
        TEST(a_killed_backend_leaves_the_outcome_unknown),
        TEST(all_connections_come_back),
        TEST(a_stopped_server_ends_reads_in_time),
        TEST(closing_answers_all_that_is_out),
        TEST(an_unreachable_server_refuses_at_once),
        TEST(the_next_host_of_the_url_is_tried),
        TEST(a_server_that_became_read_only_serves_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
