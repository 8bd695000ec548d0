/*
 * pg_connect.c - how a connection comes up: the next host of the URL, its name
 * resolved, libpq's handshake driven by the loop, then session settings, who
 * the server is and what time it has, and the statements prepared.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/net/resolve.h"
#include "shard/limits.h"
#include "shard/store/pg_conn_priv.h"

static const struct pg_host *host_of(const struct pg_conn *conn)
{
    return &conn->config.url->hosts[conn->host];
}

void pg_conn_release(struct pg_conn *conn)
{
    env_timer_cancel(conn->env, &conn->timer);
    resolve_cancel(TAKE(conn->resolve));
    if (conn->readable)
        event_free(TAKE(conn->readable));
    if (conn->writable)
        event_free(TAKE(conn->writable));
    PQfinish(TAKE(conn->pq));
    list_del(&conn->setup.link);
    later_cancel(&conn->flush);
    later_cancel(&conn->broken);
}

void pg_connect_later(struct pg_conn *conn)
{
    uint64_t pause = conn->backoff_ms;

    if (conn->attempts++ > 0 && !conn->events->may_try(conn))
        pause = PG_PARKED_MS; /* until it is told, or asks again */
    else
        conn->backoff_ms =
            MIN(MAX(pause * 2, (uint64_t)PG_RETRY_MIN_MS), (uint64_t)PG_RETRY_MAX_MS);
    /* The heap had this timer before, so it has room for it. */
    if (env_timer(conn->env, &conn->timer, pause ? env_jitter_ms(conn->env, pause) : 0) < 0)
        log_error("no memory for the timer of a PostgreSQL connection",
                  L_STR("role", conn->config.role));
}

/* ---- set-up, in steps of one request each ---- */

/* The server is told of (server_epoch() writes) only when it will do. */
enum { SETUP_SESSION, SETUP_EPOCH, SETUP_CLOCK, SETUP_PREPARE };

static int send_session(struct pg_conn *conn)
{
    const char *const values[] = {conn->config.role};

    return PQsendQueryParams(conn->pq, sql_session, 1, NULL, values, NULL, NULL, 0) &&
           PQsendQueryParams(conn->pq, sql_identity, 0, NULL, NULL, NULL, NULL, 0);
}

static int send_prepare(struct pg_conn *conn)
{
    for (int id = conn->config.first; id <= (int)conn->config.last; id++) {
        const struct sql_statement *s = &sql_statements[id];

        if (!PQsendPrepare(conn->pq, s->name, s->text, 0, NULL))
            return 0;
    }
    return 1;
}

static int setup_send(struct pg_request *req, struct pg_conn *conn)
{
    int ok = 0;

    switch (conn->setup_step) {
    case SETUP_SESSION:
        ok = send_session(conn);
        break;
    case SETUP_EPOCH:
        ok = PQsendQueryParams(conn->pq, sql_epoch, 0, NULL, NULL, NULL, NULL, 0);
        break;
    case SETUP_CLOCK:
        conn->asked_clock_us = env_steady_us(conn->env);
        ok = PQsendQueryParams(conn->pq, sql_clock, 0, NULL, NULL, NULL, NULL, 0);
        break;
    case SETUP_PREPARE:
        ok = send_prepare(conn);
        break;
    }
    req->n_statements = 1;
    return ok ? 0 : -ECONNRESET;
}

/* Whether the server will do, by the columns of sql_identity. NULL: yes. */
static const char *judge(struct pg_conn *conn, const PGresult *row)
{
    struct pg_identity identity = {.system = PQgetvalue(row, 0, 0),
                                   .timeline = PQgetvalue(row, 0, 1)};

    if (*PQgetvalue(row, 0, 2) == 't')
        return "it is a standby";
    if (*PQgetvalue(row, 0, 3) == 't' && conn->config.writes)
        return "it only reads (default_transaction_read_only)";
    return conn->events->on_identity(conn, &identity);
}

static const char *take_epoch(struct pg_conn *conn, const PGresult *row)
{
    conn->epoch = strtoull(PQgetvalue(row, 0, 0), NULL, 10);
    if (conn->epoch == 0)
        return "it only reads, and nobody has written to it since it is the primary";
    conn->events->on_epoch(conn);
    return NULL;
}

