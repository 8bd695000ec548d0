/*
 * pg_servers.c - which of the servers of the URL the connections of a store go
 * to, how all of them come back, and whether the one that answers is another
 * than before.
 *
 * While none is up, one connection for each host looks for a server that will
 * do (a scout); the others wait until one is found. So a server that starts is
 * asked a few times a second by each shard, however many connections that has,
 * and a machine that does not even refuse holds up its own scout only.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/loop.h"
#include "shard/store/store_pg_priv.h"

/* All connections in one order: those that do without writing first, so that a server that only
 * reads is found, too. NULL: no more. */
static struct pg_conn *conn_at(struct store_pg *s, size_t i)
{
    if (i < ARRAY_LEN(s->reads))
        return &s->reads[i];
    i -= ARRAY_LEN(s->reads);
    if (i < ARRAY_LEN(s->queries))
        return &s->queries[i];
    i -= ARRAY_LEN(s->queries);
    if (i < ARRAY_LEN(s->locks))
        return &s->locks[i];
    i -= ARRAY_LEN(s->locks);
    return i < s->n_lanes ? &s->lanes[i].conn : NULL;
}

static bool is_any_up(struct store_pg *s)
{
    struct pg_conn *conn;

    for (size_t i = 0; (conn = conn_at(s, i)); i++) {
        if (pg_conn_is_ready(conn))
            return true;
    }
    return false;
}

static size_t count(const struct store_pg *s)
{
    return ARRAY_LEN(s->reads) + ARRAY_LEN(s->queries) + ARRAY_LEN(s->locks) + s->n_lanes;
}

static size_t place_of(struct store_pg *s, const struct pg_conn *conn)
{
    size_t i = 0;

    while (conn_at(s, i) != conn)
        i++;
    return i;
}

static bool may_try(struct pg_conn *conn)
{
    struct store_pg *s = conn->owner;

    return is_any_up(s) || place_of(s, conn) < s->url.n_hosts;
}

static size_t next_host(struct pg_conn *conn, unsigned attempt)
{
    struct store_pg *s = conn->owner;
    size_t place = place_of(s, conn), n_conns = count(s);
    size_t round = attempt > 0 ? attempt - 1 : 0;

    if (is_any_up(s))
        return s->good_host + round;
    if (place >= s->url.n_hosts)
        return s->good_host;
    /* Its own host; when there are more hosts than connections each looks at several. */
    return s->good_host + place + (s->url.n_hosts > n_conns ? round * n_conns : 0);
}

/* ---- which server ---- */

static unsigned long timeline_of(const char *text)
{
    return strtoul(text, NULL, 16);
}

static void on_outdated(struct later *later, void *arg)
{
    struct store_pg *s = arg;
    struct pg_conn *conn;

    (void)later;
    for (size_t i = 0; (conn = conn_at(s, i)); i++) {
        if (conn->epoch != s->epoch)
            pg_conn_reset(conn, "another server has taken over");
    }
}

/* A primary that has come back after a failover would take writes that nobody else knows of.
 * Timelines only rise, within one system. */
static const char *on_identity(struct pg_conn *conn, const struct pg_identity *identity)
{
    struct store_pg *s = conn->owner;

    if (s->epoch != 0 && strcmp(s->system, identity->system) == 0 &&
        timeline_of(identity->timeline) < timeline_of(s->timeline))
        return "it is an old primary, of before a failover: stop it, or make it a standby";
    snprintf(conn->system, sizeof(conn->system), "%s", identity->system);
    snprintf(conn->timeline, sizeof(conn->timeline), "%s", identity->timeline);
    return NULL;
}

static void on_epoch(struct pg_conn *conn)
{
    struct store_pg *s = conn->owner;
    bool is_first = s->epoch == 0;

    if (s->epoch == conn->epoch)
        return;
    memcpy(s->system, conn->system, sizeof(s->system));
    memcpy(s->timeline, conn->timeline, sizeof(s->timeline));
    s->epoch = conn->epoch;
    s->good_host = conn->host;
    log_info("PostgreSQL server", L_STR("system", s->system), L_STR("timeline", s->timeline),
             L_U64("host", conn->host), L_U64("generation", s->epoch),
             L_BOOL("replaced", !is_first));
    if (is_first)
        return;
    s->stats.replaced++;
    s->clock =
        (struct pg_clock){.offset_us = s->clock.offset_us}; /* until it has said its own */
    env_later(s->env, &s->outdated);
    if (s->events && s->events->on_replaced)
        s->events->on_replaced(s->owner);
}

static void on_clock(void *owner, int64_t asked_us, int64_t theirs_us, int64_t now_us)
{
    struct store_pg *s = owner;
    int64_t offset_us;

    if (!pg_clock_take(&s->clock, asked_us, theirs_us, now_us))
        return;
    offset_us = s->clock.offset_us;
    if (offset_us > PG_SKEW_WARN_MS * 1000 || offset_us < -PG_SKEW_WARN_MS * 1000)
        log_warn("our clock and that of PostgreSQL differ", L_I64("offset_us", offset_us));
}

/* ---- coming and going ---- */

static void on_up(struct pg_conn *conn)
{
    struct store_pg *s = conn->owner;
    struct pg_conn *other;

    s->stats.connects++;
    s->stats.connections++;
    s->good_host = conn->host;
    for (size_t i = 0; (other = conn_at(s, i)); i++)
        pg_conn_try(other, s->good_host, PG_SPREAD_MS);
    if (s->was_available || !s->store.ops->is_available(&s->store))
        return;
    s->was_available = true;
    if (s->events && s->events->on_available)
        s->events->on_available(s->owner);
}

static void on_down(struct pg_conn *conn)
{
    struct store_pg *s = conn->owner;

    s->stats.disconnects++;
    s->stats.connections--;
    s->was_available = false;
}

static void on_failed(struct pg_conn *conn)
{
    struct store_pg *s = conn->owner;

    s->stats.connect_failures++;
}

static void on_error(void *owner, enum pg_error error)
{
    struct store_pg *s = owner;

    s->stats.errors[error]++;
}

const struct pg_conn_events pg_servers_events = {
    .on_identity = on_identity,
    .on_epoch = on_epoch,
    .on_clock = on_clock,
    .on_up = on_up,
    .on_down = on_down,
    .on_failed = on_failed,
    .may_try = may_try,
    .next_host = next_host,
    .on_error = on_error,
};

void pg_servers_init(struct store_pg *s)
{
    later_init(&s->outdated, on_outdated, s);
}

void pg_servers_deinit(struct store_pg *s)
{
    later_cancel(&s->outdated);
}
