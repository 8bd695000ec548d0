/* sql.c - see sql.h. */
#include "tests/integration/store/sql.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

#define AWAIT_S 10

static const char *from_environment(const char *name)
{
    const char *url = getenv(name);

    if (!url)
        fail_msg("%s is not set: run by tests/support/with-postgres", name);
    return url;
}

const char *sql_url(void)
{
    return from_environment("FLUXY_TEST_DATABASE_URL");
}

const char *sql_superuser_url(void)
{
    return from_environment("FLUXY_TEST_SUPERUSER_URL");
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

PGconn *sql_connect(const char *url)
{
    PGconn *conn = PQconnectdb(url);

    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    (void)PQsetNoticeProcessor(conn, ignore_notice, NULL);
    return conn;
}

static PGresult *query(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);

    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    return result;
}

void sql_run(PGconn *conn, const char *sql)
{
    PQclear(query(conn, sql));
}

const char *sql_value(PGconn *conn, const char *sql)
{
    static char value[4096];
    PGresult *result = query(conn, sql);

    snprintf(value, sizeof(value), "%s",
             PQntuples(result) > 0 && PQnfields(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

void sql_await(PGconn *conn, const char *sql, const char *want)
{
    time_t deadline = time(NULL) + AWAIT_S;

    while (strcmp(sql_value(conn, sql), want) != 0) {
        if (time(NULL) > deadline)
            fail_msg("%s: is %s, want %s", sql, sql_value(conn, sql), want);
        usleep(5000);
    }
}

void sql_empty_database(void)
{
    PGconn *conn = sql_connect(sql_superuser_url());

    sql_run(conn, "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION fluxy");
    PQfinish(conn);
}
