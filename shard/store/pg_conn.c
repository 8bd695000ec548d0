/*
 * pg_conn.c - requests of a connection that is up: queue, pipeline, results,
 * deadlines. How it comes up is in pg_connect.c.
 */
#include "shard/store/pg_conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "shard/limits.h"
#include "shard/store/pg_conn_priv.h"

/* ---- ends ---- */

static void end(struct pg_request *req, enum pg_end how)
{
    list_del(&req->link);
    req->on_end(req, how);
}

static void end_sent(struct pg_conn *conn)
{
    struct list ending;

    list_init(&ending);
    list_splice_tail(&ending, &conn->sent);
    conn->n_sent = 0;
    fair_reset(&conn->queue);
    while (!list_empty(&ending))
        end(list_first(&ending, struct pg_request, link), PG_END_LOST);
}

static struct pg_request *request_of(struct fair_item *item)
{
    return container_of(item, struct pg_request, waiting);
}

static void end_unsent(struct list *items)
{
    while (!list_empty(items)) {
        struct fair_item *item = list_first(items, struct fair_item, link);
        struct pg_request *req = request_of(item);

        list_del(&item->link);
        req->on_end(req, PG_END_NOT_SENT);
    }
}

/* `why` is a text of libpq, which names the code, or ours. */
static void tell_lost(struct pg_conn *conn, const char *why, bool was_up)
{
    char sqlstate[SQLSTATE_LEN + 1];
    enum pg_error error;

    pg_error_find(why, sqlstate);
    error = conn->refusal ? PG_ERROR_READ_ONLY : pg_error_of(sqlstate);
    if (conn->refusal || strcmp(sqlstate, SQLSTATE_NONE) != 0)
        conn->events->on_error(conn->owner, error);
    log_warn("PostgreSQL connection lost", L_STR("role", conn->config.role),
             L_U64("host", conn->host), L_STR("why", conn->refusal ? conn->refusal : why),
             L_STR("advice", conn->refusal ? "" : pg_error_advice(error)),
             L_BOOL("was_up", was_up));
    conn->refusal = NULL;
}

void pg_conn_drop(struct pg_conn *conn, const char *why)
{
    bool was_up = conn->state == PG_READY;
    enum pg_state state = conn->state;

    if (state == PG_DOWN || state == PG_CLOSED)
        return;
    tell_lost(conn, why, was_up);
    pg_conn_release(conn);
    conn->state = PG_DOWN;
    conn->epoch = 0;
    env_timer_cancel(conn->env, &conn->rest);
    pg_connect_later(conn);
    if (was_up)
        conn->events->on_down(conn);
    else
        conn->events->on_failed(conn);
    end_sent(conn);
    if (!was_up && conn->state == PG_DOWN) { /* nobody answers: who waits is told at once */
        struct list waiting;

        fair_drain(&conn->queue, &waiting);
        end_unsent(&waiting);
    }
}

static void on_broken(struct later *later, void *arg)
{
    struct pg_conn *conn = arg;

    (void)later;
    pg_conn_drop(conn, conn->pq ? PQerrorMessage(conn->pq) : "");
}

/* ---- deadlines ---- */

static void watch_due(struct pg_conn *conn)
{
    uint64_t now = env_now_ms(conn->env), due = UINT64_MAX;

    if (!list_empty(&conn->sent))
        due = list_first(&conn->sent, struct pg_request, link)->due_ms;
    if (!fair_is_empty(&conn->queue))
        due = MIN(due, now + PG_DUE_LOOK_MS);
    if (due == UINT64_MAX)
        env_timer_cancel(conn->env, &conn->due);
    else if (timer_is_armed(&conn->due) && conn->due.due_ms <= due)
        return; /* looks again then */
    else if (env_timer(conn->env, &conn->due, due > now ? due - now : 0) < 0)
        env_later(conn->env, &conn->broken);
}

struct due_look {
    uint64_t now;
    struct fair *queue;
    struct list due; /* struct fair_item */
};

/* Of one tenant the oldest wait first, so that what is due lies in front. */
static void take_due(struct fair_item *item, void *arg)
{
    struct due_look *look = arg;

    while (request_of(item)->due_ms <= look->now) {
        struct list *next = item->link.next;
        bool is_last = next == item->link.prev; /* only the head is left */

        fair_remove(look->queue, item);
        list_add_tail(&look->due, &item->link);
        if (is_last)
            return;
        item = list_entry(next, struct fair_item, link);
    }
}

