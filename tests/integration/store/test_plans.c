/* test_plans.c - every statement runs by indexes only, whatever the sizes of the tables. */
#include <stdlib.h>

#include "pg_fixture.h"
#include "shard/store/pg_batch.h"

static int setup(void **state)
{
    struct pgx *x = calloc(1, sizeof(*x));

    *state = x;
    pgx_init(x, 1);
    return 0;
}

static int teardown(void **state)
{
    pgx_deinit(*state);
    free(*state);
    return 0;
}

/* A look-up of one row that takes another index walks through all that a room or a project has.
 */
static void check_index(const char *name, enum sql_id id, const char *line)
{
    static const struct {
        const char *table, *index;
        enum sql_id first, last;
    } rules[] = {
        {" on rooms", "rooms_pkey", SQL_COMMIT, SQL_RESTRICTIONS},
        {" on rooms", "rooms_pkey", SQL_TAIL, SQL_FENCES},
        {" on timeline x", "timeline_pkey", SQL_COMMIT, SQL_COMMIT_OPS},
        {" on timeline t", "timeline_by_id", SQL_FIND, SQL_FIND},
        {" on timeline t", "timeline_expiring", SQL_DUE, SQL_DUE},
        {" on timeline x", "timeline_dedupe", SQL_DEDUPE, SQL_DEDUPE},
        {" on timeline z", "timeline_pkey", SQL_DEDUPE, SQL_DEDUPE},
        {" on room_ops", "room_ops_pkey", SQL_DEDUPE, SQL_DEDUPE},
    };

    if (!strstr(line, "Index") || strstr(line, "rooms_remains")) /* that one is tiny */
        return;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (id >= rules[i].first && id <= rules[i].last && strstr(line, rules[i].table) &&
            !strstr(line, rules[i].index))
            fail_msg("%s, %s: %s", name, sql_statements[id].name, line);
    }
}

/* The settings of the sessions leave one way to run each statement, with small and with large
 * tables. */
static void check_plans(struct pgx *x, PGconn *conn, const char *name)
{
    static const int n_params[SQL_COUNT] = {
        [SQL_COMMIT] = BATCH_PLAIN_PARAMS,
        [SQL_COMMIT_CHANGES] = BATCH_CHANGES_PARAMS,
        [SQL_COMMIT_OPS] = BATCH_PARAMS,
        [SQL_CLAIM] = 3,
        [SQL_CREATE_ROOM] = 10,
        [SQL_DELETE_ROOM] = 3,
        [SQL_ROOM] = 2,
        [SQL_MEMBERS] = 3,
        [SQL_RESTRICTIONS] = 3,
        [SQL_TAIL] = 3,
        [SQL_STREAMING] = 3,
        [SQL_CHANGED_AFTER] = 6,
        [SQL_BEFORE_SEQ] = 6,
        [SQL_AFTER_SEQ] = 6,
        [SQL_BEFORE_TIME] = 6,
        [SQL_DEDUPE] = 3,
        [SQL_FIND] = 3,
        [SQL_DUE] = 2,
        [SQL_FENCES] = 2,
        [SQL_PROJECT] = 1,
        [SQL_SECRETS] = 1,
        [SQL_API_KEY] = 1,
        [SQL_SWEEP_ROOM] = 3,
        [SQL_SWEEP_KEYS] = 2,
    };

    (void)x;
    for (int id = 0; id < SQL_QUERY_FIRST; id++) { /* queries are the planner's */
        AUTO_BUF text = BUF_INIT;
        PGresult *plan;

        buf_printf(&text, "EXPLAIN (COSTS OFF) EXECUTE %s", sql_statements[id].name);
        for (int i = 0; i < n_params[id]; i++)
            buf_put_str(&text, i == 0 ? "(NULL" : ", NULL");
        buf_put_str(&text, n_params[id] > 0 ? ")" : "");
        buf_put_char(&text, '\0');
        plan = PQexec(conn, text.data);
        if (PQresultStatus(plan) != PGRES_TUPLES_OK)
            fail_msg("%s: %s", text.data, PQerrorMessage(conn));
        for (int i = 0; i < PQntuples(plan); i++) {
            const char *line = PQgetvalue(plan, i, 0);

            if (strstr(line, "Seq Scan") || strstr(line, "Hash Join") ||
                strstr(line, "Merge Join") ||
                (id <= SQL_COMMIT_OPS && strstr(line, "Materialize")) ||
                (id == SQL_SWEEP_ROOM && strstr(line, "Join Filter")))
                fail_msg("%s, %s: %s", name, sql_statements[id].name, line);
            check_index(name, (enum sql_id)id, line);
        }
        PQclear(plan);
    }
}

static void every_statement_has_only_index_plans(void **state)
{
    struct pgx *x = *state;
    const char *const lane[] = {"lane"};
    PGconn *conn = PQconnectdb(x->url);

    PQclear(PQexecParams(conn, sql_session, 1, NULL, lane, NULL, NULL, 0));
    for (int id = 0; id < SQL_COUNT; id++) {
        PGresult *result =
            PQprepare(conn, sql_statements[id].name, sql_statements[id].text, 0, NULL);

        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fail_msg("%s: %s", sql_statements[id].name, PQerrorMessage(conn));
        PQclear(result);
    }
    check_plans(x, conn, "empty tables");
    (void)pgx_sql(x, "INSERT INTO rooms (project_id, room_id, last_created_at, fence, "
                     "created_at, type, name, created_by)"
                     " SELECT 'p', 'z' || i, now(), 1, now(), 'group', 'n', 'u' FROM "
                     "generate_series(1, 5000) i");
    (void)pgx_sql(x, "INSERT INTO members (project_id, room_id, user_id, role, joined_at)"
                     " SELECT 'p', 'z' || i, 'u' || k, 1, now() FROM generate_series(1, 5000) "
                     "i, generate_series(1, 4) k");
    (void)pgx_sql(x, "INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, "
                     "created_at, dedupe, kind, version,"
                     " user_id, content) SELECT 'p', 'z' || (i %% 50), i, i, i, now(), "
                     "gen_random_uuid(), 1, 1, 'u', 'c'"
                     " FROM generate_series(1, 30000) i");
    (void)pgx_sql(x, "ANALYZE");
    check_plans(x, conn, "large tables");
    PQfinish(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_statement_has_only_index_plans, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
