/* world.c - see world.h. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/codec.h"
#include "gateway/auth/token.h"
#include "tests/unit/gateway/edge/world.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static bool is_ready(void *owner)
{
    const struct world *w = owner;

    return w->ready;
}

static size_t live_links(void *owner)
{
    const struct world *w = owner;

    return link_pool_live(w->c.pool);
}

static void open_stream(void *owner, struct api_request *req)
{
    const struct world *w = owner;

    front_open_stream(w->front, req);
}

static const struct api_hooks hooks = {is_ready, live_links, open_stream};

void world_open(struct world *w, const struct api_config *config)
{
    static const struct api_config usual = {
        .demo_project = {"demo", 4},
        .operator_project = {"demo", 4},
        .operator_key = {WORLD_OPERATOR_KEY, sizeof(WORLD_OPERATOR_KEY) - 1},
        .allowed_origins = {"*", 1},
        .rate_limit_scale = 1,
    };
    struct sessions_config sessions = {.rate_limit_scale = 1, .max_sessions = 100};
    struct front_parts parts;
    struct slice bad;
    bool no_anonymous = w->no_anonymous;
    struct env *env;

    memset(w, 0, sizeof(*w));
    w->no_anonymous = no_anonymous;
    fake_cluster_init(&w->c, 1, "secret");
    w->shard = &w->c.shards[0];
    w->ready = true;
    env = &w->c.env.env;
    fake_env_run(&w->c.env);
    assert_int_equal(wheel_init(&w->wheel, env), 0);
    assert_int_equal(cidr_list_parse(SLICE_LIT("10.0.0.0/8"), &w->trusted, &bad), 0);
    assert_int_equal(calls_new(env, w->c.pool, &w->c.metrics, &w->calls), 0);
    assert_int_equal(sessions_new(env, w->c.pool, &w->c.metrics, &sessions, &w->sessions), 0);
    assert_int_equal(admit_new(env, w->calls, &w->c.metrics, !w->no_anonymous, &w->admit), 0);
    assert_int_equal(api_new(env, w->calls, w->admit, &w->c.metrics, config ? config : &usual,
                             &hooks, w, &w->api),
                     0);
    parts = (struct front_parts){.env = env,
                                 .wheel = &w->wheel,
                                 .api = w->api,
                                 .admit = w->admit,
                                 .sessions = w->sessions,
                                 .metrics = &w->c.metrics,
                                 .trusted_proxies = &w->trusted};
    assert_int_equal(front_new(&parts, &w->front), 0);
    fake_shard_clear(w->shard);
}

static void forget_client(struct world *w)
{
    if (w->has_client)
        fake_sink_deinit(&w->client);
    w->has_client = false;
}

void world_close(struct world *w)
{
    front_free(w->front);
    calls_free(w->calls);
    api_free(w->api);
    admit_free(w->admit);
    fake_env_run(&w->c.env);
    sessions_free(w->sessions);
    assert_int_equal(w->c.metrics.http_connections, 0);
    forget_client(w);
    wheel_deinit(&w->wheel);
    cidr_list_deinit(&w->trusted);
    fake_cluster_deinit(&w->c);
}

void world_connect(struct world *w, const char *address, bool trusted_proxy)
{
    struct stream *near, *far;
    struct ip ip;

    if (w->has_client && w->client.stream)
        stream_close(w->client.stream, false);
    forget_client(w);
    assert_int_equal(ip_parse(slice_str(address), &ip), 0);
    fake_pair(&w->c.env, &near, &far);
    fake_sink_init(&w->client, far);
    w->has_client = true;
    assert_true(front_take(w->front, near, &ip, trusted_proxy, false));
    fake_env_run(&w->c.env);
}

void world_send(struct world *w, const char *text)
{
    buf_clear(&w->client.in);
    fake_sink_send(&w->client, slice_str(text));
    fake_env_run(&w->c.env);
}

void world_request(struct world *w, const char *method, const char *target, const char *fields,
                   const char *body)
{
    AUTO_BUF text = BUF_INIT;

    world_connect(w, "192.0.2.1", false);
    buf_printf(&text, "%s %s HTTP/1.1\r\nHost: a\r\n%s", method, target, fields);
    if (body)
        buf_printf(&text, "Content-Length: %zu\r\n", strlen(body));
    buf_printf(&text, "\r\n%s", body ? body : "");
    buf_put_char(&text, '\0');
    world_send(w, text.data);
}

const char *world_token(struct world *w, const char *user, const char *roles, const char *extra)
{
    static char token[2048];
    int64_t now_s = env_wall_us(&w->c.env.env) / 1000000;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    char claims[512];
    size_t n;

    snprintf(claims, sizeof(claims),
             "{\"sub\":\"%s\",\"tid\":\"demo\",\"roles\":[%s],\"exp\":%lld%s}", user, roles,
             (long long)now_s + 3600, extra);
    n = base64_encode(BASE64_URL, "{\"alg\":\"HS256\"}", 15, token);
    token[n++] = '.';
    n += base64_encode(BASE64_URL, claims, strlen(claims), token + n);
    HMAC(EVP_sha256(), WORLD_SECRET, sizeof(WORLD_SECRET) - 1, (unsigned char *)token, n, mac,
         &mac_len);
    token[n++] = '.';
    base64_encode(BASE64_URL, mac, mac_len, token + n);
    return token;
}

unsigned world_status(const struct world *w)
{
    unsigned status = 0;

    for (size_t i = 9; i < 12 && w->client.in.len > 12; i++)
        status = status * 10 + (unsigned)(w->client.in.data[i] - '0');
    return status;
}

bool world_has(const struct world *w, const char *text)
{
    return w->client.in.len && memmem(w->client.in.data, w->client.in.len, text, strlen(text));
}

const char *world_answer(struct world *w, enum call_op op, const char *object, unsigned status,
                         const char *body)
{
    static char params[4096];
    const struct msg *call = fake_shard_expect(w->shard, MSG_CALL);
    struct msg reply = {.type = MSG_REPLY};

    assert_int_equal(call->CALL.op, op);
    CHECK_SLICE(call->CALL.object, object, "object");
    snprintf(params, sizeof(params), "%.*s", (int)call->CALL.params.len,
             call->CALL.params.data);
    reply.REPLY.call = call->CALL.call;
    reply.REPLY.status = status;
    reply.REPLY.body = slice_str(body);
    fake_shard_send(w->shard, &reply);
    fake_env_run(&w->c.env);
    return params;
}

void world_answer_project(struct world *w)
{
    char key[64], body[256];

    base64_encode(BASE64_STANDARD, WORLD_SECRET, sizeof(WORLD_SECRET) - 1, key);
    snprintf(body, sizeof(body),
             "{\"project\":\"demo\",\"version\":1,\"secrets\":[{\"kid\":\"1\",\"key\":\"%s\"}],"
             "\"origins\":[]}",
             key);
    world_answer(w, CALL_PROJECT_CONFIG, "project/demo", 200, body);
}
