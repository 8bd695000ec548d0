/*
 * tls.h - TLS contexts: certificates, what is allowed, and their reload. The
 * bytes of a connection are the stream's (stream_tcp.h).
 *
 * TLS 1.2 and 1.3 with forward-secret AEAD ciphers only; no compression, no
 * renegotiation, tickets instead of a session cache, buffers released when
 * idle.
 */
#pragma once

#include "common/base/macros.h"

struct tls_ctx;

#define TLS_ERROR_TEXT 256

struct tls_config {
    const char *cert_file; /* PEM chain, ours first */
    const char *key_file;  /* PEM, not encrypted */
    /* PEM. Servers: clients must show a certificate of these issuers. Clients: the server's
     * must be of these. NULL: servers ask for none; clients use the system's. */
    const char *ca_file;
    const char *alpn; /* servers: what we speak, best first, "h2,http/1.1"; clients offer it.
                         NULL: no ALPN */
};

/* Everything in config is copied. On failure ret_error (TLS_ERROR_TEXT bytes) says which file
 * and why. -ENOMEM; -EINVAL: a file cannot be read or does not fit. */
int tls_ctx_new_server(const struct tls_config *config, char *ret_error,
                       struct tls_ctx **ret_ctx) MUST_CHECK;
/* cert_file and key_file may be NULL: no certificate of our own. */
int tls_ctx_new_client(const struct tls_config *config, char *ret_error,
                       struct tls_ctx **ret_ctx) MUST_CHECK;
/* After all streams that began with it. NULL does nothing. */
void tls_ctx_free(struct tls_ctx *ctx);
DEFINE_AUTO(struct tls_ctx, tls_ctx_free)

/* Reads the files again, for new connections; those that exist go on as they are. On failure
 * the old ones stay. */
int tls_ctx_reload(struct tls_ctx *ctx, char *ret_error) MUST_CHECK;
