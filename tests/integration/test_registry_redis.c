/*
 * test_registry_redis.c - the registry script on a real Redis: step by step
 * the same as the model that the unit tests and the simulator trust, and whole
 * memberships through outages. Time passes by shifting what is stored, not by
 * waiting.
 */
#include <stdlib.h>

#include "tests/integration/registry_nodes.h"
#include "tests/support/registry_model.h"
#include "tests/support/test.h"

/* Lets everything that is stored grow older. */
static void travel(uint64_t ms)
{
    static const char script[] =
        "local P, ms = KEYS[1], tonumber(ARGV[1])\n"
        "local function sooner(pattern)\n"
        "  for _, key in ipairs(redis.call('KEYS', P..pattern)) do\n"
        "    local left = redis.call('PTTL', key) - ms\n"
        "    if left <= 0 then redis.call('DEL', key) else redis.call('PEXPIRE', key, left) "
        "end\n"
        "  end\n"
        "end\n"
        "sooner('lease:*') sooner('suspect:*') sooner('ring:grace') sooner('ring:asked')\n"
        "for _, key in ipairs(redis.call('KEYS', P..'hold:*')) do\n"
        "  local who, hold, at = string.match(redis.call('GET', key), '^(%d+) (%d+) (%d+)$')\n"
        "  redis.call('SET', key, who..' '..hold..' '..string.format('%.0f', tonumber(at) - "
        "ms), 'KEEPTTL')\n"
        "end\n"
        "sooner('hold:*')\n"
        "local z = P..'ring:evictions'\n"
        "for _, m in ipairs(redis.call('ZRANGE', z, 0, -1)) do redis.call('ZINCRBY', z, -ms, "
        "m) end\n"
        "return 0\n";
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)ms);
    redis_eval(script, text);
}

static uint64_t server_ms(void)
{
    return (uint64_t)redis_eval(
        "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)", "");
}

/* ---- against the model ---- */

static struct registry_model model;
static uint64_t travelled_ms;
static size_t evicted;
static struct {
    bool done;
    int r;
    struct ring *ring; /* of the view */
    uint64_t epoch;
    uint64_t ages[8];
} got;

static void compare_on_reply(void *owner, enum registry_op op, int r,
                             const struct registry_view *view)
{
    (void)owner;
    (void)op;
    got.done = true;
    got.r = r;
    assert_non_null(view);
    ring_unref(got.ring);
    assert_int_equal(ring_new(1, view->members, view->n, &got.ring), 0);
    got.epoch = view->epoch;
    for (size_t i = 0; i < view->n; i++) {
        for (size_t j = 0; j < view->n; j++) {
            if (slice_eq(ring_at(got.ring, j)->id, view->members[i].id))
                got.ages[j] = view->lease_age_ms[i];
        }
    }
}

static void compare_on_hint(void *owner)
{
    (void)owner;
}

static const struct registry_events compare_events = {compare_on_reply, compare_on_hint};

static void check_same(int want, uint64_t epoch_before, uint64_t model_epoch_before)
{
    AUTO(ring_unref) struct ring *ring = NULL;
    struct registry_view view = registry_model_view(&model, server_ms() + travelled_ms);

    assert_int_equal(got.r, want);
    assert_int_equal(ring_new(1, view.members, view.n, &ring), 0);
    assert_true(slice_eq(ring_encoded(ring), ring_encoded(got.ring)));
    assert_int_equal(got.epoch != epoch_before, model.epoch != model_epoch_before);
    assert_true(got.epoch >= epoch_before);
    for (size_t i = 0; i < view.n; i++) {
        uint64_t want_age = 0, real = 0;

        for (size_t j = 0; j < view.n; j++) {
            if (slice_eq(ring_at(ring, i)->id, view.members[j].id))
                want_age = view.lease_age_ms[j];
        }
        real = got.ages[i];
        if (want_age == REGISTRY_LEASE_EXPIRED)
            assert_true(real == REGISTRY_LEASE_EXPIRED);
        else
            assert_true(real <= want_age + 50 && want_age <= real + 300);
    }
    model.epoch = got.epoch; /* the clocks differ by what was travelled */
}

