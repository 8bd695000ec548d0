/*
 * tls_session.h - one TLS connection on a nonblocking socket, as the stream
 * uses it: calls that say what they wait for. Knows no loop and no queue.
 * OpenSSL's error queue is empty after every call.
 */
#pragma once

#include <sys/types.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

struct tls_ctx;
struct tls_session;

/* Answers: the call must be repeated when the socket is readable or writable. */
enum tls_answer { TLS_WANT_READ = 1, TLS_WANT_WRITE };

/* already_read: bytes that the server took from the socket before it knew that they are TLS. */
int tls_session_new_server(struct tls_ctx *ctx, int fd, struct slice already_read,
                           struct tls_session **ret_session) MUST_CHECK;
/* host: what the server's certificate must be for, a name or a literal address. */
int tls_session_new_client(struct tls_ctx *ctx, int fd, const char *host,
                           struct tls_session **ret_session) MUST_CHECK;
void tls_session_free(struct tls_session *session); /* NULL does nothing; not the socket */
DEFINE_AUTO(struct tls_session, tls_session_free)

/* 0; TLS_WANT_*; -EPROTO: failed, tls_session_error() says why; -ECONNRESET. */
int tls_session_handshake(struct tls_session *session) MUST_CHECK;
/* 0 with *ret_n > 0: bytes; 0 with *ret_n = 0: the peer has ended; TLS_WANT_*; -EPROTO;
 * -ECONNRESET. */
int tls_session_read(struct tls_session *session, void *buf, size_t size,
                     size_t *ret_n) MUST_CHECK;
/* After TLS_WANT_* it must be called with at least the same bytes again (wherever they are
 * now). */
int tls_session_write(struct tls_session *session, const void *buf, size_t len,
                      size_t *ret_n) MUST_CHECK;
/* Tells the peer that nothing more will be written. Best effort; 0 also when the socket is
 * full. */
void tls_session_shutdown(struct tls_session *session);
bool tls_session_has_pending(
    const struct tls_session *session); /* input that the socket will not announce */
struct slice tls_session_alpn(const struct tls_session *session);
bool tls_session_peer_name(const struct tls_session *session, char *ret_name, size_t size);
/* Why the last call failed, for the log; "" when it did not. */
const char *tls_session_error(const struct tls_session *session);