static void on_due(struct timer *timer, void *arg)
{
    struct pg_conn *conn = arg;
    struct due_look look = {.now = env_now_ms(conn->env), .queue = &conn->queue};

    (void)timer;
    list_init(&look.due);
    fair_each_first(&conn->queue, take_due, &look);
    end_unsent(&look.due);
    if (!list_empty(&conn->sent) &&
        list_first(&conn->sent, struct pg_request, link)->due_ms <= look.now)
        pg_conn_drop(conn, "no answer in time");
    if (conn->state != PG_CLOSED)
        watch_due(conn);
}

/* ---- sending ---- */

static void pump_out(struct pg_conn *conn)
{
    int r = PQflush(conn->pq);

    if (r < 0)
        env_later(conn->env, &conn->broken);
    else if (r > 0)
        (void)event_add(conn->writable, NULL); /* no timeout: allocates nothing */
}

static void on_flush(struct later *later, void *arg)
{
    struct pg_conn *conn = arg;

    (void)later;
    if (conn->pq)
        pump_out(conn);
}

int pg_conn_send(struct pg_conn *conn, struct pg_request *req, enum sql_id id, int n,
                 const char *const *values, const int *lengths)
{
    static const int binary[PG_ARGUMENTS_MAX] = {[0 ... PG_ARGUMENTS_MAX - 1] = 1};

    assert(n <= PG_ARGUMENTS_MAX);
    if (!PQsendQueryPrepared(conn->pq, sql_statements[id].name, n, values, lengths, binary,
                             1)) {
        env_later(conn->env, &conn->broken); /* half a statement may be in its buffer */
        return -ECONNRESET;
    }
    req->n_statements++;
    return 0;
}

int pg_conn_send_now(struct pg_conn *conn, struct pg_request *req)
{
    int r;

    req->n_statements = req->at = 0;
    req->sqlstate[0] = '\0';
    r = req->send(req, conn);
    if (r >= 0 && !PQpipelineSync(conn->pq))
        r = -ECONNRESET;
    if (r < 0 && req->n_statements == 0)
        return r;
    /* A part of it is on its way: it ends with the connection. */
    if (r < 0)
        env_later(conn->env, &conn->broken);
    list_add_tail(&conn->sent, &req->link);
    conn->n_sent++;
    fair_out(&conn->queue, req->waiting.tenant);
    env_later(conn->env, &conn->flush);
    return 0;
}

void pg_conn_send_queued(struct pg_conn *conn)
{
    struct fair_item *item;

    while (conn->state == PG_READY && conn->n_sent < conn->config.depth &&
           (item = fair_pop(&conn->queue))) {
        struct pg_request *req = request_of(item);

        if (pg_conn_send_now(conn, req) < 0)
            req->on_end(req, PG_END_NOT_SENT);
    }
    if (conn->state != PG_CLOSED)
        watch_due(conn);
}

int pg_conn_submit(struct pg_conn *conn, struct pg_request *req)
{
    bool now = conn->state == PG_READY && conn->n_sent < conn->config.depth &&
               fair_may_go(&conn->queue, req->waiting.tenant);
    int r;

    if (conn->state == PG_CLOSED || (conn->state != PG_READY && conn->attempts > 1))
        return -ENOTCONN;
    if (!now && conn->queue.n >= conn->config.queue_max)
        return conn->state == PG_READY ? -EAGAIN : -ENOTCONN;
    list_init(&req->link);
    list_init(&req->waiting.link);
    req->due_ms = env_now_ms(conn->env) + conn->config.timeout_ms;
    if (now) {
        r = pg_conn_send_now(conn, req);
        if (r < 0)
            return r;
    } else {
        fair_push(&conn->queue, &req->waiting);
    }
    watch_due(conn);
    return 0;
}

/* ---- results ---- */

