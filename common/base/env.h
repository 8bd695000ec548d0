/*
 * env.h - what a process lives in: clock, randomness, timers, end-of-turn
 * work, outgoing connections. The event loop implements it in production
 * (common/net/loop.c), the simulator in tests; everything above is the same.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/stream.h"
#include "common/base/timers.h"

/* Work for the end of the current turn, embedded in its owner. Queued at most once at a time.
 */
struct later {
    struct list link;
    void (*fn)(struct later *later, void *arg);
    void *arg;
};

struct env;
struct env_ops {
    uint64_t (*mono_ms)(struct env *env); /* monotonic milliseconds: of this turn's begin */
    uint64_t (*mono_us)(struct env *env); /* monotonic microseconds: of this moment */
    int64_t (*wall_us)(struct env *env);  /* microseconds since 1970-01-01 UTC, may jump */
    void (*random)(struct env *env, void *ret, size_t len); /* cryptographic in production */
    /* Starts a connection to "host:port" (a literal address or a name, resolved without
     * blocking). The stream reports on_open or on_close, never before this returns. */
    int (*connect)(struct env *env, const char *address, const struct stream_events *events,
                   void *owner, struct stream **ret_stream);
};

struct env {
    const struct env_ops *ops;
    int64_t steady_base_us; /* what env_steady_us() adds to the monotonic clock */
    bool has_steady_base;
    struct timers timers;
    struct list later;      /* struct later: runs at the end of this turn */
    struct list free_later; /* struct later: runs after all of that, for memory that may be on
                               the stack */
};

void env_init(struct env *env, const struct env_ops *ops);
/* Disarms the timers, forgets the later list and runs the free list until it is empty. */
void env_deinit(struct env *env);

static inline uint64_t env_now_ms(struct env *env)
{
    return env->ops->mono_ms(env);
}
/* For how long something took. Not to be compared with env_now_ms(), which stands still within
 * a turn. */
static inline uint64_t env_mono_us(struct env *env)
{
    return env->ops->mono_us(env);
}
static inline int64_t env_wall_us(struct env *env)
{
    return env->ops->wall_us(env);
}
/* The time of day when it was asked for first, and from then on as the monotonic clock runs: it
 * does not jump when somebody sets the clock. Whole milliseconds apart. */
int64_t env_steady_us(struct env *env);
static inline void env_random(struct env *env, void *ret, size_t len)
{
    env->ops->random(env, ret, len);
}
uint64_t env_random_u64(struct env *env);
/* base +- up to a quarter, for retries and periodic work that must not run in step. */
uint64_t env_jitter_ms(struct env *env, uint64_t base_ms);

void later_init(struct later *later, void (*fn)(struct later *, void *), void *arg);
void env_later(struct env *env, struct later *later);      /* no-op when already queued */
void env_free_later(struct env *env, struct later *later); /* ditto */
void later_cancel(struct later *later);
/* Ends a turn: runs the later list until it is empty or TURN_LATER_ROUNDS passes are done, then
 * the free list. Called by the loop, which must not wait when env_has_later() is true
 * afterwards. */
static inline bool env_has_later(const struct env *env)
{
    return !list_empty(&env->later);
}
void env_end_turn(struct env *env);

/* timer_set() relative to now. -ENOMEM: not armed; re-arming an armed timer cannot fail. */
int env_timer(struct env *env, struct timer *timer, uint64_t delay_ms) MUST_CHECK;
void env_timer_cancel(struct env *env, struct timer *timer);
