/*
 * pg_conn.h - one asynchronous connection to PostgreSQL in pipeline mode, on
 * the event loop. Connects and reconnects by itself, prepares its statements,
 * keeps requests: a queue of those not sent, tenants in turn (fair.h), a list
 * of those out, in order. What many answers bring at once is taken in several
 * turns of the loop. Knows no rows and no rooms.
 *
 *             +--- lost, refused, too late ---------------------------+
 *             v                                                       |
 *   PG_DOWN --timer--> PG_RESOLVING --> PG_CONNECTING --> PG_SETTING_UP --> PG_READY
 *
 * Of connections to the same servers only some try again after a first failure,
 * the others wait for pg_conn_try(): see is_scout.
 */
#pragma once

#include <libpq-fe.h>

#include "common/base/env.h"
#include "common/base/fair.h"
#include "shard/store/pg_errors.h"
#include "shard/store/pg_url.h"
#include "shard/store/sql.h"

struct event;
struct loop;
struct pg_conn;
struct resolve;

#define PG_ARGUMENTS_MAX 80 /* of one statement */

enum pg_end {
    PG_END_OK,
    PG_END_ERROR, /* the server refused it, or a statement of it: sqlstate says why; nothing was
                     done */
    PG_END_NOT_SENT, /* the deadline came before its turn, or the connection is closed */
    PG_END_LOST,     /* the connection was lost, or given up, while it was out */
};

/* One or more statements in one implicit transaction. Embedded in the caller's memory until
 * on_end. */
struct pg_request {
    struct list link;         /* conn->sent */
    struct fair_item waiting; /* conn->queue; its tenant is set before it is submitted */
    uint64_t due_ms;
    unsigned n_statements, at; /* sent; of which the next result is */
    char sqlstate[SQLSTATE_LEN + 1];
    /* Sends the statements by pg_conn_send(). -errno: ends with NOT_SENT. */
    int (*send)(struct pg_request *req, struct pg_conn *conn);
    /* Rows of the n-th statement. True: the request keeps the result and clears it. May be
     * NULL. */
    bool (*on_result)(struct pg_request *req, unsigned n, PGresult *result);
    /* Exactly once, never from inside pg_conn_submit(); may free the request. */
    void (*on_end)(struct pg_request *req, enum pg_end end);
};

#define PG_SYSTEM_MAX 24 /* bytes of a system identifier as text, with NUL; of a timeline */
#define PG_TIMELINE_MAX 12

/* Which server has answered. */
struct pg_identity {
    const char *system, *timeline;
};

struct pg_conn_events {
    /* NULL: it will do. Else why not. */
    const char *(*on_identity)(struct pg_conn *conn, const struct pg_identity *identity);
    void (*on_epoch)(struct pg_conn *conn); /* conn->epoch is known */
    /* Its clock said theirs_us, at some time between asked_us and now_us of ours. */
    void (*on_clock)(void *owner, int64_t asked_us, int64_t theirs_us, int64_t now_us);
    void (*on_up)(struct pg_conn *conn);
    void (*on_down)(struct pg_conn *conn);   /* after on_up */
    void (*on_failed)(struct pg_conn *conn); /* an attempt to connect */
    /* May it try again after a failure, or shall it wait for pg_conn_try()? */
    bool (*may_try)(struct pg_conn *conn);
    /* Which of the hosts is next; `attempt` counts since it was up, from 0. */
    size_t (*next_host)(struct pg_conn *conn, unsigned attempt);
    void (*on_error)(void *owner, enum pg_error error); /* of the server, or on the way to it */
};

struct pg_conn_config {
    struct loop *loop;
    const struct pg_url *url; /* borrowed */
    const char *role;         /* "lane", "read", "lock" or "query": for sql_session, log and
                                 application_name */
    enum sql_id first, last;  /* statements to prepare */
    unsigned depth;           /* requests out at a time */
    unsigned share;           /* of them, those of one tenant; 0: all */
    unsigned queue_max;       /* requests that wait; 0: send at once or refuse */
    uint64_t timeout_ms;      /* of a request; one that is out then costs the connection */
    bool writes;              /* a server that only reads will not do */
};

enum pg_state { PG_DOWN, PG_RESOLVING, PG_CONNECTING, PG_SETTING_UP, PG_READY, PG_CLOSED };

struct pg_conn {
    struct pg_conn_config config;
    const struct pg_conn_events *events;
    void *owner;
    struct env *env;
    enum pg_state state;
    PGconn *pq;
    struct event *readable, *writable;
    struct resolve *resolve;
    struct timer timer; /* connect deadline or back-off */
    struct timer due;   /* of the oldest request */
    struct later flush;
    struct later broken; /* drops the connection at the end of the turn */
    struct timer rest;   /* armed: results wait that had no room in an earlier turn */
    struct fair queue;
    struct list sent;
    size_t n_sent;
    unsigned attempts; /* since it was up */
    size_t host;       /* of the URL: that of this attempt */
    uint64_t epoch;    /* generation of the rooms there (server_epoch()); 0: not known yet */
    char system[PG_SYSTEM_MAX], timeline[PG_TIMELINE_MAX];
    const char *refusal; /* why the server will not do; NULL: it has not been refused */
    uint64_t backoff_ms;
    struct pg_request setup;
    unsigned setup_step;
    int64_t asked_clock_us;
};

int pg_conn_init(struct pg_conn *conn, const struct pg_conn_config *config,
                 const struct pg_conn_events *events, void *owner) MUST_CHECK;
/* Ends all requests, from inside this call. */
void pg_conn_close(struct pg_conn *conn);
/*
 * 0: on_end will be called. -ENOTCONN: not connected and not about to be; -EAGAIN: too many;
 * other: could not be sent. Then nothing is called.
 */
int pg_conn_submit(struct pg_conn *conn, struct pg_request *req) MUST_CHECK;
/* From send(): one prepared statement with binary parameters (NULL: null) and result. */
int pg_conn_send(struct pg_conn *conn, struct pg_request *req, enum sql_id id, int n,
                 const char *const *values, const int *lengths) MUST_CHECK;
/* Down: tries now, or after a random pause of at most spread_ms. On its way to a host that is
 * not `host`: likewise. */
void pg_conn_try(struct pg_conn *conn, size_t host, uint64_t spread_ms);
/* Up: it is given up and tries anew. */
void pg_conn_reset(struct pg_conn *conn, const char *why);
/* How much work lies before a new request. */
static inline size_t pg_conn_load(const struct pg_conn *conn)
{
    return conn->queue.n + conn->n_sent;
}
static inline bool pg_conn_is_ready(const struct pg_conn *conn)
{
    return conn->state == PG_READY;
}