/* Steps are far from every boundary of time (by hundreds of ms), so that the two clocks may
 * differ a little. */
static const uint64_t jumps_ms[] = {0, 0, 0, 350, 1500, 3500, 11000, 25000, 45000};

static void random_step(struct registry *registry)
{
    static const char *const ids[] = {"a", "b", "c", "d"};
    static const char *const observers[] = {"g1", "g2"};
    struct slice id = slice_str(ids[rand() % 4]);
    uint64_t incarnation = (uint64_t)(rand() % 2) + (rand() % 4 ? 1 : UINT64_MAX - 2);
    uint64_t now = server_ms() + travelled_ms, known = 0;
    uint64_t model_before = model.epoch, before = model.epoch;
    struct ring_member member = {
        .id = id,
        .address = SLICE_LIT("10.0.0.1:7000"),
        .incarnation = incarnation,
        .weight = 1 + (uint32_t)rand() % 3,
        .draining = rand() % 4 == 0,
    };
    struct registry_eviction eviction = {
        .id = id,
        .incarnation = incarnation,
        .observer = slice_str(observers[rand() % 2]),
        .refused = rand() % 2,
        .trust_leases = rand() % 2,
    };
    AUTO(ring_unref) struct ring *ring = NULL;
    bool found = rand() % 4 == 0;
    int want = 0, r = 0;

    got.done = false;
    for (size_t i = 0; i < model.n_members; i++) { /* mostly hit what is there */
        if (slice_eq_str(id, model.members[i].id) && rand() % 4)
            eviction.incarnation = model.members[i].incarnation;
    }
    switch (rand() % 12) {
    case 0:
    case 1:
    case 2:
        want = registry_model_put(&model, now, &member, known, found);
        r = registry->ops->put(registry, &member, known, found);
        break;
    case 3:
    case 4:
        want = registry_model_renew(&model, now, id, eviction.incarnation);
        r = registry->ops->renew(registry, id, eviction.incarnation);
        break;
    case 5:
        want = registry_model_remove(&model, now, id, eviction.incarnation, known);
        r = registry->ops->remove(registry, id, eviction.incarnation, known);
        break;
    case 6:
        assert_int_equal(ring_new(model.epoch + 5, &member, 1, &ring), 0);
        before = rand() % 2 ? model.epoch : 1;
        want = registry_model_restore(&model, now, ring, before);
        r = registry->ops->restore(registry, ring, before);
        before = model_before;
        break;
    case 7:
        want = registry_model_read(&model, now);
        r = registry->ops->read(registry);
        break;
    default:
        want = registry_model_evict(&model, now, &eviction);
        evicted += model.epoch != model_before;
        r = registry->ops->evict(registry, &eviction);
        break;
    }
    assert_int_equal(r, 0);
    NET_UNTIL(&net, got.done);
    check_same(want, before, model_before);
}

static void put_both(struct registry *registry, const char *id)
{
    struct ring_member member = {
        .id = slice_str(id), .address = SLICE_LIT("h:1"), .incarnation = 1, .weight = 1};
    uint64_t before = model.epoch;
    int want = registry_model_put(&model, server_ms() + travelled_ms, &member, 0, true);

    got.done = false;
    assert_int_equal(registry->ops->put(registry, &member, 0, true), 0);
    NET_UNTIL(&net, got.done);
    check_same(want, before, before);
}

static void evict_both(struct registry *registry, const char *id, const char *observer)
{
    struct registry_eviction eviction = {.id = slice_str(id),
                                         .incarnation = 1,
                                         .observer = slice_str(observer),
                                         .refused = true};
    uint64_t before = model.epoch;
    int want = registry_model_evict(&model, server_ms() + travelled_ms, &eviction);

    evicted += model.epoch != before;
    got.done = false;
    assert_int_equal(registry->ops->evict(registry, &eviction), 0);
    NET_UNTIL(&net, got.done);
    check_same(want, before, before);
}

