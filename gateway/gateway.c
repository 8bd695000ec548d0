/*
 * gateway.c - the parts and who talks to whom:
 *
 *   Redis - registry - membership --ring--> link pool --+-- calls ---- admit, api --+
 *                                                       +-- sessions ---------------+-- front
 * -- accept (x2)
 *
 * How it ends: drain.h.
 */
#include "gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/wheel.h"
#include "common/cluster/membership.h"
#include "common/cluster/registry_redis.h"
#include "common/json/json_write.h"
#include "common/net/admin.h"
#include "common/net/tls.h"
#include "gateway/api/admit.h"
#include "gateway/api/api.h"
#include "gateway/drain.h"
#include "gateway/edge/accept.h"
#include "gateway/link/calls.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

#define ADDRESS_TEXT 300 /* a DNS name, brackets, a port */

struct gateway {
    const struct gateway_config *config;
    struct gateway_metrics metrics;
    struct cidr_list trusted_proxies;
    struct loop *loop;
    struct wheel wheel;
    bool has_wheel;
    struct tls_ctx *client_tls, *link_tls;
    struct registry *registry;
    struct membership *membership;
    struct ring *ring; /* the one that the link pool goes by */
    struct link_pool *pool;
    struct calls *calls;
    struct sessions *sessions;
    struct admit *admit;
    struct api *api;
    struct front *front;
    struct accept *http, *https;
    struct admin *admin;
    struct drain drain;
};

/* ---- ring: membership -> links, and back what links see ---- */

static void on_ring(void *owner, const struct ring *ring)
{
    struct gateway *g = owner;
    struct ring_identity identity = ring_identity(ring);
    struct ring *old = g->ring;

    g->ring = ring_ref(ring);
    log_info("ring", L_U64("epoch", identity.epoch), L_U64("shards", ring_count(ring)));
    if (link_pool_set_ring(g->pool, g->ring) < 0)
        log_error("not every shard of the ring can be linked: out of memory");
    ring_unref(old);
}

static const struct membership_events membership_events = {.on_ring = on_ring};

static void on_evidence(void *owner, struct slice node_id, enum link_evidence evidence)
{
    static const enum membership_evidence meanings[] = {
        [LINK_REFUSED] = MEMBERSHIP_REFUSED,
        [LINK_RESET] = MEMBERSHIP_RESET,
        [LINK_TIMEOUT] = MEMBERSHIP_TIMEOUT,
    };
    struct gateway *g = owner;

    membership_suspect(g->membership, node_id, meanings[evidence]);
}

static void on_peer_ring(void *owner, uint64_t epoch, struct slice members)
{
    struct gateway *g = owner;
    int r = membership_learn(g->membership, epoch, members);

    if (r < 0)
        log_warn("a peer's ring cannot be used", L_ERR(r));
}

static void on_stale(void *owner)
{
    struct gateway *g = owner;

    membership_refresh(g->membership);
}

static void on_link(void *owner, struct slice node_id, bool was_up, const char *why)
{
    (void)owner;
    if (!why)
        log_info("link up", L_SLICE("shard", node_id));
    else if (was_up)
        log_warn("link down", L_SLICE("shard", node_id), L_STR("why", why));
    else
        log_warn("no link", L_SLICE("shard", node_id), L_STR("why", why));
}

static const struct link_pool_hooks pool_hooks = {on_evidence, on_peer_ring, on_stale, on_link};

/* ---- what others ask ---- */

static bool is_ready(void *owner)
{
    const struct gateway *g = owner;

    return !g->drain.has_begun && ring_count(membership_ring(g->membership)) > 0 &&
           link_pool_live(g->pool) > 0;
}

static bool readiness(void *owner, struct buf *reasons)
{
    const struct gateway *g = owner;

    if (g->drain.has_begun)
        buf_put_str(reasons, "draining\n");
    if (ring_count(membership_ring(g->membership)) == 0)
        buf_put_str(reasons, "no ring is known\n");
    else if (link_pool_live(g->pool) == 0)
        buf_put_str(reasons, "no shard is linked\n");
    return is_ready(owner);
}

static size_t live_links(void *owner)
{
    const struct gateway *g = owner;

    return link_pool_live(g->pool);
}

