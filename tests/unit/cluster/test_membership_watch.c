/* test_membership_watch.c - who is evicted and who is not, and what comes of hints, on a fake
 * clock and registry. */
#include "tests/support/test.h"
#include "tests/unit/cluster/members.h"

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

/* A gateway that reaches nobody, or lies, says so of every shard, again and again. */
static void a_gateway_that_reaches_nobody_evicts_nobody(void **state)
{
    struct node *bad = start(6, "gateway-1", 0), *good = start(7, "gateway-2", 0);
    struct ring_identity before;

    (void)state;
    start_shards(4);
    before = good->last;
    for (int i = 0; i < 600; i++) {
        for (int s = 0; s < 4; s++) {
            char id[16];

            snprintf(id, sizeof(id), "shard-%d", s);
            membership_suspect(bad->m, slice_str(id), (enum membership_evidence)(i % 3));
        }
        fake_env_advance(&fake, 100);
        assert_int_equal(ring_identity_compare(good->last, before), 0);
    }
    assert_true(membership_metrics(bad->m).evictions_refused > 100);
    assert_int_equal(membership_metrics(bad->m).evictions_done, 0);
}

/* Two gateways that are cut off from a shard which lives: it goes and comes, but ever more
 * seldom. */
static void a_flapping_shard_stays_live(void **state)
{
    struct node *a = start(6, "gateway-1", 0), *b = start(7, "gateway-2", 0);
    uint64_t listed = 0, total = 0;

    (void)state;
    start_shards(4);
    for (uint64_t end = fake.now_ms + 1200000; fake.now_ms < end;) {
        membership_suspect(a->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
        membership_suspect(b->m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
        fake_env_advance(&fake, 100);
        if (fake.now_ms + 600000 < end)
            continue;
        total++;
        listed += is_listed(a, "shard-1");
    }
    assert_in_range(listed, total * 8 / 10, total);
}

/* shard-1 is dead and must stay on the ring for a long hold; shard-2 dies as well. */
static void one_in_a_long_hold_does_not_hide_the_next(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);
    struct model_note hold = {
        .id = "shard-1", .incarnation = 101, .hold_ms = EVICT_HOLD_MAX_MS};

    (void)state;
    start_shards(6);
    hold.at_ms = wall_ms(NULL);
    server.model.holds[server.model.n_holds++] = hold;
    stop(&nodes[1]);
    fake_env_advance(&fake, 2 * LEASE_TTL_MS);
    assert_true(is_listed(gateway, "shard-1"));
    stop(&nodes[2]);
    assert_true(time_until_gone(gateway, "shard-2", LEASE_TTL_MS + 3 * RING_POLL_MS) > 0);
    assert_true(is_listed(gateway, "shard-1"));
}

/* Anybody who reaches Redis can publish. */
static void hints_are_followed_at_once_but_not_each(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);
    unsigned reads;

    (void)state;
    start_shards(2);
    fake_env_advance(&fake, RING_HINT_MS);
    reads = gateway->registry.counts[REGISTRY_READ];
    gateway->registry.registry.events->on_hint(gateway->registry.registry.owner);
    assert_int_equal(gateway->registry.counts[REGISTRY_READ], reads + 1);
    for (int i = 0; i < 2000; i++) {
        gateway->registry.registry.events->on_hint(gateway->registry.registry.owner);
        if (i % 2)
            fake_env_advance(&fake, 1);
    }
    assert_in_range(gateway->registry.counts[REGISTRY_READ] - reads, 1000 / RING_HINT_MS - 2,
                    1000 / RING_HINT_MS + 4);
}

/* Operations arrive, answers do not: the shard does not know that its lease is renewed. */
static void a_deaf_shard_keeps_its_place_and_checks_its_fences(void **state)
{
    struct node *gateway = start(7, "gateway-1", 0);

    (void)state;
    start_shards(3);
    nodes[1].registry.deaf = true;
    fake_env_advance(&fake, LEASE_TTL_MS + RING_POLL_MS);
    assert_false(membership_is_confirmed(nodes[1].m));
    assert_false(membership_is_registry_up(nodes[1].m));
    nodes[1].registry.deaf = false;
    fake_env_advance(&fake, 2 * LEASE_TTL_MS);
    assert_true(membership_is_confirmed(nodes[1].m));
    assert_true(is_listed(gateway, "shard-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(silent_shard_is_evicted_when_its_lease_ends),
        T(refusing_shard_is_evicted_by_two_observers_at_once),
        T(refusing_shard_is_evicted_by_one_observer_within_1500_ms),
        T(renewing_shard_survives_one_liar),
        T(last_shard_is_never_evicted),
        T(at_most_a_third_goes_per_window),
        T(evicted_by_mistake_comes_back_ever_later),
        T(dead_shard_is_not_evicted_within_one_ttl_of_a_restore),
        T(a_gateway_that_reaches_nobody_evicts_nobody),
        T(a_flapping_shard_stays_live),
        T(one_in_a_long_hold_does_not_hide_the_next),
        T(hints_are_followed_at_once_but_not_each),
        T(a_deaf_shard_keeps_its_place_and_checks_its_fences),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