static void take_error(struct pg_conn *conn, struct pg_request *req, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (req->sqlstate[0])
        return; /* only the first one says something */
    snprintf(req->sqlstate, sizeof(req->sqlstate), "%s", sqlstate ? sqlstate : SQLSTATE_NONE);
    if (sqlstate)
        conn->events->on_error(conn->owner, pg_error_of(sqlstate));
    /* The primary message names columns and types, not values (those are in the detail). */
    log_debug("PostgreSQL refused", L_STR("role", conn->config.role),
              L_STR("sqlstate", req->sqlstate), L_STR("text", text ? text : ""));
}

/* True: the request has kept it. */
static bool take_result(struct pg_conn *conn, PGresult *result)
{
    struct pg_request *req = list_first(&conn->sent, struct pg_request, link);
    unsigned n = req->at;

    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        req->at++;
        return req->on_result && !req->sqlstate[0] && req->on_result(req, n, result);
    case PGRES_PIPELINE_SYNC:
        conn->n_sent--;
        fair_back(&conn->queue, req->waiting.tenant);
        if (req->sqlstate[0] && pg_error_ends_session(req->sqlstate))
            env_later(conn->env, &conn->broken);
        end(req, req->sqlstate[0] ? PG_END_ERROR : PG_END_OK);
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    default:
        take_error(conn, req, result);
    }
    return false;
}

/* Takes what has come, or so much of it that others have their turn as well. False: the
 * connection is of no more use. */
static bool take_results(struct pg_conn *conn)
{
    unsigned nulls = 0; /* one ends each statement; two in a row mean that nothing more comes */
    size_t bytes = 0;

    while (conn->pq && !list_empty(&conn->sent) && !PQisBusy(conn->pq)) {
        PGresult *result;

        if (bytes > PG_TURN_BYTES) {
            if (env_timer(conn->env, &conn->rest, 0) == 0)
                break;
            bytes = 0; /* no memory to wait: all at once */
        }
        result = PQgetResult(conn->pq);
        if (result) {
            bytes += PQresultMemorySize(result);
            if (!take_result(conn, result)) /* may close the connection */
                PQclear(result);
            nulls = 0;
        } else if (++nulls > 2) {
            return false;
        }
    }
    return conn->pq && PQstatus(conn->pq) == CONNECTION_OK;
}

static void take_input(struct pg_conn *conn)
{
    bool ok = PQconsumeInput(conn->pq); /* on failure what came before is still to be read */

    ok = take_results(conn) && ok;
    if (conn->state == PG_CLOSED || conn->state == PG_DOWN)
        return;
    if (!ok)
        pg_conn_drop(conn, PQerrorMessage(conn->pq));
    else
        pump_out(conn);
    pg_conn_send_queued(conn);
}

static void on_rest(struct timer *timer, void *arg)
{
    (void)timer;
    take_input(arg);
}

void pg_conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct pg_conn *conn = arg;

    (void)fd;
    (void)what;
    loop_touch(conn->config.loop);
    if (!timer_is_armed(&conn->rest)) /* else what has come before goes first */
        take_input(conn);
}

void pg_conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct pg_conn *conn = arg;

    (void)fd;
    (void)what;
    loop_touch(conn->config.loop);
    pump_out(conn);
}

/* ---- life ---- */

int pg_conn_init(struct pg_conn *conn, const struct pg_conn_config *config,
                 const struct pg_conn_events *events, void *owner)
{
    *conn = (struct pg_conn){
        .config = *config,
        .events = events,
        .owner = owner,
        .env = loop_env(config->loop),
        .state = PG_DOWN,
    };
    fair_init(&conn->queue, config->share);
    list_init(&conn->sent);
    timer_init(&conn->rest, on_rest, conn);
    timer_init(&conn->due, on_due, conn);
    later_init(&conn->flush, on_flush, conn);
    later_init(&conn->broken, on_broken, conn);
    return pg_connect_init(conn);
}

void pg_conn_reset(struct pg_conn *conn, const char *why)
{
    if (conn->state == PG_READY)
        pg_conn_drop(conn, why);
}

void pg_conn_close(struct pg_conn *conn)
{
    struct list waiting;

    if (conn->state == PG_CLOSED)
        return;
    pg_conn_release(conn);
    conn->state = PG_CLOSED;
    env_timer_cancel(conn->env, &conn->due);
    env_timer_cancel(conn->env, &conn->rest);
    end_sent(conn);
    fair_drain(&conn->queue, &waiting);
    end_unsent(&waiting);
}
