/* test_membership.c - joining, leases, evictions and outages, on a fake clock and registry. */
#include "common/cluster/membership.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/support/fake_env.h"
#include "tests/support/fake_registry.h"
#include "tests/support/test.h"

#define NODES 8

struct node {
    struct fake_registry registry;
    struct membership *m; /* NULL: not running */
    char id[16];
    int rings, superseded, left;
    struct ring_identity last;
};

static struct fake_env fake;
static struct fake_registry_server server;
static struct node nodes[NODES];

static uint64_t wall_ms(void *arg)
{
    (void)arg;
    return 1700000000000u + fake.now_ms;
}

static int setup(void **state)
{
    (void)state;
    fake_env_init(&fake, 1);
    fake_registry_server_init(&server, wall_ms, NULL);
    memset(nodes, 0, sizeof(nodes));
    return 0;
}

static void stop(struct node *n)
{
    if (!n->m)
        return;
    membership_free(n->m);
    n->m = NULL;
    fake_registry_deinit(&n->registry);
}

static int teardown(void **state)
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

static struct node *start(int i, const char *id, uint64_t incarnation)
{
    struct node *n = &nodes[i];
    struct membership_config config = {.node_id = slice_str(id)};

    *n = (struct node){0};
    snprintf(n->id, sizeof(n->id), "%s", id);
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

static struct node *start_shard(int i)
{
    char id[16];

    snprintf(id, sizeof(id), "shard-%d", i);
    return start(i, id, 100 + (uint64_t)i);
}

/* Shards 0 .. n-1, settled, and trusted by everybody. */
static void start_shards(int n)
{
    for (int i = 0; i < n; i++)
        start_shard(i);
    fake_env_advance(&fake, 2 * LEASE_TTL_MS);
}

static bool is_listed(const struct node *who, const char *id)
{
    return ring_find(membership_ring(who->m), slice_str(id)) != NULL;
}

/* Advances in small steps until who no longer lists id; the time it took. */
static uint64_t time_until_gone(const struct node *who, const char *id, uint64_t limit_ms)
{
    uint64_t begin = fake.now_ms;

    while (is_listed(who, id)) {
        if (fake.now_ms - begin > limit_ms)
            fail_msg("%s is still listed after %llu ms", id, (unsigned long long)limit_ms);
        fake_env_advance(&fake, 10);
    }
    return fake.now_ms - begin;
}

static void shards_join_and_a_gateway_sees_them(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);

    (void)state;
    start_shards(3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_count(membership_ring(nodes[i].m)), 3);
        assert_true(membership_is_confirmed(nodes[i].m));
        assert_int_equal(ring_identity_compare(nodes[i].last, gateway->last), 0);
    }
    assert_int_equal(ring_count(membership_ring(gateway->m)), 3);
    assert_false(membership_is_confirmed(gateway->m));
    assert_true(membership_is_registry_up(gateway->m));
}

static void first_shard_founds_quickly(void **state)
{
    struct node *shard = start_shard(0);

    (void)state;
    fake_env_advance(&fake, RING_FOUND_MS + 100);
    assert_int_equal(ring_count(membership_ring(shard->m)), 1);
    assert_true(membership_is_confirmed(shard->m));
}

static void gateway_alone_founds_nothing(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);

    (void)state;
    fake_env_advance(&fake, 10000);
    assert_int_equal(gateway->rings, 0);
    assert_int_equal(server.model.epoch, 0);
    assert_int_equal(gateway->registry.counts[REGISTRY_PUT], 0);
}

static void silent_shard_is_evicted_when_its_lease_ends(void **state)
{
    uint64_t took;

    (void)state;
    start_shards(3);
    stop(&nodes[1]);
    took = time_until_gone(&nodes[0], "shard-1", LEASE_TTL_MS + 2 * RING_POLL_MS);
    assert_true(took >= LEASE_TTL_MS - LEASE_RENEW_MS * 5 / 4);
    assert_int_equal(ring_count(membership_ring(nodes[2].m)), 2);
}