static void write_metrics(void *owner, struct buf *out)
{
    const struct gateway *g = owner;
    struct membership_metrics ring = membership_metrics(g->membership);

    gateway_metrics_write(out, &g->metrics);
    membership_metrics_write(out, &ring);
    loop_write_metrics(g->loop, out);
    metrics_write_process(out);
}

static void write_status(void *owner, struct buf *out)
{
    const struct gateway *g = owner;
    const struct ring *ring = membership_ring(g->membership);
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "node", slice_str(g->config->node_id));
    json_field_str(&w, "version", SLICE_LIT(FLUXY_VERSION));
    json_field_bool(&w, "draining", g->drain.has_begun);
    json_field_bool(&w, "registry", membership_is_registry_up(g->membership));
    json_field_object(&w, "ring");
    json_field_u64(&w, "epoch", ring_identity(ring).epoch);
    json_field_array(&w, "shards");
    for (size_t i = 0; i < ring_count(ring); i++)
        json_write_str(&w, ring_at(ring, i)->id);
    json_write_array_end(&w);
    json_write_object_end(&w);
    json_field_u64(&w, "linksUp", link_pool_live(g->pool));
    json_field_u64(&w, "sessions", sessions_count(g->sessions));
    json_field_u64(&w, "callsPending", calls_pending(g->calls));
    json_field_u64(&w, "longestTurnUs", loop_longest_turn_us(g->loop, true));
    json_write_object_end(&w);
}

static const struct admin_hooks admin_hooks = {readiness, write_metrics};
static const struct admin_page admin_pages[] = {{"/status", write_status}};
static void open_stream(void *owner, struct api_request *req)
{
    const struct gateway *g = owner;

    front_open_stream(g->front, req);
}

static const struct api_hooks api_hooks = {is_ready, live_links, open_stream};

/* ---- signals ---- */

static void close_doors(void *owner)
{
    struct gateway *g = owner;

    accept_free(TAKE(g->http));
    accept_free(TAKE(g->https));
}

static void on_drained(void *owner)
{
    struct gateway *g = owner;

    loop_stop(g->loop);
}

static void on_terminate(void *arg)
{
    struct gateway *g = arg;

    drain_begin(&g->drain);
}

static void on_hangup(void *arg)
{
    struct gateway *g = arg;
    char error[TLS_ERROR_TEXT] = "";

    if (!g->client_tls)
        return;
    if (tls_ctx_reload(g->client_tls, error) < 0)
        log_error("certificate not reloaded, the old one stays", L_STR("why", error));
    else
        log_info("certificate reloaded");
}

/* ---- building ---- */

/* "host:port" for those who take it as text. */
static void address_text(const struct config_address *address, char ret[ADDRESS_TEXT])
{
    const char *host = address->host;
    bool v6 = strchr(host, ':') != NULL;

    snprintf(ret, ADDRESS_TEXT, v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)address->port);
}

static int fail(const char *what, const char *why)
{
    log_error(what, L_STR("why", why));
    return -EINVAL;
}

static int build_base(struct gateway *g)
{
    uint64_t seed;
    int r = loop_new(&g->loop);

    if (r < 0)
        return r;
    seed = env_random_u64(loop_env(g->loop));
    hash_seed(seed);
    gateway_metrics_init(&g->metrics);
    r = wheel_init(&g->wheel, loop_env(g->loop));
    g->has_wheel = r == 0;
    return r;
}

static int check_config(struct gateway *g)
{
    const struct gateway_config *c = g->config;
    struct slice bad = {0};
    char text[64];

    if (cidr_list_parse(slice_str(c->trusted_proxies), &g->trusted_proxies, &bad) < 0) {
        snprintf(text, sizeof(text), "not a network: %.*s", (int)MIN(bad.len, (size_t)40),
                 bad.len ? bad.data : "");
        return fail("FLUXY_TRUSTED_PROXIES", text);
    }
    if (c->https_listen.host && (!c->tls_cert_file[0] || !c->tls_key_file[0]))
        return fail("FLUXY_HTTPS_LISTEN", "needs FLUXY_TLS_CERT_FILE and FLUXY_TLS_KEY_FILE");
    if (!c->https_listen.host && !c->http_listen.host)
        return fail("FLUXY_HTTP_LISTEN", "neither this nor FLUXY_HTTPS_LISTEN is set");
    if (c->operator_key.data && strncmp(c->operator_key.data, "op_", 3) != 0)
        return fail("FLUXY_OPERATOR_KEY", "must begin with op_");
    if (c->rate_limit_scale != 1)
        log_warn("rate limits are multiplied",
                 L_I64("FLUXY_RATE_LIMIT_SCALE", c->rate_limit_scale));
    return 0;
}

