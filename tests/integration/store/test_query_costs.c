/*
 * test_query_costs.c - no list, count or inbox walks through the history of a room. In a room
 * of 50,000 messages, and for a user of 500 rooms, each query looks at no more rows of the
 * timeline than its answer and the exceptions (deleted messages, whispers) behind the pointer
 * account for.
 */
#include <stdlib.h>

#include "pg_fixture.h"
#include "shard/store/sql.h"

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

#define MESSAGES "50000"
/* Deleted messages and whispers of the large room: one of a hundred each. */
#define EXCEPTIONS 1000

/* bob has read the large room but for ten messages; cid has read nothing. */
static void fill(struct pgx *x)
{
    (void)pgx_sql(x, "INSERT INTO rooms (project_id, room_id, last_seq, last_id,"
                     " last_created_at, fence, created_at, type, name, created_by,"
                     " message_count) SELECT 'p', CASE i WHEN 0 THEN 'big' ELSE 'r' || i END,"
                     " CASE i WHEN 0 THEN " MESSAGES " ELSE 20 END, 1, now(), 1,"
                     " now() - make_interval(secs => i), 'group', 'n', 'ann',"
                     " CASE i WHEN 0 THEN " MESSAGES " ELSE 20 END"
                     " FROM generate_series(0, 500) i");
    (void)pgx_sql(x, "INSERT INTO members (project_id, room_id, user_id, role, joined_at)"
                     " SELECT 'p', room_id, u, 2, now() - interval '1 year' FROM rooms,"
                     " unnest(ARRAY['ann', 'bob', 'cid']) u");
    (void)pgx_sql(x, "INSERT INTO timeline (project_id, room_id, seq, updated_seq, id,"
                     " created_at, dedupe, kind, version, user_id, content, message_no,"
                     " deleted_at, visible_to)"
                     " SELECT 'p', 'big', i, i, 1000000 + i, now(), md5(i::text)::uuid, 1, 1,"
                     " 'ann', 'c', i, CASE WHEN i %% 100 = 0 THEN now() END,"
                     " CASE WHEN i %% 100 = 50 THEN ARRAY['ann'] END"
                     " FROM generate_series(1, " MESSAGES ") i");
    (void)pgx_sql(x, "INSERT INTO timeline (project_id, room_id, seq, updated_seq, id,"
                     " created_at, dedupe, kind, version, user_id, content, message_no)"
                     " SELECT 'p', 'r' || r, i, i, 2000000 + r * 100 + i, now(),"
                     " md5(r || ':' || i)::uuid, 1, 1, 'ann', 'c', i"
                     " FROM generate_series(1, 500) r, generate_series(1, 20) i");
    (void)pgx_sql(x, "INSERT INTO read_state (project_id, user_id, room_id, seq, message_no,"
                     " message_id, at) SELECT 'p', 'bob', room_id, last_seq - 10,"
                     " last_seq - 10, 0, now() FROM rooms");
    (void)pgx_sql(x, "INSERT INTO mentions (project_id, user_id, room_id, seq, created_at)"
                     " SELECT 'p', u, 'big', i * 100 + 1, now() FROM generate_series(1, 400) i,"
                     " unnest(ARRAY['bob', '@channel']) u");
    (void)pgx_sql(x, "INSERT INTO deliveries (project_id, message_id, user_id, status)"
                     " SELECT 'p', 1000000 + i, 'bob', 'delivered'"
                     " FROM generate_series(1, 20000) i");
    (void)pgx_sql(x, "ANALYZE");
}

/* The number after the key in a line of a plan; 0: there is none. */
static double number(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    return at ? strtod(at + strlen(key), NULL) : 0;
}

