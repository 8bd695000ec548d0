/* registry_nodes.c - see registry_nodes.h. */
#include "tests/integration/registry_nodes.h"

#include <hiredis/hiredis.h>

#include "common/net/redis.h"
#include "tests/support/test.h"

struct net_fixture net;
struct redis_server redis;
struct redis_target redis_at;
struct node nodes[NODES];

static struct redis *tool; /* for what the test itself asks */
static bool tool_is_up;

static void tool_on_up(void *owner)
{
    (void)owner;
    tool_is_up = true;
}

static void tool_on_down(void *owner)
{
    (void)owner;
    tool_is_up = false;
}

static const struct redis_events tool_events = {.on_up = tool_on_up, .on_down = tool_on_down};

int nodes_setup(void **state)
{
    char error[REDIS_ERROR_TEXT];

    (void)state;
    net_setup(&net, 0);
    redis_server_start(&redis, NULL);
    assert_int_equal(redis_target_parse(redis.url, &redis_at, error), 0);
    tool_is_up = false;
    assert_int_equal(redis_new(net.loop, &redis_at, NULL, &tool_events, NULL, &tool), 0);
    NET_UNTIL(&net, tool_is_up);
    return 0;
}

int nodes_teardown(void **state)
{
    (void)state;
    redis_free(tool);
    redis_target_deinit(&redis_at);
    redis_server_kill(&redis);
    net_turn(&net);
    net_teardown(&net);
    return 0;
}

/* ---- asking ---- */

struct answer {
    bool done;
    long long integer;
};

static void on_answer(void *arg, int r, const struct redisReply *reply)
{
    struct answer *a = arg;

    assert_int_equal(r, 0);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("redis: %s", reply->str);
    a->done = true;
    a->integer = reply->integer;
}

static long long ask(const struct slice *args, size_t n)
{
    struct answer a = {0};

    NET_UNTIL(&net, tool_is_up);
    assert_int_equal(redis_command(tool, args, n, on_answer, &a), 0);
    NET_UNTIL(&net, a.done);
    return a.integer;
}

long long redis_eval(const char *script, const char *arg)
{
    struct slice args[5] = {SLICE_LIT("EVAL"), slice_str(script), SLICE_LIT("1"),
                            SLICE_LIT(NODES_PREFIX), slice_str(arg)};

    return ask(args, 5);
}

long long redis_do(const char *command)
{
    struct slice args[32];
    size_t n = 0;

    for (const char *at = command; at && n < ARRAY_LEN(args); n++) {
        const char *space = strchr(at, ' ');

        args[n] = space ? slice_of(at, (size_t)(space - at)) : slice_str(at);
        at = space ? space + 1 : NULL;
    }
    return ask(args, n);
}

/* ---- nodes ---- */

static void node_on_ring(void *owner, const struct ring *ring)
{
    (void)ring;
    ((struct node *)owner)->rings++;
}

static void node_on_left(void *owner)
{
    ((struct node *)owner)->left++;
}

static void node_on_superseded(void *owner)
{
    ((struct node *)owner)->superseded++;
}

static const struct membership_events node_events = {
    .on_ring = node_on_ring, .on_superseded = node_on_superseded, .on_left = node_on_left};

void nodes_start(int i, const char *id, uint64_t incarnation)
{
    struct membership_config config = {.node_id = slice_str(id)};

    if (incarnation)
        config.self = (struct ring_member){
            .id = slice_str(id),
            .address = SLICE_LIT("127.0.0.1:7000"),
            .incarnation = incarnation,
            .weight = 1,
        };
    nodes[i] = (struct node){0};
    assert_int_equal(registry_redis_new(net.loop, &redis_at, NODES_PREFIX, &nodes[i].registry),
                     0);
    assert_int_equal(membership_new(loop_env(net.loop), nodes[i].registry, &config,
                                    &node_events, &nodes[i], &nodes[i].m),
                     0);
}

void nodes_stop(int i)
{
    membership_free(TAKE(nodes[i].m));
    registry_redis_free(TAKE(nodes[i].registry));
}

bool nodes_agree(int shards, size_t count)
{
    struct ring_identity first = {0};
    bool any = false;

    for (int i = 0; i < NODES; i++) {
        struct ring_identity identity;

        if (!nodes[i].m)
            continue;
        identity = ring_identity(membership_ring(nodes[i].m));
        if (!any)
            first = identity;
        any = true;
        if (ring_count(membership_ring(nodes[i].m)) != count ||
            ring_identity_compare(first, identity) != 0 ||
            !membership_is_registry_up(nodes[i].m) ||
            (i < shards && !membership_is_confirmed(nodes[i].m)))
            return false;
    }
    return any;
}
