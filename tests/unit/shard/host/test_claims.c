/* test_claims.c - many rooms that are to be activated at once (claims.h). */
#include <stdio.h>

#include "common/base/limits.h"
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

static void enter(struct fx_gate *g, uint64_t number, uint32_t flags)
{
    char room[24];

    (void)snprintf(room, sizeof(room), "none-%llu", (unsigned long long)number);
    FX_ATTACH(g, .number = number, .room = room, .user = "ann", .flags = flags);
}

static void so_many_are_under_way_and_the_rest_follows(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    enum { N = 3 * CLAIMS_MAX };

    (void)state;
    fx_init(&fx);
    for (uint64_t i = 1; i <= N; i++)
        enter(g, i, 0);
    assert_int_equal(fx.host->claims.n_out, CLAIMS_MAX);
    assert_int_equal(fx.host->claims.n_waiting, N - CLAIMS_MAX);
    for (int i = 0; i < 10; i++)
        fx_run(&fx);
    assert_int_equal(fx.host->claims.n_out, 0);
    assert_int_equal(fx.host->claims.n_waiting, 0);
    assert_int_equal(fx_count(g, "1008 not_member"), N);
    fx_deinit(&fx);
}

/* The end of one claim lets the next begin: the first answers are those of rooms that were
 * live. */
static void rooms_that_were_live_go_first(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    enum { N = 3 * CLAIMS_MAX };

    (void)state;
    fx_init(&fx);
    for (uint64_t i = 1; i <= N; i++)
        enter(g, i, 0);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    FX_ATTACH(&fx.gates[1], .number = 2, .room = "none-150", .user = "bob",
              .flags = ATTACH_REATTACH); /* waits already */
    while (!fx_got(&fx.gates[1], "attached 1 ") || !fx_got(&fx.gates[1], "close 2 "))
        fake_env_advance(&fx.fake, 1);
    assert_true(fx_count(g, "not_member") <= 2 * CLAIMS_MAX + 2);
    assert_true(fx_got(g, "close 150 "));
    assert_false(fx_got(g, "close 149 "));
    fx_deinit(&fx); /* with some who wait */
}

static void too_many_are_told_to_come_back(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    enum { N = CLAIMS_MAX + CLAIMS_WAITING_MAX };

    (void)state;
    fx_init(&fx);
    for (uint64_t i = 1; i <= N; i++)
        enter(g, i, 0);
    assert_int_equal(fx.metrics.rooms_refused, 0);
    enter(g, N + 1, 0);
    fx_expect(g, "close 50065 1013 overloaded\n", "one too many");
    assert_int_equal(fx.metrics.rooms_refused, 1);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_are_under_way_and_the_rest_follows),
        cmocka_unit_test(rooms_that_were_live_go_first),
        cmocka_unit_test(too_many_are_told_to_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