static int build_tls(struct gateway *g)
{
    const struct gateway_config *c = g->config;
    struct tls_config client = {
        .cert_file = c->tls_cert_file, .key_file = c->tls_key_file, .alpn = "http/1.1"};
    struct tls_config link = {.cert_file =
                                  c->link_tls_cert_file[0] ? c->link_tls_cert_file : NULL,
                              .key_file = c->link_tls_key_file[0] ? c->link_tls_key_file : NULL,
                              .ca_file = c->link_tls_ca_file};
    char error[TLS_ERROR_TEXT] = "";

    if (c->https_listen.host && tls_ctx_new_server(&client, error, &g->client_tls) < 0)
        return fail("certificate", error);
    if (!c->link_tls_ca_file[0])
        return 0;
    if (tls_ctx_new_client(&link, error, &g->link_tls) < 0)
        return fail("link certificate", error);
    loop_set_link_tls(g->loop, g->link_tls);
    return 0;
}

static int build_registry(struct gateway *g)
{
    struct redis_target target;
    char error[REDIS_ERROR_TEXT] = "";
    int r = redis_target_parse(g->config->redis_url, &target, error);

    if (r < 0)
        return fail("FLUXY_REDIS_URL", error);
    r = registry_redis_new(g->loop, &target, g->config->redis_prefix, &g->registry);
    redis_target_deinit(&target);
    return r;
}

static int build_cluster(struct gateway *g)
{
    const struct gateway_config *c = g->config;
    struct env *env = loop_env(g->loop);
    struct membership_config membership = {.node_id = slice_str(c->node_id)};
    struct link_pool_config pool = {
        .node_id = slice_str(c->node_id),
        .incarnation = env_random_u64(env) | 1, /* never 0 */
        .secret = slice_of(c->link_secret.data, c->link_secret.len),
    };
    int r = build_registry(g);

    if (r == 0)
        r = link_pool_new(env, &g->metrics, &pool, &pool_hooks, g, &g->pool);
    if (r == 0)
        r = membership_new(env, g->registry, &membership, &membership_events, g,
                           &g->membership);
    if (r == 0)
        r = calls_new(env, g->pool, &g->metrics, &g->calls);
    return r;
}

static void build_drain(struct gateway *g)
{
    const struct gateway_config *c = g->config;
    struct drain_parts parts = {.env = loop_env(g->loop),
                                .sessions = g->sessions,
                                .front = g->front,
                                .metrics = &g->metrics,
                                .wait_ms = (uint64_t)c->drain_wait_ms,
                                .timeout_ms = (uint64_t)c->drain_timeout_ms,
                                .rate = (uint32_t)c->drain_rate,
                                .close_doors = close_doors,
                                .on_end = on_drained,
                                .owner = g};

    drain_init(&g->drain, &parts);
}

static int build_service(struct gateway *g)
{
    const struct gateway_config *c = g->config;
    struct env *env = loop_env(g->loop);
    struct sessions_config sessions = {.rate_limit_scale = (uint32_t)c->rate_limit_scale,
                                       .max_sessions = (uint32_t)c->max_connections,
                                       .token_warning_ms = (uint32_t)c->token_warning_ms,
                                       .token_grace_ms = (uint32_t)c->token_grace_ms};
    struct api_config api = {
        .demo_project = slice_str(c->demo_project),
        .operator_project = slice_str(c->operator_project),
        .operator_key = slice_of(c->operator_key.data, c->operator_key.len),
        .allowed_origins = slice_str(c->allowed_origins),
        .export_font = c->export_font,
        .rate_limit_scale = (uint32_t)c->rate_limit_scale,
        .upload_max_bytes = (uint64_t)c->upload_max_bytes,
    };
    struct front_parts front = {.env = env,
                                .wheel = &g->wheel,
                                .metrics = &g->metrics,
                                .trusted_proxies = &g->trusted_proxies,
                                .heartbeat_ms = (uint32_t)c->heartbeat_ms};
    int r = sessions_new(env, g->pool, &g->metrics, &sessions, &g->sessions);

    if (r == 0)
        r = admit_new(env, g->calls, &g->metrics, g->config->allow_anonymous, &g->admit);
    if (r == 0)
        r = api_new(env, g->calls, g->admit, &g->metrics, &api, &api_hooks, g, &g->api);
    if (r < 0)
        return r;
    front.api = g->api;
    front.admit = g->admit;
    front.sessions = g->sessions;
    r = front_new(&front, &g->front);
    if (r == 0)
        build_drain(g);
    return r;
}

