/*
 * fake_env.h - a struct env for tests: a clock that the test moves, random
 * numbers from a seed, and an in-memory network of stream pairs. Nothing
 * happens by itself: fake_env_run() delivers what is due at the present time,
 * fake_env_advance() moves the clock from timer to timer.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/env.h"

struct fake_env {
    struct env env;
    uint64_t now_ms;
    int64_t wall_us; /* moves with now_ms; a test may also let it jump */
    uint64_t random_state;
    size_t high_mark, low_mark; /* of queued_bytes, for on_drained */
    struct list streams;        /* struct fake_stream */
    struct list listeners;      /* struct fake_listener */
};

void fake_env_init(struct fake_env *f, uint64_t seed);
/* Closes what is left of streams without telling anybody. */
void fake_env_deinit(struct fake_env *f);
/* Runs turns (deliveries, due timers, end-of-turn work) until nothing is left to do now. */
void fake_env_run(struct fake_env *f);
/* Moves the clock by ms, stopping at each timer on the way; runs before, between and after. */
void fake_env_advance(struct fake_env *f, uint64_t ms);

/* ---- streams ---- */

/* Two connected ends. Both report on_open in the next run. Set the events of an end with
 * stream_set_events(). */
void fake_pair(struct fake_env *f, struct stream **ret_a, struct stream **ret_b);

/* Who waits for env->connect(address); without one the connection is refused. Embedded in the
 * test. */
struct fake_listener {
    struct list link;
    const char *address;
    /* The accepted end; give it events at once. It is open already. */
    void (*on_accept)(void *arg, struct stream *stream);
    void *arg;
    bool stalled; /* connections to it neither open nor fail */
};
void fake_listen(struct fake_env *f, struct fake_listener *l);
void fake_unlisten(struct fake_listener *l);

/* What s has written (and writes) stays queued in s: a peer or network that takes nothing. */
void fake_stream_hold(struct stream *s, bool held);
/* Writes to s fail from now on, as without memory. */
void fake_stream_fail_writes(struct stream *s);
/* The peer of s gets at most n bytes per on_bytes (0: as they were written). */
void fake_stream_split(struct stream *s, size_t n);
/* The connection breaks: what is queued is lost, both ends (that are still open) get
 * on_close(end) in the next run. */
void fake_stream_break(struct stream *s, enum stream_end end);
bool fake_stream_is_paused(struct stream *s);

/* ---- an end that only remembers ---- */

struct fake_sink {
    struct stream *stream; /* NULL once closed from below */
    struct buf in;         /* all that came */
    bool opened, drained, closed;
    enum stream_end end;
};
/* Becomes the owner of the stream's events. */
void fake_sink_init(struct fake_sink *sink, struct stream *stream);
void fake_sink_deinit(struct fake_sink *sink); /* does not close the stream */
/* Writes the bytes to the stream. */
void fake_sink_send(struct fake_sink *sink, struct slice bytes);
