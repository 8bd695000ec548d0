/* members.c - see members.h. */
#include "tests/unit/cluster/members.h"

#include "tests/support/test.h"

struct fake_env fake;
struct fake_registry_server server;
struct node nodes[NODES];

uint64_t wall_ms(void *arg)
{
    (void)arg;
    return 1700000000000u + fake.now_ms;
}

int setup(void **state)
{
    (void)state;
    fake_env_init(&fake, 1);
    fake_registry_server_init(&server, wall_ms, NULL);
    memset(nodes, 0, sizeof(nodes));
    return 0;
}

void stop(struct node *n)
{
    if (!n->m)
        return;
    membership_free(n->m);
    n->m = NULL;
    fake_registry_deinit(&n->registry);
}

int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        stop(&nodes[i]);
    fake_env_deinit(&fake);
    return 0;
}

static void node_on_ring(void *owner, const struct ring *ring)
{
    struct node *n = owner;

    n->rings++;
    assert_true(ring_identity_compare(ring_identity(ring), n->last) > 0);
    n->last = ring_identity(ring);
}

static void node_on_superseded(void *owner)
{
    ((struct node *)owner)->superseded++;
}

static void node_on_left(void *owner)
{
    ((struct node *)owner)->left++;
}

static const struct membership_events node_events = {
    .on_ring = node_on_ring,
    .on_superseded = node_on_superseded,
    .on_left = node_on_left,
};

struct node *start(int i, const char *id, uint64_t incarnation)
{
    struct node *n = &nodes[i];
    struct membership_config config = {.node_id = slice_str(id)};

    *n = (struct node){0};
    assert_true(config.node_id.len < sizeof(n->id));
    memcpy(n->id, config.node_id.data, config.node_id.len);
    if (incarnation)
        config.self = (struct ring_member){
            .id = slice_str(id),
            .address = SLICE_LIT("127.0.0.1:7000"),
            .incarnation = incarnation,
            .weight = 1,
        };
    fake_registry_init(&n->registry, &server, &fake.env);
    assert_int_equal(
        membership_new(&fake.env, &n->registry.registry, &config, &node_events, n, &n->m), 0);
    return n;
}

struct node *start_shard(int i)
{
    char id[24];

    snprintf(id, sizeof(id), "shard-%d", i);
    return start(i, id, 100 + (uint64_t)i);
}

void start_shards(int n)
{
    for (int i = 0; i < n; i++)
        start_shard(i);
    fake_env_advance(&fake, 2 * LEASE_TTL_MS);
}

bool is_listed(const struct node *who, const char *id)
{
    return ring_find(membership_ring(who->m), slice_str(id)) != NULL;
}

uint64_t time_until_gone(const struct node *who, const char *id, uint64_t limit_ms)
{
    uint64_t begin = fake.now_ms;

    while (is_listed(who, id)) {
        if (fake.now_ms - begin > limit_ms)
            fail_msg("%s is still listed after %llu ms", id, (unsigned long long)limit_ms);
        fake_env_advance(&fake, 10);
    }
    return fake.now_ms - begin;
}
