/* test_timers.c - order of timers, cancelling and re-arming from callbacks; end-of-turn work.
 */
#include "common/base/timers.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

enum { MANY = 500 };

struct ran {
    struct timer *order[4 * MANY];
    size_t n;
};
static struct ran ran;

static void note(struct timer *timer, void *arg)
{
    (void)arg;
    ran.order[ran.n++] = timer;
}

static void setup(struct timers *timers)
{
    ran.n = 0;
    timers_init(timers);
}

static void run_in_order_of_time_then_of_setting(void **state)
{
    static struct timer all[MANY];
    struct timers timers;
    unsigned random = 12345;

    (void)state;
    setup(&timers);
    for (size_t i = 0; i < MANY; i++) {
        timer_init(&all[i], note, NULL);
        random = random * 1103515245 + 12345;
        assert_int_equal(timer_set(&timers, &all[i], (random >> 16) % 50), 0);
    }
    for (size_t i = 0; i < MANY; i += 3) /* some move, some go */
        assert_int_equal(timer_set(&timers, &all[i], i % 50), 0);
    for (size_t i = 1; i < MANY; i += 7) {
        timer_cancel(&timers, &all[i]);
        timer_cancel(&timers, &all[i]);
        assert_false(timer_is_armed(&all[i]));
    }
    size_t expected = timers.count;
    for (uint64_t now = 0; now < 50; now++) {
        assert_true(timers_next(&timers) >= now);
        timers_run(&timers, now, SIZE_MAX);
    }
    assert_int_equal(ran.n, expected);
    for (size_t i = 1; i < ran.n; i++) {
        struct timer *a = ran.order[i - 1], *b = ran.order[i];

        assert_true(a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order));
    }
    assert_true(timers_next(&timers) == UINT64_MAX);
    timers_deinit(&timers);
}

static struct timers *shared;
static struct timer *victim;

static void rearm_now(struct timer *timer, void *arg)
{
    note(timer, arg);
    assert_int_equal(timer_set(shared, timer, 0), 0);
}

static void kill_other(struct timer *timer, void *arg)
{
    note(timer, arg);
    timer_cancel(shared, victim);
}

static void rearmed_for_the_past_waits_and_starves_nobody(void **state)
{
    struct timers timers;
    struct timer greedy, patient;

    (void)state;
    setup(&timers);
    shared = &timers;
    timer_init(&greedy, rearm_now, NULL);
    timer_init(&patient, note, NULL);
    assert_int_equal(timer_set(&timers, &greedy, 5), 0);
    assert_int_equal(timer_set(&timers, &patient, 9), 0);
    assert_int_equal(timers_run(&timers, 10, SIZE_MAX), 2);
    assert_ptr_equal(ran.order[1], &patient);
    assert_true(timers_next(&timers) <= 10);
    assert_int_equal(timer_set(&timers, &patient, 8), 0);
    assert_int_equal(timers_run(&timers, 10, 1), 1); /* max 1: greedy, which was set first */
    assert_ptr_equal(ran.order[2], &greedy);
    assert_int_equal(timers_run(&timers, 10, 1), 1); /* now the other, although greedy says 0 */
    assert_ptr_equal(ran.order[3], &patient);
    timers_deinit(&timers);
    assert_false(timer_is_armed(&greedy));
}

static void callback_may_cancel_a_due_one(void **state)
{
    struct timers timers;
    struct timer a, b;

    (void)state;
    setup(&timers);
    shared = &timers;
    victim = &b;
    timer_init(&a, kill_other, NULL);
    timer_init(&b, note, NULL);
    assert_int_equal(timer_set(&timers, &a, 1), 0);
    assert_int_equal(timer_set(&timers, &b, 1), 0);
    assert_int_equal(timers_run(&timers, 1, SIZE_MAX), 1);
    assert_int_equal(ran.n, 1);
    timers_deinit(&timers);
}

/* ---- end of turn ---- */

struct work {
    struct later later;
    struct env *env;
    int runs, again;
};

static void work_run(struct later *later, void *arg)
{
    struct work *work = arg;

    assert_ptr_equal(later, &work->later);
    work->runs++;
    if (work->again-- > 0)
        env_later(work->env, later);
}

static void later_work_is_bounded_and_queued_once(void **state)
{
    struct fake_env f;
    struct work once = {.again = 0}, often = {.again = 100}, cancelled = {.again = 0};

    (void)state;
    fake_env_init(&f, 1);
    once.env = often.env = cancelled.env = &f.env;
    later_init(&once.later, work_run, &once);
    later_init(&often.later, work_run, &often);
    later_init(&cancelled.later, work_run, &cancelled);
    env_later(&f.env, &once.later);
    env_later(&f.env, &once.later);
    env_later(&f.env, &often.later);
    env_later(&f.env, &cancelled.later);
    later_cancel(&cancelled.later);
    later_cancel(&cancelled.later);
    env_end_turn(&f.env);
    assert_int_equal(once.runs, 1);
    assert_int_equal(cancelled.runs, 0);
    assert_int_equal(often.runs, TURN_LATER_ROUNDS);
    assert_true(env_has_later(&f.env));
    env_free_later(&f.env, &once.later);
    often.again = 0;
    env_end_turn(&f.env);
    assert_int_equal(often.runs, TURN_LATER_ROUNDS + 1);
    assert_int_equal(once.runs, 2);
    assert_false(env_has_later(&f.env));
    fake_env_deinit(&f);
}

static void free_comes_after_all_later_work(void **state)
{
    struct fake_env f;
    struct work work = {.again = 2}, dead = {.again = 0};

    (void)state;
    fake_env_init(&f, 1);
    work.env = dead.env = &f.env;
    later_init(&work.later, work_run, &work);
    later_init(&dead.later, work_run, &dead);
    env_free_later(&f.env, &dead.later);
    env_later(&f.env, &work.later);
    assert_int_equal(dead.runs, 0);
    env_end_turn(&f.env);
    assert_int_equal(work.runs, 3);
    assert_int_equal(dead.runs, 1);
    fake_env_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_in_order_of_time_then_of_setting),
        cmocka_unit_test(rearmed_for_the_past_waits_and_starves_nobody),
        cmocka_unit_test(callback_may_cancel_a_due_one),
        cmocka_unit_test(later_work_is_bounded_and_queued_once),
        cmocka_unit_test(free_comes_after_all_later_work),
    };

    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