static bool setup_on_result(struct pg_request *req, unsigned n, PGresult *result)
{
    struct pg_conn *conn = container_of(req, struct pg_conn, setup);

    if (conn->setup_step == SETUP_SESSION && n == 1) {
        conn->refusal = judge(conn, result);
    } else if (conn->setup_step == SETUP_EPOCH) {
        conn->refusal = take_epoch(conn, result);
    } else if (conn->setup_step == SETUP_CLOCK) {
        int64_t theirs = strtoll(PQgetvalue(result, 0, 0), NULL, 10);

        conn->events->on_clock(conn->owner, conn->asked_clock_us, theirs,
                               env_steady_us(conn->env));
    }
    if (conn->refusal)
        memcpy(req->sqlstate, "25006", sizeof("25006"));
    return false;
}

static void setup_on_end(struct pg_request *req, enum pg_end how)
{
    struct pg_conn *conn = container_of(req, struct pg_conn, setup);

    if (conn->state != PG_SETTING_UP || how == PG_END_LOST)
        return; /* the connection is being dropped */
    if (how != PG_END_OK) {
        if (!conn->refusal)
            log_error("PostgreSQL does not take our session", L_STR("role", conn->config.role),
                      L_STR("sqlstate", req->sqlstate),
                      L_STR("advice", pg_error_advice(pg_error_of(req->sqlstate))));
        env_later(conn->env, &conn->broken);
    } else if (conn->setup_step++ < SETUP_PREPARE) {
        if (pg_conn_send_now(conn, req) < 0)
            env_later(conn->env, &conn->broken);
    } else {
        env_timer_cancel(conn->env, &conn->timer);
        conn->state = PG_READY;
        conn->attempts = 0;
        conn->backoff_ms = 0;
        log_info("PostgreSQL connection up", L_STR("role", conn->config.role));
        conn->events->on_up(conn);
        pg_conn_send_queued(conn);
    }
}

static void set_up(struct pg_conn *conn)
{
    int fd = PQsocket(conn->pq);
    struct event_base *base = loop_base(conn->config.loop);

    if (conn->readable)
        event_free(TAKE(conn->readable));
    if (conn->writable)
        event_free(TAKE(conn->writable));
    conn->readable = event_new(base, fd, EV_READ | EV_PERSIST, pg_conn_on_readable, conn);
    conn->writable = event_new(base, fd, EV_WRITE, pg_conn_on_writable, conn);
    if (!conn->readable || !conn->writable || event_add(conn->readable, NULL) < 0 ||
        PQsetnonblocking(conn->pq, 1) != 0 || !PQenterPipelineMode(conn->pq)) {
        pg_conn_drop(conn, "out of memory");
        return;
    }
    conn->state = PG_SETTING_UP;
    conn->setup_step = SETUP_SESSION;
    conn->setup = (struct pg_request){
        .due_ms = UINT64_MAX, /* the connect deadline holds */
        .send = setup_send,
        .on_result = setup_on_result,
        .on_end = setup_on_end,
    };
    list_init(&conn->setup.link);
    if (pg_conn_send_now(conn, &conn->setup) < 0)
        pg_conn_drop(conn, PQerrorMessage(conn->pq));
}

/* ---- connecting ---- */

static void poll_connect(struct pg_conn *conn);

static void on_progress(evutil_socket_t fd, short what, void *arg)
{
    struct pg_conn *conn = arg;

    (void)fd;
    (void)what;
    loop_touch(conn->config.loop);
    poll_connect(conn);
}

static void poll_connect(struct pg_conn *conn)
{
    PostgresPollingStatusType polling = PQconnectPoll(conn->pq);

    if (conn->readable)
        event_free(TAKE(conn->readable));
    if (polling == PGRES_POLLING_OK) {
        set_up(conn);
        return;
    }
    if (polling == PGRES_POLLING_FAILED) {
        pg_conn_drop(conn, PQerrorMessage(conn->pq));
        return;
    }
    /* libpq may have changed its socket: a fresh event each time. */
    conn->readable =
        event_new(loop_base(conn->config.loop), PQsocket(conn->pq),
                  polling == PGRES_POLLING_READING ? EV_READ : EV_WRITE, on_progress, conn);
    if (!conn->readable || event_add(conn->readable, NULL) < 0)
        pg_conn_drop(conn, "out of memory");
}

/* libpq would print it. */
static void on_notice(void *arg, const char *text)
{
    (void)arg;
    log_debug("PostgreSQL notice", L_STR("text", text));
}

#define OPTIONS_MAX 64

