/*
 * store_admin.c - see store_admin.h: a blocking connection with deadlines, and
 * what it is used for but migrations (migrate.c) and secrets (admin_keys.c).
 */
#include "shard/store/store_admin.h"
#include "shard/limits.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "shard/store/admin_priv.h"

#define SERVER_MIN 130000 /* the oldest PostgreSQL that the statements are written for */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void admin_problem(struct buf *problem, const char *what, const char *why)
{
    size_t len = strlen(why);

    while (len > 0 && strchr(" \n", why[len - 1]))
        len--;
    buf_printf(problem, "%s: ", what);
    for (size_t i = 0; i < len; i++)
        buf_put_char(problem, strchr("\t\r\n", why[i]) ? ' ' : why[i]);
}

/* Waits for input. False: deadline. */
static bool wait_input(PGconn *conn, int64_t deadline_ms)
{
    struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
    int64_t left = deadline_ms - now_ms();

    return left > 0 && (poll(&fd, 1, (int)left) > 0 || errno == EINTR);
}

/* The first result that matters, after all of them have come; NULL: deadline or connection
 * lost. */
static PGresult *collect(PGconn *conn, int64_t deadline_ms)
{
    PGresult *kept = NULL, *next;

    for (;;) {
        while (PQisBusy(conn)) {
            if (!wait_input(conn, deadline_ms) || !PQconsumeInput(conn)) {
                PQclear(kept);
                return NULL;
            }
        }
        next = PQgetResult(conn);
        if (!next)
            return kept;
        if (!kept || PQresultStatus(kept) == PGRES_COMMAND_OK) {
            PQclear(kept);
            kept = next;
        } else {
            PQclear(next);
        }
    }
}

/* The server has gone, or is going or coming (class 57P): not a refusal of what was asked. */
static bool is_lost(const PGconn *conn, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return PQstatus(conn) != CONNECTION_OK || (state && strncmp(state, "57P", 3) == 0);
}

int admin_query(struct store_admin *admin, const char *what, const char *sql, int n_params,
                const char *const *values, const int *lengths, const int *formats,
                struct buf *problem, PGresult **ret_result)
{
    AUTO(PQclear) PGresult *result = NULL;
    bool sent = n_params == 0 ? PQsendQuery(admin->conn, sql)
                              : PQsendQueryParams(admin->conn, sql, n_params, NULL, values,
                                                  lengths, formats, 0);

    if (sent)
        result = collect(admin->conn, now_ms() + ADMIN_QUERY_TIMEOUT_MS);
    if (!result) {
        admin_problem(problem, what,
                      PQstatus(admin->conn) == CONNECTION_OK ? "no answer in time"
                                                             : PQerrorMessage(admin->conn));
        return -ETIMEDOUT;
    }
    if (PQresultStatus(result) != PGRES_COMMAND_OK &&
        PQresultStatus(result) != PGRES_TUPLES_OK) {
        admin_problem(problem, what, PQresultErrorMessage(result));
        return is_lost(admin->conn, result) ? -ENOTCONN : -EIO;
    }
    if (ret_result)
        *ret_result = TAKE(result);
    return 0;
}

int admin_run(struct store_admin *admin, const char *what, const char *sql, struct buf *problem)
{
    return admin_query(admin, what, sql, 0, NULL, NULL, NULL, problem, NULL);
}

int admin_end(struct store_admin *admin, int r, struct buf *problem)
{
    AUTO_BUF ignored = BUF_INIT;

    if (r >= 0)
        return admin_run(admin, "COMMIT", "COMMIT", problem);
    (void)!admin_run(admin, "ROLLBACK", "ROLLBACK", &ignored); /* or the connection is gone */
    return r;
}

/* ---- open ---- */

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* libpq tries one host after the other, each for connect_timeout seconds, and goes on from a
 * standby to the next; what the URL says of it counts more. */
