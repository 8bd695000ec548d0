/*
 * pgcap.c - what this PostgreSQL can do for a chat server: rows per second by single-row
 * commits on one connection, and by batches of 100 and of 1,000 rows in one statement. The
 * yardstick for durable messages per second.
 *
 *     pgcap CONNINFO [SECONDS [ROWS ...]]      default: 3 seconds each of 1, 100 and 1000
 *
 * Prints one JSON object; commit times in microseconds.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/histo.h"
#include "tests/bench/pg_table.h"
#include "tests/bench/tool.h"

#define ROOMS 200
#define CONTENT_BYTES 128

struct writer {
    PGconn *pg;
    uint64_t run;
    uint64_t rows;
    char project[32];
    struct text column[4];
};

static void run_prepared(struct writer *w, const char *name)
{
    const char *values[] = {w->project, w->column[0].p, w->column[1].p, w->column[2].p,
                            w->column[3].p};
    PGresult *r = PQexecPrepared(w->pg, name, 5, values, NULL, NULL, 0);

    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        die("%s: %s", name, PQerrorMessage(w->pg));
    PQclear(r);
}

/* One transaction of @rows rows: plain values for one, array literals for more. */
static void write_rows(struct writer *w, uint32_t rows)
{
    static const char content[CONTENT_BYTES + 1] = {[0 ... CONTENT_BYTES - 1] = 'x'};
    const char *open = rows > 1 ? "{" : "", *close = rows > 1 ? "}" : "";

    for (size_t i = 0; i < 4; i++) {
        text_clear(&w->column[i]);
        text_addf(&w->column[i], "%s", open);
    }
    for (uint32_t i = 0; i < rows; i++) {
        const char *comma = i ? "," : "";
        uint64_t n = ++w->rows;

        text_addf(&w->column[0], "%sroom-%llu", comma, (unsigned long long)(n % ROOMS));
        text_addf(&w->column[1], "%s%llu", comma, (unsigned long long)n);
        text_addf(&w->column[2], "%s", comma);
        pg_table_id(&w->column[2], w->run, n);
        text_addf(&w->column[3], "%s%s", comma, content);
    }
    for (size_t i = 0; i < 4; i++)
        text_addf(&w->column[i], "%s", close);
    run_prepared(w, rows > 1 ? "many" : "one");
}

static void measure(struct writer *w, uint32_t rows, double seconds, const char *comma)
{
    static struct histo commit;
    uint64_t start, first = w->rows, now, last;

    memset(&commit, 0, sizeof(commit));
    start = last = now_ns();
    do {
        write_rows(w, rows);
        now = now_ns();
        histo_add(&commit, now - last);
        last = now;
    } while (now - start < (uint64_t)(seconds * 1e9));
    printf("%s{\"rows\":%u,\"rowsPerSecond\":%.1f,\"p50\":%.1f,\"p99\":%.1f}", comma, rows,
           (double)(w->rows - first) * 1e9 / (double)(now - start),
           (double)histo_quantile(&commit, 0.5) / 1e3,
           (double)histo_quantile(&commit, 0.99) / 1e3);
}

static void prepare(struct writer *w, const char *name, const char *sql)
{
    PGresult *r = PQprepare(w->pg, name, sql, 5, NULL);

    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        die("%s: %s", name, PQerrorMessage(w->pg));
    PQclear(r);
}

int main(int argc, char **argv)
{
    char *default_rows[] = {(char[]){"1"}, (char[]){"100"}, (char[]){"1000"}};
    char **rows = argc > 3 ? argv + 3 : default_rows;
    int n = argc > 3 ? argc - 3 : 3;
    struct writer w = {.run = now_ns()};
    double seconds = argc > 2 ? tool_number("SECONDS", argv[2], 0.1, 3600) : 3;

    if (argc < 2)
        die("usage: pgcap CONNINFO [SECONDS [ROWS ...]]");
    w.pg = PQconnectdb(argv[1]);
    if (PQstatus(w.pg) != CONNECTION_OK)
        die("connect: %s", PQerrorMessage(w.pg));
    snprintf(w.project, sizeof(w.project), "cap%llx", (unsigned long long)w.run);
    pg_table_make(w.pg);
    prepare(&w, "one", PG_TABLE_INSERT_ONE);
    prepare(&w, "many", PG_TABLE_INSERT_MANY);
    printf("{\"commits\":[");
    for (int i = 0; i < n; i++)
        measure(&w, (uint32_t)tool_number("ROWS", rows[i], 1, 1e5), seconds, i ? "," : "");
    printf("]}\n");
    PQfinish(w.pg);
    return 0;
}
