/*
 * loop.c - the production struct env: see loop.h.
 *
 * Order within a turn: descriptors and signals (libevent), streams with input
 * (within a bound), due timers, end-of-turn work, output. The last two repeat
 * while output callbacks make new work, a bounded number of times; output
 * without hurry comes last.
 */
#include "common/net/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <event2/dns.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/heap.h"
#include "common/base/limits.h"
#include "common/base/log.h"

#define END_OF_TURN_ROUNDS 4 /* then the rest waits for the next turn, which does not sleep */

static uint64_t clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void loop_touch(struct loop *loop)
{
    if (loop->turn_start_ns == 0)
        loop->turn_start_ns = clock_ns();
}

uint64_t loop_turn_us(const struct loop *loop)
{
    return (clock_ns() - loop->turn_start_ns) / 1000;
}

static uint64_t loop_mono_ms(struct env *env)
{
    struct loop *loop = loop_of(env);

    loop_touch(loop);
    return loop->turn_start_ns / 1000000u;
}

static uint64_t loop_mono_us(struct env *env)
{
    (void)env;
    return clock_ns() / 1000;
}

static int64_t loop_wall_us(struct env *env)
{
    struct timespec ts;

    (void)env;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void loop_random(struct env *env, void *ret, size_t len)
{
    char *at = ret;

    (void)env;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n < 0) {
            assert(errno == EINTR); /* no other failure is possible once the pool is seeded */
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
}

static const struct env_ops loop_ops = {
    .mono_ms = loop_mono_ms,
    .mono_us = loop_mono_us,
    .wall_us = loop_wall_us,
    .random = loop_random,
    .connect = connect_start,
};

struct env *loop_env(struct loop *loop)
{
    return &loop->env;
}

struct loop *loop_of(struct env *env)
{
    assert(env->ops == &loop_ops);
    return container_of(env, struct loop, env);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

void loop_set_link_tls(struct loop *loop, struct tls_ctx *ctx)
{
    loop->link_tls = ctx;
}

size_t loop_accepted_count(const struct loop *loop)
{
    return loop->accepted;
}

bool loop_is_flushing(const struct loop *loop)
{
    return !list_empty(&loop->leaving);
}

void loop_write_metrics(struct loop *loop, struct buf *out)
{
    buf_printf(
        out,
        "# HELP fluxy_loop_turns_total Turns of the event loop\n"
        "# TYPE fluxy_loop_turns_total counter\n"
        "fluxy_loop_turns_total %llu\n"
        "# HELP fluxy_loop_slow_turns_total Turns that took longer than 50 ms\n"
        "# TYPE fluxy_loop_slow_turns_total counter\n"
        "fluxy_loop_slow_turns_total %llu\n"
        "# HELP fluxy_loop_longest_turn_seconds Longest turn since the last scrape\n"
        "# TYPE fluxy_loop_longest_turn_seconds gauge\n"
        "fluxy_loop_longest_turn_seconds %.6f\n"
        "# HELP fluxy_loop_longest_turn_cpu_seconds Processor time of the turn that took "
        "most of it since the last scrape\n"
        "# TYPE fluxy_loop_longest_turn_cpu_seconds gauge\n"
        "fluxy_loop_longest_turn_cpu_seconds %.6f\n"
        "# HELP fluxy_loop_put_off_total Turns that left sockets to the next one, so as not "
        "to take too long\n"
        "# TYPE fluxy_loop_put_off_total counter\n"
        "fluxy_loop_put_off_total{dir=\"in\"} %llu\n"
        "fluxy_loop_put_off_total{dir=\"out\"} %llu\n"
        "# HELP fluxy_sockets_accepted Open sockets that came through a listener\n"
        "# TYPE fluxy_sockets_accepted gauge\n"
        "fluxy_sockets_accepted %zu\n"
        "# HELP fluxy_accept_rests_total Times that accepting rested for want of "
        "descriptors\n"
        "# TYPE fluxy_accept_rests_total counter\n"
        "fluxy_accept_rests_total %llu\n",
        (unsigned long long)loop->turns, (unsigned long long)loop->slow_turns,
        (double)loop->scraped_longest_us / 1e6, (double)loop->scraped_busiest_us / 1e6,
        (unsigned long long)loop->reads_put_off, (unsigned long long)loop->writes_put_off,
        loop->accepted, (unsigned long long)loop->accept_rests);
    loop->scraped_longest_us = loop->scraped_busiest_us = 0;
}

uint64_t loop_longest_turn_us(struct loop *loop, bool reset)
{
    uint64_t us = loop->longest_turn_us;

    if (reset)
        loop->longest_turn_us = 0;
    return us;
}

/* libevent: the earliest timer is due. The turn runs the timers; this only wakes it. */
static void loop_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd;
    (void)what;
    loop->wake_due_ms = UINT64_MAX;
    loop_touch(loop);
}

static void loop_on_signal_event(evutil_socket_t fd, short what, void *arg)
{
    struct loop_signal *sig = arg;

    (void)fd;
    (void)what;
    loop_touch(sig->loop);
    sig->fn(sig->arg);
}

int loop_on_signal(struct loop *loop, int signo, loop_signal_fn fn, void *arg)
{
    struct loop_signal *sig;

    assert(loop->n_signals < LOOP_SIGNALS_MAX);
    sig = &loop->signals[loop->n_signals];
    *sig = (struct loop_signal){.fn = fn, .arg = arg, .loop = loop};
    sig->event = evsignal_new(loop->base, signo, loop_on_signal_event, sig);
    if (!sig->event)
        return -ENOMEM;
    loop->n_signals++;
    if (event_add(sig->event, NULL) < 0)
        return -EIO;
    return 0;
}

int loop_new(struct loop **ret_loop)
{
    AUTO(loop_free) struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    heap_configure();
    env_init(&loop->env, &loop_ops);
    list_init(&loop->dirty);
    list_init(&loop->unhurried);
    list_init(&loop->links_ready);
    fair_init(&loop->clients_ready, 0);
    list_init(&loop->leaving);
    list_init(&loop->dead);
    list_init(&loop->full_waiters);
    later_init(&loop->reap, stream_tcp_reap, loop);
    loop->wake_due_ms = UINT64_MAX;

    signal(SIGPIPE, SIG_IGN); /* a write to a closed peer is an error code, not a death */
    loop->base = event_base_new();
    if (!loop->base)
        return -ENOMEM;
    loop->wake = evtimer_new(loop->base, loop_on_wake, loop);
    if (!loop->wake)
        return -ENOMEM;
    *ret_loop = TAKE(loop);
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    stream_tcp_drop_leaving(loop);
    if (loop->dns) {
        evdns_base_free(loop->dns, 1);
        (void)event_base_loop(loop->base, EVLOOP_NONBLOCK); /* its last answers, to nobody */
    }
    env_end_turn(&loop->env); /* what was closed last is still waiting to be freed */
    for (size_t i = 0; i < loop->n_signals; i++)
        event_free(loop->signals[i].event);
    if (loop->wake)
        event_free(loop->wake);
    env_deinit(&loop->env);
    if (loop->base)
        event_base_free(loop->base);
    free(loop);
}

/* Tells libevent how long it may sleep: until the earliest timer. */
static int loop_arm_wake(struct loop *loop)
{
    uint64_t due = timers_next(&loop->env.timers);
    struct timeval tv;
    uint64_t now, ms;

    if (due == loop->wake_due_ms)
        return 0;
    loop->wake_due_ms = due;
    if (due == UINT64_MAX) {
        event_del(loop->wake);
        return 0;
    }
    now = clock_ns() / 1000000u;
    ms = due > now ? due - now : 0;
    tv.tv_sec = (time_t)(ms / 1000);
    tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
    return event_add(loop->wake, &tv) < 0 ? -ENOMEM : 0;
}

static bool loop_has_work(const struct loop *loop)
{
    return !list_empty(&loop->dirty) || !list_empty(&loop->unhurried) ||
           stream_tcp_is_any_ready(loop) || !list_empty(&loop->env.later) ||
           !list_empty(&loop->env.free_later);
}

/* Microseconds of processor time since it was asked last; waiting for events takes none. */
static uint64_t loop_take_cpu(struct loop *loop)
{
    struct timespec ts;
    uint64_t now_ns, us;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) < 0)
        return 0;
    now_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    us = (now_ns - loop->cpu_ns) / 1000;
    loop->cpu_ns = now_ns;
    return us;
}