static int connect_server(struct store_admin *admin, const char *url, struct buf *problem)
{
    static const char *const keys[] = {"connect_timeout",  "target_session_attrs", "dbname",
                                       "application_name", "client_encoding",      NULL};
    const char *const values[] = {ADMIN_CONNECT_TIMEOUT_S, "read-write", url,
                                  "fluxy-shard admin",     "UTF8",       NULL};
    PQconninfoOption *parsed = PQconninfoParse(url, NULL);

    if (!parsed) { /* what libpq says to this may quote the URL with its password */
        admin_problem(problem, "PostgreSQL",
                      "FLUXY_DATABASE_URL is not a URL that libpq knows");
        return -EINVAL;
    }
    PQconninfoFree(parsed);
    admin->conn = PQconnectdbParams(keys, values, 1);
    if (!admin->conn)
        return -ENOMEM;
    if (PQstatus(admin->conn) != CONNECTION_OK) {
        admin_problem(problem, "PostgreSQL", PQerrorMessage(admin->conn));
        return -ECONNREFUSED;
    }
    (void)PQsetNoticeProcessor(admin->conn, ignore_notice, NULL);
    return admin_run(admin, "PostgreSQL settings",
                     "SET statement_timeout = '60s'; SET lock_timeout = '60s'", problem);
}

/* Whether what it calls committed survives a crash. */
static int check_server(struct store_admin *admin, bool allow_unsafe, struct buf *problem)
{
    AUTO(PQclear) PGresult *result = NULL;
    bool fsync, commit;
    int r =
        admin_query(admin, "PostgreSQL settings",
                    "SELECT current_setting('fsync'), current_setting('synchronous_commit'), "
                    "current_setting('server_version_num'), pg_is_in_recovery()",
                    0, NULL, NULL, NULL, problem, &result);

    if (r < 0)
        return r;
    if (atoi(PQgetvalue(result, 0, 2)) < SERVER_MIN) {
        admin_problem(problem, "PostgreSQL", "version 13 or newer is needed");
        return -ENOTSUP;
    }
    if (*PQgetvalue(result, 0, 3) == 't') {
        admin_problem(problem, "PostgreSQL", "this server is a standby and takes no writes");
        return -EROFS;
    }
    fsync = strcmp(PQgetvalue(result, 0, 0), "on") == 0;
    commit = strcmp(PQgetvalue(result, 0, 1), "off") != 0;
    admin->is_unsafe = !fsync || !commit;
    if (!admin->is_unsafe || allow_unsafe)
        return 0;
    admin_problem(problem, "PostgreSQL",
                  !fsync ? "fsync is off: acknowledged messages could be lost "
                           "(FLUXY_ALLOW_UNSAFE_POSTGRES=true starts all the same)"
                         : "synchronous_commit is off: acknowledged messages could be lost "
                           "(FLUXY_ALLOW_UNSAFE_POSTGRES=true starts all the same)");
    return -EPERM;
}

int store_admin_open(const char *url, bool allow_unsafe, struct buf *problem,
                     struct store_admin **ret_admin)
{
    struct store_admin *admin = calloc(1, sizeof(*admin));
    int r;

    if (!admin)
        return -ENOMEM;
    r = connect_server(admin, url, problem);
    if (r >= 0)
        r = check_server(admin, allow_unsafe, problem);
    if (r < 0)
        store_admin_close(admin);
    else
        *ret_admin = admin;
    return r;
}

void store_admin_close(struct store_admin *admin)
{
    if (!admin)
        return;
    PQfinish(admin->conn);
    free(admin);
}

bool store_admin_is_unsafe(const struct store_admin *admin)
{
    return admin->is_unsafe;
}

int store_admin_incarnation(struct store_admin *admin, struct buf *problem,
                            uint64_t *ret_incarnation)
{
    AUTO(PQclear) PGresult *result = NULL;
    /* A server that has not been seen before first goes on above all that was drawn. */
    int r = admin_run(admin, "server_epoch", "SELECT server_epoch()", problem);

    if (r >= 0)
        r = admin_query(admin, "incarnation", "SELECT nextval('shard_incarnation')", 0, NULL,
                        NULL, NULL, problem, &result);
    if (r < 0)
        return r;
    *ret_incarnation = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return 0;
}
