/* test_shrink.c - the shrinker on made-up campaigns: it keeps what is needed, and little else;
 * seeds that kill their process are seeds that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/sim/sim_jobs.h"
#include "tests/sim/sim_shrink.h"

#define FAULTS 40

static bool has(const struct sim_options *o, uint32_t number)
{
    bool found = !o->only && number <= FAULTS;

    for (size_t i = 0; o->only && i < o->n_only; i++)
        found |= o->only[i] == number;
    return found;
}

/* Two faults together, late, with at least three clients. */
static unsigned needs_two_faults(const struct sim_options *o)
{
    o->tally->n_drawn = FAULTS;
    return has(o, 3) && has(o, 29) && o->duration_ms >= 1234 &&
           (o->max_clients == 0 || o->max_clients >= 3);
}

static unsigned never(const struct sim_options *o)
{
    o->tally->n_drawn = FAULTS;
    return 0;
}

static unsigned dies_of_seven(const struct sim_options *o)
{
    o->tally->n_drawn = FAULTS;
    if (has(o, 7))
        abort();
    return 0;
}

static unsigned each_tenth(const struct sim_options *o)
{
    if (o->seed % 20 == 0)
        abort();
    return o->seed % 20 == 10;
}

static const char *no_faults(unsigned kind)
{
    (void)kind;
    return NULL;
}

static struct sim_campaign campaign(unsigned (*run)(const struct sim_options *options))
{
    return (struct sim_campaign){
        .name = "made-up", .summary = "made-up", .run = run, .fault_name = no_faults};
}

static void what_is_needed_is_left(void **state)
{
    struct sim_campaign c = campaign(needs_two_faults);
    struct sim_options options = {.seed = 1, .duration_ms = 12000}, least;

    (void)state;
    assert_true(sim_shrink_find(&c, &options, &least));
    assert_int_equal(least.n_only, 2);
    assert_int_equal(least.only[0], 3);
    assert_int_equal(least.only[1], 29);
    assert_in_range(least.duration_ms, 1234, 1234 + 100);
    assert_int_equal(least.max_clients, 3);
    assert_int_equal(least.max_rooms, 1);
    assert_true(least.is_calm);
    free((void *)(uintptr_t)least.only);
}

static void a_seed_that_does_not_fail_is_not_shrunk(void **state)
{
    struct sim_campaign c = campaign(never);
    struct sim_options options = {.seed = 1, .duration_ms = 12000}, least;

    (void)state;
    assert_false(sim_shrink_find(&c, &options, &least));
}

static void a_run_that_dies_is_shrunk_too(void **state)
{
    struct sim_campaign c = campaign(dies_of_seven);
    struct sim_options options = {.seed = 1, .duration_ms = 500}, least;

    (void)state;
    assert_true(sim_shrink_find(&c, &options, &least));
    assert_int_equal(least.n_only, 1);
    assert_int_equal(least.only[0], 7);
    free((void *)(uintptr_t)least.only);
}

static void seeds_that_die_are_counted_and_the_others_go_on(void **state)
{
    struct sim_campaign c = campaign(each_tenth);
    struct sim_options options = {.seed = 1, .duration_ms = 1};
    struct sim_outcome outcome;

    (void)state;
    sim_jobs_run(&c, &options, 100, 3, &outcome);
    assert_int_equal(outcome.n_passed, 90);
    assert_int_equal(outcome.n_failed, 10);
    assert_int_equal(outcome.n_known, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(outcome.failed[i], 10 * (i + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_needed_is_left),
        cmocka_unit_test(a_seed_that_does_not_fail_is_not_shrunk),
        cmocka_unit_test(a_run_that_dies_is_shrunk_too),
        cmocka_unit_test(seeds_that_die_are_counted_and_the_others_go_on),
    };

    return cmocka_run_group_tests_name("shrink", tests, NULL, NULL);
}