static void loop_end_turn(struct loop *loop)
{
    uint64_t us, cpu_us;

    for (int i = 0; i < END_OF_TURN_ROUNDS; i++) {
        env_end_turn(&loop->env);
        if (list_empty(&loop->dirty) || loop->flushes_left == 0)
            break;
        stream_tcp_flush_all(loop);
    }
    stream_tcp_flush_unhurried(loop);
    if (!list_empty(&loop->dirty) || !list_empty(&loop->unhurried))
        loop->writes_put_off++;
    heap_tidy(env_now_ms(&loop->env), &loop->tidied_ms);
    us = (clock_ns() - loop->turn_start_ns) / 1000;
    if (us > loop->longest_turn_us)
        loop->longest_turn_us = us;
    if (us > loop->scraped_longest_us)
        loop->scraped_longest_us = us;
    cpu_us = loop_take_cpu(loop);
    if (cpu_us > loop->scraped_busiest_us)
        loop->scraped_busiest_us = cpu_us;
    loop->turns++;
    if (us > TURN_SLOW_US) {
        loop->slow_turns++;
        log_warn("slow turn", L_U64("us", us), L_U64("cpu_us", cpu_us));
    }
}

int loop_turn(struct loop *loop, bool may_wait)
{
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
    int r;

    r = loop_arm_wake(loop);
    if (r < 0)
        return r;
    if (!may_wait || loop_has_work(loop))
        flags |= EVLOOP_NONBLOCK;
    loop->turn_start_ns = 0;
    loop->handshakes_left = TLS_HANDSHAKES_PER_TURN;
    loop->flushes_left = FLUSHES_PER_TURN;
    if (event_base_loop(loop->base, flags) < 0)
        return -EIO;
    loop_touch(loop);
    stream_tcp_read_ready(loop);
    timers_run(&loop->env.timers, env_now_ms(&loop->env), TIMERS_PER_TURN);
    loop_end_turn(loop);
    return 0;
}

int loop_run(struct loop *loop)
{
    int r = 0;

    (void)loop_take_cpu(loop); /* starting is no turn */
    /* What was queued while the process was built belongs to a turn of its own. */
    loop->turn_start_ns = 0;
    loop->flushes_left = FLUSHES_PER_TURN;
    loop_touch(loop);
    loop_end_turn(loop);
    loop->stopped = false;
    while (!loop->stopped && r == 0)
        r = loop_turn(loop, true);
    return r;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}