/* One shard that lives and is evicted over and over: the hold doubles up to its maximum. */
static void flap(struct registry *registry)
{
    evicted = 0;
    put_both(registry, "b");
    for (int i = 0; i < 90; i++) {
        put_both(registry, "a");
        evict_both(registry, "a", "g1");
        evict_both(registry, "a", "g2");
        travel(6000);
        travelled_ms += 6000;
    }
    assert_int_equal(evicted, 7); /* at 0, 12, 36, 78, 162, 324 and 486 s */
    evicted = 0;
}

static void script_does_what_the_model_does(void **state)
{
    struct registry *registry;
    (void)state;
    assert_int_equal(registry_redis_new(net.loop, &redis_at, NODES_PREFIX, &registry), 0);
    NET_UNTIL(&net, registry->ops->read(registry) == 0);
    registry_set_events(registry, &compare_events, NULL);
    NET_UNTIL(&net, got.done);
    flap(registry);
    for (unsigned seed = 1; seed <= 12; seed++) {
        srand(seed);
        redis_eval("return redis.call('FLUSHALL') and 0", "");
        registry_model_init(&model);
        travelled_ms = 0;
        for (int step = 0; step < 150; step++) {
            uint64_t jump = jumps_ms[(size_t)rand() % ARRAY_LEN(jumps_ms)];

            if (jump) {
                travel(jump);
                travelled_ms += jump;
            }
            random_step(registry);
        }
    }
    assert_true(evicted > 20); /* else the test has not reached the rules */
    ring_unref(TAKE(got.ring));
    registry_redis_free(registry);
}

/* ---- whole memberships ---- */

static void cluster_survives_an_emptied_redis(void **state)
{
    struct ring_identity before;
    uint64_t begin;

    (void)state;
    nodes_start(3, "gateway-1", 0);
    nodes_start(0, "shard-0", 10);
    nodes_start(1, "shard-1", 11);
    NET_UNTIL(&net, nodes_agree(2, 2));
    before = ring_identity(membership_ring(nodes[3].m));
    redis_server_kill(&redis);
    NET_UNTIL(&net, !membership_is_confirmed(nodes[0].m));
    assert_int_equal(ring_identity_compare(ring_identity(membership_ring(nodes[3].m)), before),
                     0);
    redis_server_restart(&redis);
    NET_UNTIL(&net, nodes_agree(2, 2) && membership_is_registry_up(nodes[3].m));
    assert_int_equal(ring_identity_compare(ring_identity(membership_ring(nodes[3].m)), before),
                     0);

    begin = net_clock_ms(); /* a change reaches everybody by hint, long before the next poll */
    membership_leave(nodes[1].m);
    NET_UNTIL(&net, ring_count(membership_ring(nodes[3].m)) == 1 && nodes[1].left == 1);
    assert_true(net_clock_ms() - begin < RING_POLL_MS / 2);
    nodes_stop(0);
    nodes_stop(1);
    nodes_stop(3);
}

static void killed_shard_is_gone_within_1500_ms(void **state)
{
    uint64_t begin;

    (void)state;
    nodes_start(3, "gateway-1", 0);
    nodes_start(0, "shard-0", 10);
    nodes_start(1, "shard-1", 11);
    NET_UNTIL(&net, nodes_agree(2, 2));
    begin = net_clock_ms();
    while (net_clock_ms() - begin <
           LEASE_TTL_MS + 2 * RING_POLL_MS) /* until leases are trusted */
        net_turn(&net);
    nodes_stop(1);
    begin = net_clock_ms();
    membership_suspect(nodes[3].m, SLICE_LIT("shard-1"), MEMBERSHIP_REFUSED);
    NET_UNTIL(&net, ring_count(membership_ring(nodes[3].m)) == 1);
    assert_true(net_clock_ms() - begin < 1500);
    nodes_stop(0);
    nodes_stop(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, nodes_setup, nodes_teardown)
        T(script_does_what_the_model_does),
        T(cluster_survives_an_emptied_redis),
        T(killed_shard_is_gone_within_1500_ms),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
