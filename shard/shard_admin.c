/* shard_admin.c - what the admin port of a shard says: readiness, metrics, /status. */
#include <stdio.h>

#include "common/base/log.h"
#include "common/cluster/membership.h"
#include "common/json/json_write.h"
#include "common/net/addr.h"
#include "common/net/admin.h"
#include "shard/commit/committer.h"
#include "shard/peer/peers.h"
#include "shard/shard_priv.h"
#include "shard/store/store_pg.h"

static bool is_ready(void *owner, struct buf *reasons)
{
    struct shard *s = owner;
    const struct ring_member *self =
        ring_find(membership_ring(s->membership), slice_str(s->config->node_id));
    bool has_store = s->store->ops->is_available(s->store);
    bool is_on_ring = self && !self->draining;

    if (!has_store)
        buf_put_str(reasons, "the database is not connected\n");
    if (!is_on_ring)
        buf_put_str(reasons, "not on the ring\n");
    if (s->state != SHARD_RUNNING)
        buf_put_str(reasons, "stopping\n");
    return has_store && is_on_ring && s->state == SHARD_RUNNING;
}

static void fill_errors(struct shard_metrics *m, const struct store_pg_stats *pg)
{
    m->pg_error_data = pg->errors[PG_ERROR_DATA];
    m->pg_error_read_only = pg->errors[PG_ERROR_READ_ONLY];
    m->pg_error_disk_full = pg->errors[PG_ERROR_DISK_FULL];
    m->pg_error_connections = pg->errors[PG_ERROR_CONNECTIONS];
    m->pg_error_resources = pg->errors[PG_ERROR_MEMORY];
    m->pg_error_shutdown = pg->errors[PG_ERROR_SHUTDOWN];
    m->pg_error_lock = pg->errors[PG_ERROR_LOCK];
    m->pg_error_canceled = pg->errors[PG_ERROR_CANCELED];
    m->pg_error_io = pg->errors[PG_ERROR_IO];
    m->pg_error_connection = pg->errors[PG_ERROR_CONNECTION];
    m->pg_error_session = pg->errors[PG_ERROR_SESSION];
    m->pg_error_access = pg->errors[PG_ERROR_ACCESS];
    m->pg_error_other = pg->errors[PG_ERROR_OTHER];
}

static void write_metrics(void *owner, struct buf *out)
{
    struct shard *s = owner;
    const struct commit_stats *commit = committer_stats(s->committer);
    const struct store_pg_stats *pg = store_pg_stats(s->store);
    struct membership_metrics ring = {0}; /* before we join there is none */

    if (s->membership)
        ring = membership_metrics(s->membership);
    s->metrics.lease_confirmed = s->membership && membership_is_confirmed(s->membership);
    s->metrics.commit_queued = (int64_t)commit->queued_entries;
    s->metrics.commit_batches = commit->batches;
    s->metrics.commit_entries = commit->entries;
    s->metrics.commit_flight_us = commit->flight_us;
    s->metrics.commit_unknown = commit->lost_batches;
    s->metrics.pg_connections = pg->connections;
    s->metrics.pg_connects = pg->connects;
    s->metrics.pg_failures = pg->connect_failures;
    s->metrics.pg_requests = pg->requests;
    s->metrics.pg_timeouts = pg->timeouts;
    s->metrics.pg_replaced = pg->replaced;
    fill_errors(&s->metrics, pg);
    shard_metrics_write(out, &s->metrics);
    membership_metrics_write(out, &ring);
    loop_write_metrics(s->loop, out);
    metrics_write_process(out);
}

static const struct admin_hooks admin_hooks = {.is_ready = is_ready,
                                               .write_metrics = write_metrics};

static void write_status(void *owner, struct buf *out)
{
    struct shard *s = owner;
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "node", slice_str(s->config->node_id));
    json_field_u64(&w, "incarnation", s->incarnation);
    json_field_u64(&w, "ringEpoch", ring_identity(membership_ring(s->membership)).epoch);
    json_field_u64(&w, "ringMembers", ring_count(membership_ring(s->membership)));
    json_field_bool(&w, "leaseConfirmed", membership_is_confirmed(s->membership));
    json_field_bool(&w, "databaseConnected", s->store->ops->is_available(s->store));
    json_field_u64(&w, "links", peers_count(s->peers));
    json_field_i64(&w, "rooms", s->metrics.rooms);
    json_field_i64(&w, "attaches", s->metrics.attaches);
    json_field_u64(&w, "queuedEntries", committer_stats(s->committer)->queued_entries);
    json_write_object_end(&w);
}

static const struct admin_page admin_pages[] = {{"/status", write_status}};

int shard_open_admin(struct shard *s)
{
    const struct config_address *at = &s->config->admin_listen;
    char address[ADDR_TEXT_MAX];
    int r;

    if (!at->host)
        return 0;
    (void)snprintf(address, sizeof(address), strchr(at->host, ':') ? "[%s]:%u" : "%s:%u",
                   at->host, at->port);
    r = admin_new(s->loop, address, &admin_hooks, admin_pages, ARRAY_LEN(admin_pages), s,
                  &s->admin);
    if (r < 0)
        log_error("cannot open the admin port", L_STR("address", address), L_ERR(r));
    return r;
}
