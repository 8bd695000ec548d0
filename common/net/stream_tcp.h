/*
 * stream_tcp.h - struct stream over a nonblocking socket, plain or TLS.
 *
 * Made to be cheap when idle: one allocation of some 300 bytes, no buffers.
 * Input is read into a buffer of the process and pushed up; output is a queue
 * of blob references, written with one writev() at the end of the turn.
 *
 * on_close is the last event; it is never called from inside stream_write(),
 * stream_pause() or stream_close().
 */
#pragma once

#include <sys/types.h>

#include "common/base/stream.h"
#include "common/net/loop.h"

struct tls_ctx;

/* Takes over a connected, nonblocking socket (also on failure: closes it). Reading starts with
 * the next turn. events may be NULL until the turn ends; a stream that still has none then is
 * closed. */
int stream_tcp_new(struct loop *loop, int fd, const struct stream_events *events, void *owner,
                   struct stream **ret_stream) MUST_CHECK;

/* Server side: goes on as TLS, in place. already_read: bytes of the client's first TLS record
 * that were read in plain (behind a PROXY header). Nothing may be queued for output yet.
 * on_open comes when the handshake is done (then stream_tcp_alpn() and stream_tcp_peer_name()
 * speak), or on_close. */
int stream_tcp_start_tls(struct stream *stream, struct tls_ctx *ctx,
                         struct slice already_read) MUST_CHECK;

bool stream_tcp_is_tls(const struct stream *stream);
/* The negotiated ALPN protocol; empty without one. Valid while the stream lives. */
struct slice stream_tcp_alpn(const struct stream *stream);
/* The verified peer's certificate subject common name; false without a verified certificate. */
bool stream_tcp_peer_name(const struct stream *stream, char *ret_name, size_t size);
int stream_tcp_fd(const struct stream *stream); /* for getpeername() and socket options */
