/* test_membership.c - joining, leases and outages, on a fake clock and registry. */
#include <errno.h>
#include <stdlib.h>

#include "tests/support/test.h"
#include "tests/unit/cluster/members.h"

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
        T(restart_replaces_the_old_process_at_once),
        T(older_process_of_the_same_id_stops),
        T(lower_incarnation_takes_over_when_the_lease_has_ended),
        T(outage_keeps_the_ring_and_evicts_nobody_afterwards),
        T(emptied_registry_gets_the_ring_back_unchanged),
        T(newcomer_on_an_emptied_registry_waits_for_the_ring),
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
