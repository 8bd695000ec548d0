/* offline.c - see offline.h. Apart from the test that uses it: the link's messages and sockets
 * share a name. */
#include "tests/unit/gateway/edge/offline.h"

#include "tests/support/test.h"

#include <stdlib.h>

#include "gateway/api/admit.h"
#include "gateway/api/api.h"
#include "gateway/link/calls.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

struct offline_parts {
    struct gateway_metrics metrics;
    struct link_pool *pool;
    struct calls *calls;
    struct sessions *sessions;
    struct admit *admit;
    struct api *api;
};

static bool is_ready(void *owner)
{
    (void)owner;
    return false;
}

static size_t live_links(void *owner)
{
    (void)owner;
    return 0;
}

void offline_open(struct offline *o, const struct cidr_list *trusted)
{
    static const struct api_hooks hooks = {.is_ready = is_ready, .live_links = live_links};
    static const struct link_pool_hooks pool_hooks = {0};
    struct link_pool_config pool = {.node_id = SLICE_LIT("g"), .incarnation = 1};
    struct sessions_config sessions = {.rate_limit_scale = 1};
    struct api_config api = {.allowed_origins = SLICE_LIT("*"), .rate_limit_scale = 1};
    struct offline_parts *p = calloc(1, sizeof(*p));
    struct front_parts front = {.wheel = &o->wheel, .trusted_proxies = trusted};
    struct env *env;

    assert_non_null(p);
    o->parts = p;
    gateway_metrics_init(&p->metrics);
    assert_int_equal(loop_new(&o->loop), 0);
    env = loop_env(o->loop);
    assert_int_equal(wheel_init(&o->wheel, env), 0);
    assert_int_equal(link_pool_new(env, &p->metrics, &pool, &pool_hooks, NULL, &p->pool), 0);
    assert_int_equal(calls_new(env, p->pool, &p->metrics, &p->calls), 0);
    assert_int_equal(sessions_new(env, p->pool, &p->metrics, &sessions, &p->sessions), 0);
    assert_int_equal(admit_new(env, p->calls, &p->metrics, true, &p->admit), 0);
    assert_int_equal(api_new(env, p->calls, p->admit, &p->metrics, &api, &hooks, NULL, &p->api),
                     0);
    front.env = env;
    front.api = p->api;
    front.admit = p->admit;
    front.sessions = p->sessions;
    front.metrics = &p->metrics;
    assert_int_equal(front_new(&front, &o->front), 0);
}

void offline_close(struct offline *o)
{
    struct offline_parts *p = o->parts;

    front_free(o->front);
    calls_free(p->calls);
    api_free(p->api);
    admit_free(p->admit);
    sessions_free(p->sessions);
    link_pool_free(p->pool);
    wheel_deinit(&o->wheel);
    assert_int_equal(p->metrics.http_connections, 0);
    loop_free(o->loop);
    free(p);
}