/* How many rows of the timeline the statement has looked at. */
static double rows_seen(PGconn *conn, const char *name, const char *args)
{
    char text[500];
    PGresult *plan;
    bool is_timeline = false;
    double seen = 0, loops = 0;

    (void)snprintf(text, sizeof(text),
                   "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE query_%s(%s)",
                   name, args);
    PQclear(PQexec(conn, "BEGIN"));
    plan = PQexec(conn, text);
    if (PQresultStatus(plan) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    for (int i = 0; i < PQntuples(plan); i++) {
        const char *line = PQgetvalue(plan, i, 0);

        if (strstr(line, "Seq Scan on timeline"))
            fail_msg("%s: %s", name, line);
        if (strstr(line, "loops=") || strstr(line, "never executed")) { /* another node */
            is_timeline = strstr(line, " timeline ") && !strstr(line, "Bitmap Index Scan");
            loops = number(line, "loops=");
            seen += is_timeline ? number(line, "rows=") * loops : 0;
        } else if (is_timeline && strstr(line, "Rows Removed by")) {
            seen += number(line, ": ") * loops;
        }
    }
    PQclear(plan);
    PQclear(PQexec(conn, "ROLLBACK"));
    return seen;
}

static void no_query_walks_through_history(void **state)
{
    /* With the plans of the session: the parameters' own, and the one for any. */
    static const char *const modes[] = {"SET plan_cache_mode = force_custom_plan",
                                        "SET plan_cache_mode = force_generic_plan"};
    static const struct {
        const char *name, *args;
        double most;
    } rows[] = {
        {"unread", "'p', 'big', 'bob', NULL", 30},
        {"unread", "'p', 'big', 'bob', 1049995", 30},
        {"unread", "'p', 'big', 'cid', NULL", EXCEPTIONS + 30},
        {"unread_of", "'p', 'big', '[\"bob\", \"ann\"]'", EXCEPTIONS + 30},
        {"rooms_of", "'p', 'bob', NULL, NULL, NULL, NULL, 1001", 100},
        {"rooms_of", "'p', 'cid', NULL, NULL, NULL, NULL, 1001", EXCEPTIONS + 100},
        {"rooms_of", "'p', 'bob', 'group', NULL, now(), 'x', 51", 100},
        {"rooms_all", "'p', 'bob', NULL, NULL, NULL, NULL, 1001", 100},
        {"read_put", "'p', 'big', '[{\"u\":\"bob\",\"i\":1049999},{\"u\":\"cid\",\"i\":5}]'",
         10},
        /* 50 mentions of two names, twice; the ends of 501 rooms with unread messages. */
        {"inbox", "'p', 'bob', NULL, true, true, true, 50", 3000},
        {"inbox", "'p', 'bob', 'big', true, true, true, 50", 1000},
        {"notifications", "'p', 'bob', NULL, NULL, NULL, 51, false", 1000},
        {"notifications_unread", "'p', 'bob', NULL", 100},
        {"delivered", "'p', 1000007, 'cid'", 10},
        {"deliveries", "'p', 1000007, '', 1000", 0},
        {"follow_up_add", "'p', 'bob', 1000007, NULL, NULL, NULL, 1000", 10},
        {"notification_read", "'p', 'bob', 1000101, NULL", 10},
    };
    const char *const query[] = {"query"};
    struct pgx *x = *state;
    PGconn *conn = PQconnectdb(x->url);

    fill(x);
    PQclear(PQexecParams(conn, sql_session, 1, NULL, query, NULL, NULL, 0));
    for (int id = SQL_QUERY_FIRST; id <= SQL_QUERY_LAST; id++) {
        PGresult *result =
            PQprepare(conn, sql_statements[id].name, sql_statements[id].text, 0, NULL);

        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fail_msg("%s: %s", sql_statements[id].name, PQerrorMessage(conn));
        PQclear(result);
    }
    for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
        PQclear(PQexec(conn, modes[m]));
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            double seen = rows_seen(conn, rows[i].name, rows[i].args);

            if (seen > rows[i].most)
                fail_msg("%s(%s), %s: looks at %.0f rows of the timeline, not %.0f",
                         rows[i].name, rows[i].args, modes[m], seen, rows[i].most);
        }
    }
    PQfinish(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_query_walks_through_history, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