static int listen_on(struct gateway *g, const struct config_address *address,
                     struct tls_ctx *tls, struct accept **ret_accept)
{
    char text[ADDRESS_TEXT];
    struct accept_parts parts = {.loop = g->loop,
                                 .wheel = &g->wheel,
                                 .front = g->front,
                                 .trusted_proxies = &g->trusted_proxies,
                                 .tls = tls};
    int r;

    if (!address->host)
        return 0;
    address_text(address, text);
    r = accept_new(&parts, text, g->config->reuse_port, (size_t)g->config->max_connections,
                   ret_accept);
    if (r < 0)
        log_error("cannot listen", L_STR("address", text), L_ERR(r));
    else
        log_info("listening", L_STR("address", text), L_BOOL("tls", tls != NULL));
    return r;
}

static int build_doors(struct gateway *g)
{
    const struct gateway_config *c = g->config;
    char text[ADDRESS_TEXT];
    int r = listen_on(g, &c->http_listen, NULL, &g->http);

    if (r == 0)
        r = listen_on(g, &c->https_listen, g->client_tls, &g->https);
    if (r < 0 || !c->admin_listen.host)
        return r;
    address_text(&c->admin_listen, text);
    r = admin_new(g->loop, text, &admin_hooks, admin_pages, ARRAY_LEN(admin_pages), g,
                  &g->admin);
    if (r < 0)
        log_error("cannot listen", L_STR("address", text), L_ERR(r));
    return r;
}

static int build_signals(struct gateway *g)
{
    int r = loop_on_signal(g->loop, SIGTERM, on_terminate, g);

    if (r == 0)
        r = loop_on_signal(g->loop, SIGINT, on_terminate, g);
    return r == 0 ? loop_on_signal(g->loop, SIGHUP, on_hangup, g) : r;
}

int gateway_new(const struct gateway_config *config, struct gateway **ret_gateway)
{
    static int (*const steps[])(struct gateway *) = {
        build_base,    check_config, build_tls,     build_cluster,
        build_service, build_doors,  build_signals,
    };
    AUTO(gateway_free) struct gateway *g = calloc(1, sizeof(*g));

    if (!g)
        return -ENOMEM;
    g->config = config;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        int r = steps[i](g);

        if (r < 0) {
            log_error("cannot start", L_ERR(r));
            return r;
        }
    }
    log_info("gateway is up", L_STR("version", FLUXY_VERSION),
             L_U64("pid", (uint64_t)getpid()));
    *ret_gateway = TAKE(g);
    return 0;
}

int gateway_run(struct gateway *g)
{
    return loop_run(g->loop);
}

/* From the doors inwards, so that nothing new comes while the parts behind go. */
void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    drain_cancel(&g->drain);
    admin_free(g->admin);
    accept_free(g->http);
    accept_free(g->https);
    front_free(g->front); /* what it tells may ask for a last call */
    calls_free(g->calls);
    api_free(g->api);
    admit_free(g->admit);
    sessions_free(g->sessions);
    membership_free(g->membership);
    link_pool_free(g->pool);
    registry_redis_free(g->registry);
    ring_unref(g->ring);
    if (g->has_wheel)
        wheel_deinit(&g->wheel);
    loop_free(g->loop); /* ends the last turn: what waits there is freed */
    tls_ctx_free(g->client_tls);
    tls_ctx_free(g->link_tls);
    cidr_list_deinit(&g->trusted_proxies);
    free(g);
}
