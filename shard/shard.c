/*
 * shard.c - see shard.h. Start: database, parts, links, and last the place on
 * the ring. How it stops: shard_stop.c.
 */
#include "shard/shard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/cluster/membership.h"
#include "common/cluster/registry_redis.h"
#include "common/net/admin.h"
#include "common/net/listener.h"
#include "common/net/stream_tcp.h"
#include "common/net/tls.h"
#include "shard/api/api.h"
#include "shard/api/sweep.h"
#include "shard/host/host.h"
#include "shard/keys.h"
#include "shard/peer/peers.h"
#include "shard/shard_priv.h"
#include "shard/store/store_admin.h"
#include "shard/store/store_pg.h"

#define LEASE_CHECK_MS 250
#define JOIN_WAIT_MS 5000

static void on_reload_signal(void *arg)
{
    struct shard *s = arg;
    char error[TLS_ERROR_TEXT];

    if (!s->tls)
        return;
    if (tls_ctx_reload(s->tls, error) < 0)
        log_error("link certificate not reloaded", L_STR("reason", error));
    else
        log_info("link certificate reloaded");
}

/* ---- the ring ---- */

static void on_ring(void *owner, const struct ring *ring)
{
    struct shard *s = owner;

    log_info("ring", L_U64("epoch", ring_identity(ring).epoch),
             L_U64("members", ring_count(ring)));
    peers_set_ring(s->peers, ring);
    host_set_ring(s->host, ring);
}

static void on_superseded(void *owner)
{
    struct shard *s = owner;

    log_error("another process has taken our place on the ring; is FLUXY_NODE_ID unique?");
    s->has_failed = true;
    shard_stop_now(s);
}

static void on_left(void *owner)
{
    struct shard *s = owner;

    s->is_off_ring = true;
}

static const struct membership_events membership_events = {
    .on_ring = on_ring, .on_superseded = on_superseded, .on_left = on_left};

static void on_lease_timer(struct timer *timer, void *arg)
{
    struct shard *s = arg;

    host_set_lease(s->host, membership_is_confirmed(s->membership));
    if (env_timer(s->env, timer, LEASE_CHECK_MS) < 0)
        host_set_lease(s->host, false); /* fences are checked from here on */
}

/* ---- links ---- */

static int on_peer_ring(void *owner, uint64_t epoch, struct slice members)
{
    struct shard *s = owner;

    /* A gateway may know our address from before: what it says is learnt once we are there. */
    return s->membership ? membership_learn(s->membership, epoch, members) : 0;
}

static void on_peer_call(void *owner, struct gate *gate, const struct msg_CALL *call)
{
    struct shard *s = owner;

    api_on_call(s->api, gate, call);
}

static const struct peers_hooks peers_hooks = {.on_ring = on_peer_ring,
                                               .on_call = on_peer_call};

static void on_accept(void *owner, struct stream *stream, const struct addr *peer)
{
    struct shard *s = owner;

    (void)peer;
    if (s->tls && stream_tcp_start_tls(stream, s->tls, slice_of(NULL, 0)) < 0) {
        stream_close(stream, false);
        return;
    }
    if (peers_accept(s->peers, stream) < 0)
        log_warn("link refused: too many that do not greet, or out of memory");
}

static const struct listener_events listener_events = {.on_accept = on_accept};

/* ---- starting ---- */

/* Opens, migrates, draws the incarnation: the database may go at any step. */
static int try_database(struct shard *s, struct buf *problem)
{
    AUTO(store_admin_close) struct store_admin *admin = NULL;
    unsigned applied = 0;
    int r = store_admin_open(s->config->database_url, s->config->allow_unsafe_postgres, problem,
                             &admin);

    if (r == 0)
        r = store_admin_migrate(admin, problem, &applied);
    if (r == 0)
        r = store_admin_incarnation(admin, problem, &s->incarnation);
    if (r < 0)
        return r;
    if (applied > 0)
        log_info("migrations applied", L_U64("count", applied));
    if (store_admin_is_unsafe(admin))
        log_warn("the database may lose commits in a crash (FLUXY_ALLOW_UNSAFE_POSTGRES)");
    return 0;
}

