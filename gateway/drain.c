/* drain.c - see drain.h. */
#include "gateway/drain.h"

#include "common/base/log.h"
#include "gateway/edge/front.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

#define TICK_MS 20 /* so evenly are the returns spread */

static void end(struct drain *d, uint64_t passed_ms)
{
    size_t left = sessions_count(d->parts.sessions);

    if (left > 0)
        log_warn("the time to drain is over, sockets are cut", L_U64("left", left));
    log_info("drained", L_U64("left", left), L_U64("ms", passed_ms));
    d->parts.on_end(d->parts.owner);
}

static void close_doors(struct drain *d)
{
    struct sessions *sessions = d->parts.sessions;
    uint32_t pace;

    d->are_doors_closed = true;
    d->parts.close_doors(d->parts.owner);
    front_drain(d->parts.front);
    pace = sessions_depart(sessions, d->parts.rate, d->parts.timeout_ms);
    if (pace > d->parts.rate)
        log_warn("more sockets than FLUXY_DRAIN_RATE lets go in FLUXY_DRAIN_TIMEOUT: faster",
                 L_U64("sessions", sessions_count(sessions)), L_U64("rate", pace));
}

static void on_tick(struct timer *timer, void *arg)
{
    struct drain *d = arg;
    uint64_t now_ms = env_now_ms(d->parts.env);
    uint64_t passed_ms = now_ms - d->began_ms, since_ms = now_ms - d->last_ms;
    size_t left = 1;

    d->last_ms = now_ms;
    if (passed_ms >= d->parts.wait_ms) {
        if (!d->are_doors_closed)
            close_doors(d);
        left = sessions_depart_some(d->parts.sessions, since_ms) +
               front_open_count(d->parts.front);
    }
    if (left == 0 || passed_ms >= d->parts.wait_ms + d->parts.timeout_ms)
        end(d, passed_ms);
    else if (env_timer(d->parts.env, timer, TICK_MS) < 0)
        end(d, passed_ms);
}

void drain_init(struct drain *d, const struct drain_parts *parts)
{
    d->parts = *parts;
    timer_init(&d->timer, on_tick, d);
}

void drain_begin(struct drain *d)
{
    if (d->has_begun) {
        log_warn("told to stop twice: stopping at once");
        d->parts.on_end(d->parts.owner);
        return;
    }
    log_info("draining", L_U64("sessions", sessions_count(d->parts.sessions)));
    d->has_begun = true;
    d->parts.metrics->draining = 1;
    d->began_ms = d->last_ms = env_now_ms(d->parts.env);
    front_end_keep_alive(d->parts.front);
    on_tick(&d->timer, d);
}

void drain_cancel(struct drain *d)
{
    if (d->parts.env)
        env_timer_cancel(d->parts.env, &d->timer);
}