static void refusing_shard_is_evicted_by_two_observers_at_once(void **state)
{
    struct node *a = start(6, "gateway-1", 0), *b = start(7, "gateway-2", 0);

    (void)state;
    start_shards(3);
    stop(&nodes[1]);
    membership_suspect(a->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
    fake_env_advance(&fake, 20);
    assert_true(is_listed(a, "shard-1"));
    membership_suspect(b->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
    assert_true(time_until_gone(a, "shard-1", 100) <= 100);
    fake_env_advance(&fake, 20);
    assert_false(is_listed(&nodes[0], "shard-1"));
}

static void refusing_shard_is_evicted_by_one_observer_within_1500_ms(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);

    (void)state;
    start_shards(2);
    for (int round = 0; round < 10; round++) {
        stop(&nodes[1]);
        membership_suspect(gateway->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
        assert_true(time_until_gone(gateway, "shard-1", 1500) <= 1500);
        start(1, "shard-1", 200 + (uint64_t)round);
        fake_env_advance(&fake, EVICT_HOLD_MS + (uint64_t)round * 77);
        assert_true(is_listed(gateway, "shard-1"));
    }
}

static void renewing_shard_survives_one_liar(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);

    (void)state;
    start_shards(3);
    for (int i = 0; i < 200; i++) {
        membership_suspect(gateway->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
        membership_suspect(gateway->m, SLICE_LIT("shard-2"), MEMBERSHIP_RESET);
        membership_suspect(gateway->m, SLICE_LIT("shard-2"), MEMBERSHIP_TIMEOUT);
        fake_env_advance(&fake, 100);
        assert_true(is_listed(gateway, "shard-1"));
        assert_true(is_listed(gateway, "shard-2"));
    }
    assert_int_equal(nodes[2].superseded, 0);
}

static void restart_replaces_the_old_process_at_once(void **state)
{
    (void)state;
    start_shards(2);
    stop(&nodes[1]);
    start(1, "shard-1", 500);
    fake_env_advance(&fake, 100);
    assert_int_equal(ring_find(membership_ring(nodes[0].m), SLICE_LIT("shard-1"))->incarnation,
                     500);
    assert_true(membership_is_confirmed(nodes[1].m));
}

static void older_process_of_the_same_id_stops(void **state)
{
    (void)state;
    start_shards(2);
    start(2, "shard-1", 500);
    fake_env_advance(&fake, 3000);
    assert_int_equal(nodes[1].superseded, 1);
    assert_false(membership_is_confirmed(nodes[1].m));
    assert_int_equal(nodes[2].superseded, 0);
    fake_env_advance(&fake, 60000);
    assert_int_equal(ring_find(membership_ring(nodes[0].m), SLICE_LIT("shard-1"))->incarnation,
                     500);
}

/* The database was restored from a backup, and with it the counter of incarnations. */
static void lower_incarnation_takes_over_when_the_lease_has_ended(void **state)
{
    (void)state;
    start_shards(1);
    stop(&nodes[0]);
    fake_env_advance(&fake, LEASE_TTL_MS + 100);
    start(0, "shard-0", 5);
    fake_env_advance(&fake, 3000);
    assert_int_equal(nodes[0].superseded, 0);
    assert_true(membership_is_confirmed(nodes[0].m));
    assert_int_equal(ring_find(membership_ring(nodes[0].m), SLICE_LIT("shard-0"))->incarnation,
                     5);
}

static void last_shard_is_never_evicted(void **state)
{
    struct node *a = start(6, "gateway-1", 0), *b = start(7, "gateway-2", 0);

    (void)state;
    start_shards(1);
    stop(&nodes[0]);
    for (int i = 0; i < 100; i++) {
        membership_suspect(a->m, SLICE_LIT("shard-0"), MEMBERSHIP_REFUSED);
        membership_suspect(b->m, SLICE_LIT("shard-0"), MEMBERSHIP_REFUSED);
        fake_env_advance(&fake, 200);
        assert_true(is_listed(a, "shard-0"));
    }
    start(0, "shard-0", 900);
    fake_env_advance(&fake, 1500);
    assert_int_equal(ring_find(membership_ring(a->m), SLICE_LIT("shard-0"))->incarnation, 900);
}

static void at_most_a_third_goes_per_window(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);
    size_t before;

    (void)state;
    start_shards(6);
    for (int i = 1; i < 6; i++)
        stop(&nodes[i]);
    before = ring_count(membership_ring(gateway->m));
    fake_env_advance(&fake, LEASE_TTL_MS + EVICT_WINDOW_MS - 2000);
    assert_int_equal(before - ring_count(membership_ring(gateway->m)), 2);
    fake_env_advance(&fake, 6 * EVICT_WINDOW_MS);
    assert_int_equal(ring_count(membership_ring(gateway->m)), 1); /* but in time they all go */
}

static void evicted_by_mistake_comes_back_ever_later(void **state)
{
    struct node *a = start(6, "gateway-1", 0), *b = start(7, "gateway-2", 0);
    uint64_t last_gone = 0, gaps[3] = {0};
    size_t n = 0;

    (void)state;
    start_shards(4);
    for (uint64_t end = fake.now_ms + 200000; fake.now_ms < end && n < 4;) {
        /* Both gateways are cut off from shard-1, which lives and renews. */
        membership_suspect(a->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
        membership_suspect(b->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
        fake_env_advance(&fake, 50);
        if (is_listed(a, "shard-1"))
            continue;
        if (n > 0)
            gaps[n - 1] = fake.now_ms - last_gone;
        last_gone = fake.now_ms;
        n++;
        while (!is_listed(a, "shard-1"))
            fake_env_advance(&fake, 50);
    }
    assert_int_equal(n, 4);
    assert_in_range(gaps[0], EVICT_HOLD_MS, EVICT_HOLD_MS * 3 / 2);
    assert_in_range(gaps[1], 2 * EVICT_HOLD_MS, 3 * EVICT_HOLD_MS);
    assert_in_range(gaps[2], 4 * EVICT_HOLD_MS, 5 * EVICT_HOLD_MS);
}

static void outage_keeps_the_ring_and_evicts_nobody_afterwards(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);
    struct ring_identity before;

    (void)state;
    start_shards(3);
    before = gateway->last;
    server.down = true;
    fake_env_advance(&fake, 60000);
    assert_false(membership_is_registry_up(gateway->m));
    assert_false(membership_is_confirmed(nodes[0].m));
    server.down = false;
    fake_env_advance(&fake, 20000);
    assert_int_equal(ring_identity_compare(gateway->last, before), 0);
    assert_true(membership_is_confirmed(nodes[0].m));
}

static void emptied_registry_gets_the_ring_back_unchanged(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);
    struct ring_identity before;

    (void)state;
    start_shards(3);
    before = gateway->last;
    registry_model_init(&server.model);
    fake_env_advance(&fake, 20000);
    assert_int_equal(server.model.epoch, before.epoch);
    assert_int_equal(ring_identity_compare(gateway->last, before), 0);
    assert_int_equal(server.model.n_members, 3);
    for (int i = 0; i < 3; i++)
        assert_true(membership_is_confirmed(nodes[i].m));
}

static void newcomer_on_an_emptied_registry_waits_for_the_ring(void **state)
{
    unsigned puts[3];

    (void)state;
    start_shards(3);
    for (int i = 0; i < 3; i++)
        puts[i] = nodes[i].registry.counts[REGISTRY_PUT];
    server.down = true;
    fake_env_advance(&fake, 5000);
    registry_model_init(&server.model);
    server.down = false;
    start_shard(3);
    fake_env_advance(&fake, 3000);
    assert_int_equal(ring_count(membership_ring(nodes[3].m)), 4);
    for (int i = 0; i < 3; i++) /* the others had to do nothing for their place */
        assert_int_equal(nodes[i].registry.counts[REGISTRY_PUT], puts[i]);
    assert_int_equal(ring_identity_compare(nodes[0].last, nodes[3].last), 0);
}

static void dead_shard_is_not_evicted_within_one_ttl_of_a_restore(void **state)
{
    uint64_t restored;

    (void)state;
    start_shards(3);
    stop(&nodes[1]);
    registry_model_init(&server.model);
    while (server.model.epoch == 0)
        fake_env_advance(&fake, 10);
    restored = fake.now_ms;
    time_until_gone(&nodes[0], "shard-1", 4 * LEASE_TTL_MS);
    assert_true(fake.now_ms - restored >= LEASE_TTL_MS);
}

static void registry_that_lost_writes_is_brought_forward(void **state)
{
    struct registry_model old;
    struct ring_identity newest;

    (void)state;
    start_shards(2);
    old = server.model;
    start_shard(2);
    fake_env_advance(&fake, 3000);
    newest = nodes[0].last;
    server.model = old; /* a failover to a replica that was behind */
    fake_env_advance(&fake, 5000);
    assert_true(server.model.epoch >= newest.epoch);
    assert_int_equal(server.model.n_members, 3);
    assert_true(membership_is_confirmed(nodes[2].m));
}

static void ring_is_learned_from_a_peer_while_the_registry_is_down(void **state)
{
    struct node *cut = start(7, "gateway-1", 0);
    const struct ring *newer;

    (void)state;
    start_shards(2);
    cut->registry.cut = true;
    start_shard(2);
    fake_env_advance(&fake, 3000);
    assert_int_equal(ring_count(membership_ring(cut->m)), 2);
    newer = membership_ring(nodes[0].m);
    assert_int_equal(membership_learn(cut->m, ring_identity(newer).epoch, ring_encoded(newer)),
                     0);
    assert_int_equal(ring_count(membership_ring(cut->m)), 3);
    assert_int_equal(membership_learn(cut->m, 1, SLICE_LIT("\x00\x00")),
                     0); /* older: ignored */
    assert_int_equal(ring_count(membership_ring(cut->m)), 3);
    assert_int_equal(membership_learn(cut->m, UINT64_MAX, SLICE_LIT("\x09")), -EBADMSG);
    cut->registry.cut = false;
    fake_env_advance(&fake, 5000);
    assert_int_equal(ring_identity_compare(cut->last, nodes[0].last), 0);
}

static void shard_cut_from_the_registry_is_evicted_and_returns(void **state)
{
    (void)state;
    start_shards(3);
    nodes[1].registry.cut = true;
    time_until_gone(&nodes[0], "shard-1", 3 * LEASE_TTL_MS);
    assert_false(membership_is_confirmed(nodes[1].m));
    nodes[1].registry.cut = false;
    fake_env_advance(&fake, 5000);
    assert_true(is_listed(&nodes[0], "shard-1"));
    assert_true(membership_is_confirmed(nodes[1].m));
}

static void draining_shard_stays_listed_until_it_leaves(void **state)
{
    (void)state;
    start_shards(2);
    membership_drain(nodes[1].m);
    fake_env_advance(&fake, 100);
    assert_true(ring_find(membership_ring(nodes[0].m), SLICE_LIT("shard-1"))->draining);
    fake_env_advance(&fake, 10000);
    assert_true(is_listed(&nodes[0], "shard-1"));
    assert_true(membership_is_confirmed(nodes[1].m));
    membership_leave(nodes[1].m);
    assert_int_equal(nodes[1].left, 0);
    fake_env_advance(&fake, 100);
    assert_int_equal(nodes[1].left, 1);
    assert_false(is_listed(&nodes[0], "shard-1"));
    fake_env_advance(&fake, 10000);
    assert_int_equal(nodes[1].left, 1);
    assert_false(is_listed(&nodes[0], "shard-1"));
}

static void leaving_ends_in_bounded_time_without_the_registry(void **state)
{
    (void)state;
    start_shards(2);
    nodes[1].registry.cut = true;
    membership_leave(nodes[1].m);
    fake_env_advance(&fake, LEASE_TTL_MS);
    assert_int_equal(nodes[1].left, 1);
    server.down = true;
    membership_leave(nodes[0].m);
    fake_env_advance(&fake, LEASE_TTL_MS);
    assert_int_equal(nodes[0].left, 1);
}

/* Random outages, crashes and lies; afterwards all agree, and everybody who lives is on the
 * ring. */
static void everybody_settles_on_one_ring(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        uint64_t incarnation = 1000;

        teardown(NULL);
        setup(NULL);
        fake.random_state = seed;
        srand(seed);
        start(6, "gateway-1", 0);
        start(7, "gateway-2", 0);
        start_shards(4);
        for (int step = 0; step < 60; step++) {
            int i = rand() % 4;
            char id[16];

            snprintf(id, sizeof(id), "shard-%d", i);
            switch (rand() % 8) {
            case 0:
                stop(&nodes[i]);
                break;
            case 1:
                stop(&nodes[i]);
                start(i, id, ++incarnation);
                break;
            case 2:
                server.down = !server.down;
                break;
            case 3:
                if (rand() % 4 == 0)
                    registry_model_init(&server.model);
                break;
            case 4:
                membership_suspect(nodes[6].m, slice_str(id), MEMBERSHIP_REFUSED);
                membership_suspect(nodes[7].m, slice_str(id), MEMBERSHIP_REFUSED);
                break;
            case 5:
                nodes[7].registry.cut = !nodes[7].registry.cut;
                break;
            default:
                break;
            }
            fake_env_advance(&fake, (uint64_t)(rand() % 3000));
        }
        server.down = false;
        nodes[7].registry.cut = false;
        for (int i = 0; i < 4; i++) {
            if (!nodes[i].m)
                start(i, (char[]){'s', 'h', 'a', 'r', 'd', '-', (char)('0' + i), 0},
                      ++incarnation);
        }
        fake_env_advance(&fake, 60000);
        for (int i = 0; i < NODES; i++) {
            if (!nodes[i].m)
                continue;
            CHECK_EQ(ring_count(membership_ring(nodes[i].m)), 4, nodes[i].id);
            CHECK(ring_identity_compare(nodes[i].last, nodes[6].last) == 0, nodes[i].id);
            CHECK(i >= 4 || membership_is_confirmed(nodes[i].m), nodes[i].id);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(shards_join_and_a_gateway_sees_them),
        T(first_shard_founds_quickly),
        T(gateway_alone_founds_nothing),
        T(silent_shard_is_evicted_when_its_lease_ends),
        T(refusing_shard_is_evicted_by_two_observers_at_once),
        T(refusing_shard_is_evicted_by_one_observer_within_1500_ms),
        T(renewing_shard_survives_one_liar),
        T(restart_replaces_the_old_process_at_once),
        T(older_process_of_the_same_id_stops),
        T(lower_incarnation_takes_over_when_the_lease_has_ended),
        T(last_shard_is_never_evicted),
        T(at_most_a_third_goes_per_window),
        T(evicted_by_mistake_comes_back_ever_later),
        T(outage_keeps_the_ring_and_evicts_nobody_afterwards),
        T(emptied_registry_gets_the_ring_back_unchanged),
        T(newcomer_on_an_emptied_registry_waits_for_the_ring),
        T(dead_shard_is_not_evicted_within_one_ttl_of_a_restore),
        T(registry_that_lost_writes_is_brought_forward),
        T(ring_is_learned_from_a_peer_while_the_registry_is_down),
        T(shard_cut_from_the_registry_is_evicted_and_returns),
        T(draining_shard_stays_listed_until_it_leaves),
        T(leaving_ends_in_bounded_time_without_the_registry),
        T(everybody_settles_on_one_ring),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
