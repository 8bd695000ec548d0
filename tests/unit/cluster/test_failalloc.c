/* test_failalloc.c - no allocation that fails leaks or crashes the ring and the membership. */
#include <errno.h>
#include <stdlib.h>

#include "common/cluster/membership.h"
#include "tests/support/failalloc.h"
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

static const struct ring_member members[2] = {
    {.id = {"a", 1}, .address = {"h:1", 3}, .incarnation = 1, .weight = 1},
    {.id = {"b", 1}, .address = {"h:2", 3}, .incarnation = 2, .weight = 2},
};

static void build_and_decode(void *arg)
{
    struct ring *ring = NULL, *copy = NULL;
    int r = ring_new(7, members, 2, &ring);

    (void)arg;
    if (r < 0) {
        assert_int_equal(r, -ENOMEM);
        return;
    }
    r = ring_decode(7, ring_encoded(ring), &copy);
    assert_true(r == 0 || r == -ENOMEM);
    assert_true((r == 0) == (copy != NULL));
    ring_unref(ring);
    ring_unref(copy);
}

static void rings_survive_failing_allocations(void **state)
{
    (void)state;
    assert_true(failalloc_run(build_and_decode, NULL) > 4);
}

/* A registry that takes a read and nothing else; its replies are the test's. */

static int stub_read(struct registry *r)
{
    (void)r;
    return 0;
}

static int stub_put(struct registry *r, const struct ring_member *m, uint64_t known, bool found)
{
    (void)r, (void)m, (void)known, (void)found;
    return -ENOTCONN;
}

static int stub_renew(struct registry *r, struct slice id, uint64_t incarnation)
{
    (void)r, (void)id, (void)incarnation;
    return -ENOTCONN;
}

static int stub_remove(struct registry *r, struct slice id, uint64_t incarnation,
                       uint64_t known)
{
    (void)r, (void)id, (void)incarnation, (void)known;
    return -ENOTCONN;
}

static int stub_evict(struct registry *r, const struct registry_eviction *e)
{
    (void)r, (void)e;
    return -ENOTCONN;
}

static int stub_restore(struct registry *r, const struct ring *ring, uint64_t expected)
{
    (void)r, (void)ring, (void)expected;
    return -ENOTCONN;
}

static const struct registry_ops stub_ops = {stub_put,   stub_renew, stub_remove,
                                             stub_evict, stub_read,  stub_restore};

static void on_ring(void *owner, const struct ring *ring)
{
    (void)owner;
    assert_true(ring_identity(ring).epoch >= 7);
}

static const struct membership_events events = {.on_ring = on_ring};

static void watch_a_ring(void *arg)
{
    static const uint64_t ages[2] = {0, 0};
    struct membership_config config = {.node_id = SLICE_LIT("b"), .self = members[1]};
    struct registry_view view = {.epoch = 7, .n = 2, .members = members, .lease_age_ms = ages};
    struct registry registry = {.ops = &stub_ops};
    struct membership *m = NULL;
    struct fake_env *fake = arg;
    int r = membership_new(&fake->env, &registry, &config, &events, NULL, &m);

    if (r < 0) {
        assert_int_equal(r, -ENOMEM);
        assert_null(registry.events);
        return;
    }
    registry.events->on_reply(registry.owner, REGISTRY_READ, 0, &view);
    assert_true(ring_count(membership_ring(m)) == 2 || failalloc_has_failed());
    registry.events->on_reply(registry.owner, REGISTRY_READ, 0, &view);
    assert_int_equal(ring_count(membership_ring(m)),
                     2); /* at the latest with the second view */
    r = membership_learn(m, 9, SLICE_LIT("\x00\x00"));
    assert_true(r == -ENOMEM || ring_count(membership_ring(m)) == 0);
    membership_free(m);
}

static void memberships_survive_failing_allocations(void **state)
{
    struct fake_env fake;

    (void)state;
    fake_env_init(&fake, 1);
    assert_true(failalloc_run(watch_a_ring, &fake) > 8);
    fake_env_deinit(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_survive_failing_allocations),
        cmocka_unit_test(memberships_survive_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