static int prepare_database(struct shard *s)
{
    AUTO_BUF problem = BUF_INIT;
    uint64_t waited_ms = 0;
    int r;

    for (;;) {
        buf_clear(&problem);
        r = try_database(s, &problem);
        if (r != -ECONNREFUSED && r != -ETIMEDOUT && r != -ENOTCONN)
            break;
        if (waited_ms >= s->config->database_wait_ms)
            break;
        log_warn("waiting for the database", L_SLICE("reason", buf_slice(&problem)));
        (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* a signal may cut it short */
        waited_ms += 1000;
    }
    if (r < 0)
        log_error("database cannot be used", L_SLICE("reason", buf_slice(&problem)), L_ERR(r));
    return r;
}

static void on_store_replaced(void *owner)
{
    struct shard *s = owner;

    log_warn("another database server answers: all rooms are claimed anew");
    committer_forget_ids(s->committer);
    host_store_replaced(s->host);
}

static void on_store_available(void *owner)
{
    struct shard *s = owner;

    log_info("the database can be written to");
    committer_store_is_back(s->committer);
    host_store_is_back(s->host);
}

static const struct store_pg_events store_events = {.on_replaced = on_store_replaced,
                                                    .on_available = on_store_available};

static int build_rooms(struct shard *s)
{
    const struct shard_config *config = s->config;
    struct store_pg_config pg = {
        .url = config->database_url, .lanes = (unsigned)config->commit_lanes, .keys = &s->keys};
    struct commit_config commit = commit_config_default();
    struct host_config host = {.node_id = slice_str(config->node_id),
                               .incarnation = s->incarnation,
                               .room_idle_ms = config->room_idle_ms,
                               .tail_entries = (uint32_t)config->tail_entries,
                               .tail_bytes = (uint32_t)config->tail_bytes,
                               .rate_scale = (uint32_t)config->rate_limit_scale};
    int r;

    if (config->rate_limit_scale != 1)
        log_warn("rate limits are multiplied",
                 L_U64("scale", (uint64_t)config->rate_limit_scale));
    commit.lanes = pg.lanes;
    r = store_pg_new(s->loop, &pg, &store_events, s, &s->store);
    if (r < 0)
        return r;
    r = committer_new(s->env, s->store, &commit, &s->committer);
    if (r < 0)
        return r;
    r = host_new(s->env, s->store, s->committer, &s->metrics, &host, &s->host);
    if (r == 0)
        r = api_new(s->host, &s->api);
    return r < 0 ? r : sweep_new(s->env, s->store, &s->metrics, &s->sweep);
}

static int load_tls(struct shard *s)
{
    const struct shard_config *config = s->config;
    struct tls_config tls = {.cert_file = config->tls_cert_file,
                             .key_file = config->tls_key_file,
                             .ca_file = config->tls_ca_file};
    char error[TLS_ERROR_TEXT];
    size_t given = (size_t)(*config->tls_ca_file != 0) + (size_t)(*config->tls_cert_file != 0) +
                   (size_t)(*config->tls_key_file != 0);

    if (given == 0)
        return 0;
    if (given != 3) {
        log_error("link TLS needs FLUXY_LINK_TLS_CA_FILE, FLUXY_LINK_TLS_CERT_FILE and "
                  "FLUXY_LINK_TLS_KEY_FILE");
        return -EINVAL;
    }
    if (tls_ctx_new_server(&tls, error, &s->tls) < 0) {
        log_error("link TLS", L_STR("reason", error));
        return -EINVAL;
    }
    return 0;
}

static int listen_for_links(struct shard *s)
{
    const struct config_address *at = &s->config->link_listen;
    char address[ADDR_TEXT_MAX];
    struct listener_config config = {.address = address};
    int r;

    if (!at->host) {
        log_error("FLUXY_LINK_LISTEN is empty: gateways must be able to connect");
        return -EINVAL;
    }
    (void)snprintf(address, sizeof(address), strchr(at->host, ':') ? "[%s]:%u" : "%s:%u",
                   at->host, at->port);
    r = listener_new(s->loop, &config, &listener_events, s, &s->listener);
    if (r < 0) {
        log_error("cannot listen for links", L_STR("address", address), L_ERR(r));
        return r;
    }
    if (!addr_is_loopback(listener_addr(s->listener)) && !s->tls &&
        !s->config->link_secret.data) {
        log_error(
            "FLUXY_LINK_LISTEN is not a loopback address: links need FLUXY_LINK_SECRET or "
            "FLUXY_LINK_TLS_CA_FILE, _CERT_FILE and _KEY_FILE",
            L_STR("address", address));
        return -EINVAL;
    }
    return 0;
}

static int build_links(struct shard *s)
{
    const struct shard_config *config = s->config;
    struct peers_config peers = {
        .node_id = slice_str(config->node_id),
        .incarnation = s->incarnation,
        .secret = slice_of(config->link_secret.data, config->link_secret.len)};
    int r = load_tls(s);

    if (r < 0)
        return r;
    r = peers_new(s->env, s->host, &s->metrics, &peers, &peers_hooks, s, &s->peers);
    return r < 0 ? r : listen_for_links(s);
}

/* What gateways are told to connect to. */
static int link_address(const struct shard *s, char ret[ADDR_TEXT_MAX])
{
    const struct addr *bound = listener_addr(s->listener);
    char host[INET6_ADDRSTRLEN];
    bool is_any;

    addr_format_host(bound, host);
    is_any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    if (is_any && !*s->config->link_advertise) {
        log_error(
            "FLUXY_LINK_LISTEN is every address of this machine: FLUXY_LINK_ADVERTISE must "
            "say which one gateways connect to");
        return -EINVAL;
    }
    if (*s->config->link_advertise)
        (void)snprintf(ret, ADDR_TEXT_MAX, "%s", s->config->link_advertise);
    else
        (void)snprintf(ret, ADDR_TEXT_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                       addr_port(bound));
    return 0;
}

/* Rooms come as soon as we are on the ring; their first claims should not wait for connections.
 * Without a database for that long we join all the same: sockets are better held than refused.
 */
static int wait_for_connections(struct shard *s)
{
    uint64_t until_ms = env_now_ms(s->env) + JOIN_WAIT_MS;
    int r = 0;

    while (r == 0 && !s->store->ops->is_available(s->store) && env_now_ms(s->env) < until_ms)
        r = loop_turn(s->loop, true); /* the host's tick ends each at the latest */
    return r;
}

static int join_ring(struct shard *s)
{
    const struct shard_config *config = s->config;
    char address[ADDR_TEXT_MAX], error[REDIS_ERROR_TEXT];
    struct membership_config membership = {.node_id = slice_str(config->node_id)};
    struct redis_target target;
    int r;

    r = redis_target_parse(config->redis_url, &target, error);
    if (r < 0) {
        log_error("FLUXY_REDIS_URL", L_STR("reason", error));
        return r;
    }
    r = registry_redis_new(s->loop, &target, config->redis_prefix, &s->registry);
    redis_target_deinit(&target);
    if (r < 0)
        return r;
    r = link_address(s, address);
    if (r < 0)
        return r;
    membership.self = (struct ring_member){.id = slice_str(config->node_id),
                                           .address = slice_str(address),
                                           .incarnation = s->incarnation,
                                           .weight = (uint32_t)config->weight};
    log_info("joining the ring", L_STR("links", address), L_U64("incarnation", s->incarnation));
    r = membership_new(s->env, s->registry, &membership, &membership_events, s, &s->membership);
    return r < 0 ? r : env_timer(s->env, &s->lease_timer, LEASE_CHECK_MS);
}

static int watch_signals(struct shard *s)
{
    int r = loop_on_signal(s->loop, SIGTERM, shard_on_stop_signal, s);

    if (r == 0)
        r = loop_on_signal(s->loop, SIGINT, shard_on_stop_signal, s);
    return r < 0 ? r : loop_on_signal(s->loop, SIGHUP, on_reload_signal, s);
}

static int build(struct shard *s)
{
    AUTO_BUF problem = BUF_INIT;
    int r = keys_load(s->config, &s->keys, &problem);

    if (r < 0) {
        log_error("bad configuration", L_SLICE("reason", buf_slice(&problem)));
        return r;
    }
    r = prepare_database(s);
    if (r < 0)
        return r;
    r = loop_new(&s->loop);
    if (r < 0)
        return r;
    s->env = loop_env(s->loop);
    hash_seed(env_random_u64(s->env));
    r = build_rooms(s);
    if (r == 0)
        r = build_links(s);
    if (r == 0)
        r = wait_for_connections(s);
    if (r == 0)
        r = join_ring(s);
    if (r == 0)
        r = shard_open_admin(s);
    return r < 0 ? r : watch_signals(s);
}

int shard_new(const struct shard_config *config, struct shard **ret_shard)
{
    AUTO(shard_free) struct shard *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    s->config = config;
    shard_metrics_init(&s->metrics);
    timer_init(&s->lease_timer, on_lease_timer, s);
    timer_init(&s->stop_timer, shard_on_stop_timer, s);
    r = build(s);
    if (r < 0) {
        log_error("shard cannot start", L_ERR(r));
        return r;
    }
    *ret_shard = TAKE(s);
    return 0;
}

void shard_free(struct shard *s)
{
    if (!s)
        return;
    admin_free(s->admin);
    if (s->env) {
        env_timer_cancel(s->env, &s->lease_timer);
        env_timer_cancel(s->env, &s->stop_timer);
    }
    membership_free(s->membership);
    if (s->registry)
        registry_redis_free(s->registry);
    listener_free(s->listener);
    peers_free(s->peers);
    api_free(s->api);
    host_free(s->host);
    store_pg_close(s->store); /* calls back what is out */
    sweep_free(s->sweep);
    if (s->committer)
        committer_free(s->committer);
    tls_ctx_free(s->tls);
    loop_free(s->loop);
    keyring_wipe(&s->keys);
    free(s);
}

int shard_run(struct shard *s)
{
    int r = loop_run(s->loop);

    if (r < 0)
        log_error("the loop failed", L_ERR(r));
    return r < 0 ? r : s->has_failed ? -EEXIST : 0;
}
