/*
 * shard_stop.c - how a shard ends in order:
 *
 *   RUNNING --SIGTERM--> DRAINING --rooms gone--> LEAVING --off the ring--> FLUSHING -->
 * STOPPED
 *
 * DRAINING: still listed, without points; rooms are handed over one by one.
 * LEAVING: off the ring; what has come meanwhile is told to look elsewhere.
 * FLUSHING: the last messages leave on the links. Every step has its share of
 * FLUXY_DRAIN_TIMEOUT; a second signal ends it at once.
 */
#include "common/base/log.h"
#include "common/cluster/membership.h"
#include "common/net/listener.h"
#include "shard/host/host.h"
#include "shard/peer/peers.h"
#include "shard/shard_priv.h"

#define STOP_STEP_MS 20
/* Time for the last messages to leave on the links. */
#define STOP_FLUSH_MS 200

static void set_state(struct shard *s, enum shard_state state)
{
    static const char *const names[] = {"running", "draining", "leaving", "flushing",
                                        "stopped"};

    s->state = state;
    log_info("shard state", L_STR("state", names[state]), L_U64("rooms", s->metrics.rooms));
}

static bool is_over(const struct shard *s, uint64_t share_percent)
{
    uint64_t ms = s->config->drain_timeout_ms * share_percent / 100;

    return env_now_ms(s->env) - s->stop_started_ms >= ms;
}

/* Alone, or with others that all go: there is nobody to hand over to. */
static bool has_heirs(const struct shard *s)
{
    const struct ring *ring = membership_ring(s->membership);

    for (size_t i = 0; i < ring_count(ring); i++) {
        if (!ring_at(ring, i)->draining &&
            !slice_eq_str(ring_at(ring, i)->id, s->config->node_id))
            return true;
    }
    return false;
}

static void stop_step(struct shard *s)
{
    if (s->state == SHARD_DRAINING &&
        (host_is_empty(s->host) || !has_heirs(s) || is_over(s, 50))) {
        set_state(s, SHARD_LEAVING);
        membership_leave(s->membership);
    }
    if (s->state == SHARD_LEAVING && (s->is_off_ring || is_over(s, 75)))
        host_set_ring(s->host, NULL); /* what is left goes now */
    if (s->state == SHARD_LEAVING &&
        ((s->is_off_ring && host_is_empty(s->host)) || is_over(s, 100))) {
        set_state(s, SHARD_FLUSHING);
        host_drop_rooms(s->host);
        peers_close(s->peers);
        s->flush_until_ms = env_now_ms(s->env) + STOP_FLUSH_MS;
    }
    if (s->state == SHARD_FLUSHING && env_now_ms(s->env) >= s->flush_until_ms) {
        set_state(s, SHARD_STOPPED);
        loop_stop(s->loop);
    }
}

void shard_on_stop_timer(struct timer *timer, void *arg)
{
    struct shard *s = arg;

    if (env_timer(s->env, timer, STOP_STEP_MS) < 0)
        loop_stop(s->loop);
    stop_step(s);
}

void shard_stop_now(struct shard *s)
{
    set_state(s, SHARD_STOPPED);
    loop_stop(s->loop);
}

void shard_on_stop_signal(void *arg)
{
    struct shard *s = arg;

    if (s->state != SHARD_RUNNING || env_timer(s->env, &s->stop_timer, STOP_STEP_MS) < 0) {
        shard_stop_now(s);
        return;
    }
    set_state(s, SHARD_DRAINING);
    s->stop_started_ms = env_now_ms(s->env);
    listener_free(TAKE(s->listener)); /* links that exist go on */
    if (has_heirs(s))
        membership_drain(s->membership);
}
