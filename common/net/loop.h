/*
 * loop.h - the event loop of a process: libevent underneath, struct env on
 * top. Drives the timers, runs the end-of-turn work, delivers signals.
 *
 * One turn: wait, callbacks of ready descriptors, due timers, env_end_turn(),
 * then every stream with queued output is written once. Nothing may block in a
 * turn; turns over LOOP_SLOW_TURN_US are logged.
 */
#pragma once

#include "common/base/env.h"

struct buf;
struct event_base;
struct loop;
struct tls_ctx;

typedef void (*loop_signal_fn)(void *arg);

int loop_new(struct loop **ret_loop) MUST_CHECK;
/* Streams, listeners and timers of the loop must be closed before. NULL does nothing. */
void loop_free(struct loop *loop);
DEFINE_AUTO(struct loop, loop_free)

struct env *loop_env(struct loop *loop);
struct loop *loop_of(struct env *env); /* env must be a loop's */
struct event_base *
loop_base(struct loop *loop); /* for libraries with their own libevent glue */

/* Runs turns until loop_stop(). 0, or -errno when the loop itself fails. */
int loop_run(struct loop *loop) MUST_CHECK;
/* One turn. may_wait: sleep until something happens. For tests and for loop_run(). */
int loop_turn(struct loop *loop, bool may_wait) MUST_CHECK;
void loop_stop(struct loop *loop); /* loop_run() returns after this turn */

/* fn runs in the loop (not in signal context) each time the signal arrives. One fn per signal.
 */
int loop_on_signal(struct loop *loop, int signo, loop_signal_fn fn, void *arg) MUST_CHECK;

/* Outgoing connections of env->connect() are made with TLS by this context, which the caller
 * keeps until the loop is freed; NULL: plain TCP. */
void loop_set_link_tls(struct loop *loop, struct tls_ctx *ctx);

/* A connection as env->connect() makes it, but with TLS by this context, or plain for NULL. */
int loop_connect(struct loop *loop, const char *address, struct tls_ctx *tls,
                 const struct stream_events *events, void *owner,
                 struct stream **ret_stream) MUST_CHECK;

/* A callback from libevent calls this first: the turn's clock starts. Callbacks within
 * common/net do it themselves. */
void loop_touch(struct loop *loop);

/* Sockets that listeners have accepted and that are not closed yet, over all listeners of the
 * process. */
size_t loop_accepted_count(const struct loop *loop);
/* Closed streams that still write out what was queued, or wait for their peer. A process that
 * stops lets the loop turn until there are none (each ends by itself within CLOSE_TIMEOUT_MS).
 */
bool loop_is_flushing(const struct loop *loop);
/* The loop's part of /metrics. */
void loop_write_metrics(struct loop *loop, struct buf *out);
/* Microseconds of the longest turn since the last call with reset. */
uint64_t loop_longest_turn_us(struct loop *loop, bool reset);
