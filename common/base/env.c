/* env.c - the part of the environment that is the same in production and in tests; see env.h.
 */
#include "common/base/env.h"

#include "common/base/limits.h"

void env_init(struct env *env, const struct env_ops *ops)
{
    env->ops = ops;
    env->has_steady_base = false;
    timers_init(&env->timers);
    list_init(&env->later);
    list_init(&env->free_later);
}

static void run_list(struct list *work)
{
    while (!list_empty(work)) {
        struct later *later = list_first(work, struct later, link);

        list_del(&later->link); /* first: fn may queue it again, or free it */
        later->fn(later, later->arg);
    }
}

void env_deinit(struct env *env)
{
    timers_deinit(&env->timers);
    while (!list_empty(&env->later))
        list_del(env->later.next);
    run_list(&env->free_later);
}

int64_t env_steady_us(struct env *env)
{
    int64_t mono_us = (int64_t)env_now_ms(env) * 1000;

    if (!env->has_steady_base) {
        env->has_steady_base = true;
        env->steady_base_us = env_wall_us(env) - mono_us;
    }
    return env->steady_base_us + mono_us;
}

uint64_t env_random_u64(struct env *env)
{
    uint64_t v;

    env_random(env, &v, sizeof(v));
    return v;
}

uint64_t env_jitter_ms(struct env *env, uint64_t base_ms)
{
    uint64_t quarter = base_ms / 4;

    return base_ms - quarter + env_random_u64(env) % (2 * quarter + 1);
}

void later_init(struct later *later, void (*fn)(struct later *, void *), void *arg)
{
    list_init(&later->link);
    later->fn = fn;
    later->arg = arg;
}

void env_later(struct env *env, struct later *later)
{
    if (!list_linked(&later->link))
        list_add_tail(&env->later, &later->link);
}

void env_free_later(struct env *env, struct later *later)
{
    if (!list_linked(&later->link))
        list_add_tail(&env->free_later, &later->link);
}

void later_cancel(struct later *later)
{
    list_del(&later->link);
}

void env_end_turn(struct env *env)
{
    for (int round = 0; round < TURN_LATER_ROUNDS && !list_empty(&env->later); round++) {
        struct list work;

        list_init(&work);
        list_splice_tail(&work, &env->later);
        run_list(&work);
    }
    run_list(&env->free_later);
}

int env_timer(struct env *env, struct timer *timer, uint64_t delay_ms)
{
    uint64_t now = env_now_ms(env);

    return timer_set(&env->timers, timer,
                     delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms);
}

void env_timer_cancel(struct env *env, struct timer *timer)
{
    timer_cancel(&env->timers, timer);
}
