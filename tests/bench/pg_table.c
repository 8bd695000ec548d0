/* pg_table.c - making the table, and ids for it. */
#include "tests/bench/pg_table.h"

#include "tests/bench/tool.h"

static const char make_sql[] =
    "SET client_min_messages = warning;"
    "CREATE SCHEMA IF NOT EXISTS bench;"
    "CREATE TABLE IF NOT EXISTS bench.message ("
    " project_id text NOT NULL, room_id text NOT NULL, seq bigint NOT NULL, id uuid NOT NULL,"
    " user_id text NOT NULL, content text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now(),"
    " PRIMARY KEY (project_id, room_id, seq));"
    "CREATE UNIQUE INDEX IF NOT EXISTS message_id ON bench.message (id);";

void pg_table_make(PGconn *pg)
{
    PGresult *r = PQexec(pg, make_sql);

    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        die("table: %s", PQerrorMessage(pg));
    PQclear(r);
}

void pg_table_id(struct text *t, uint64_t run, uint64_t n)
{
    text_addf(
        t, "%08llx-%04llx-7000-8000-%012llx", (unsigned long long)(run >> 24 & 0xffffffff),
        (unsigned long long)(run >> 8 & 0xffff), (unsigned long long)(n & 0xffffffffffff));
}