static void connect_to(struct pg_conn *conn, const char *address)
{
    static const char *const ours[][2] = {
        {"gssencmode", "disable"},    {"keepalives", "1"},       {"keepalives_idle", "5"},
        {"keepalives_interval", "2"}, {"keepalives_count", "3"}, {"tcp_user_timeout", "8000"},
        {"client_encoding", "UTF8"},
    };
    const struct pg_url *url = conn->config.url;
    const struct pg_host *host = host_of(conn);
    const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
    char name[40];
    size_t n = 0;

    assert(url->n_options + ARRAY_LEN(ours) + 5 <= OPTIONS_MAX);
    snprintf(name, sizeof(name), "fluxy-shard %s", conn->config.role);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        keys[n] = ours[i][0];
        values[n++] = ours[i][1];
    }
    keys[n] = "application_name";
    values[n++] = name;
    for (size_t i = 0; i < url->n_options; i++) { /* the later one counts */
        keys[n] = url->keys[i];
        values[n++] = url->values[i];
    }
    keys[n] = "host";
    values[n++] = host->host;
    keys[n] = "hostaddr";
    values[n++] = address ? address : host->address;
    keys[n] = "port";
    values[n++] = host->port;
    keys[n] = values[n] = NULL;
    conn->state = PG_CONNECTING;
    conn->pq = PQconnectStartParams(keys, values, 0);
    if (!conn->pq || PQstatus(conn->pq) == CONNECTION_BAD) {
        pg_conn_drop(conn, conn->pq ? PQerrorMessage(conn->pq) : "out of memory");
        return;
    }
    PQsetNoticeProcessor(conn->pq, on_notice, NULL);
    (void)PQsetErrorVerbosity(conn->pq, PQERRORS_VERBOSE); /* with the code: pg_error_find() */
    /* As after PQconnectStart(): wait as if PQconnectPoll() had said WRITING. */
    conn->readable = event_new(loop_base(conn->config.loop), PQsocket(conn->pq), EV_WRITE,
                               on_progress, conn);
    if (!conn->readable || event_add(conn->readable, NULL) < 0)
        pg_conn_drop(conn, "out of memory");
}

static void on_resolved(void *arg, int r, const struct addr *addrs, size_t n)
{
    struct pg_conn *conn = arg;
    char text[INET6_ADDRSTRLEN];

    conn->resolve = NULL;
    if (r < 0) {
        pg_conn_drop(conn, "the name of the host does not resolve");
        return;
    }
    addr_format_host(&addrs[conn->attempts % n], text);
    connect_to(conn, text);
}

/* The host says where to connect without a look-up. */
static const char *literal_address(const struct pg_host *host)
{
    bool is_socket = !host->host || host->host[0] == '/' || host->host[0] == '@';

    return host->address || is_socket ? NULL : host->host;
}

static void start(struct pg_conn *conn)
{
    const struct pg_host *host;
    int r = env_timer(conn->env, &conn->timer, CONNECT_TIMEOUT_MS);

    conn->host = conn->events->next_host(conn, conn->attempts) % conn->config.url->n_hosts;
    host = host_of(conn);
    conn->state = PG_RESOLVING;
    if (r >= 0 && pg_host_needs_resolving(host))
        r = resolve_start(conn->config.loop, host->host, 0, on_resolved, conn, &conn->resolve);
    else if (r >= 0)
        connect_to(conn, literal_address(host));
    if (r < 0)
        pg_conn_drop(conn, "out of memory");
}

/* The pause is over, or an attempt took too long. */
static void on_timer(struct timer *timer, void *arg)
{
    struct pg_conn *conn = arg;

    (void)timer;
    if (conn->state != PG_DOWN)
        pg_conn_drop(conn, "no connection in time");
    else if (conn->attempts <= 1 || conn->events->may_try(conn))
        start(conn);
    else if (env_timer(conn->env, &conn->timer, env_jitter_ms(conn->env, PG_PARKED_MS)) < 0)
        start(conn);
}

void pg_conn_try(struct pg_conn *conn, size_t host, uint64_t spread_ms)
{
    if (conn->state == PG_RESOLVING || conn->state == PG_CONNECTING) {
        /* That has begun when the host was not there yet may wait for long. */
        uint64_t begun_ms = conn->timer.due_ms - CONNECT_TIMEOUT_MS;

        if (conn->host == host && env_now_ms(conn->env) - begun_ms <= PG_RETRY_MAX_MS)
            return;
        pg_conn_release(conn); /* it may wait for a machine that is gone */
        conn->state = PG_DOWN;
    } else if (conn->state != PG_DOWN) {
        return;
    }
    conn->backoff_ms = 0;
    if (env_timer(conn->env, &conn->timer, env_random_u64(conn->env) % (spread_ms + 1)) < 0)
        start(conn);
}

int pg_connect_init(struct pg_conn *conn)
{
    timer_init(&conn->timer, on_timer, conn);
    list_init(&conn->setup.link);
    return env_timer(conn->env, &conn->timer, 0);
}
