/*
 * sql.h - a test's own look into the database that tests/support/with-postgres
 * has started: blocking, and every failure fails the test. Each test begins
 * with an empty database (sql_empty_database()).
 */
#pragma once

#include <libpq-fe.h>

#include "common/base/macros.h"

/* The database as its owner (what the program under test connects to), and as superuser. */
const char *sql_url(void);
const char *sql_superuser_url(void);

PGconn *sql_connect(const char *url);
/* Statements without results that matter. */
void sql_run(PGconn *conn, const char *sql);
/* The first column of the first row as text; "" for NULL and for no row. Valid until the next
 * call. */
const char *sql_value(PGconn *conn, const char *sql);
/* Waits until the value is `want`; fails the test after 10 s. */
void sql_await(PGconn *conn, const char *sql, const char *want);

/* Takes away everything that earlier tests have left. */
void sql_empty_database(void);
