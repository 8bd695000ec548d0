/* tls.c - TLS contexts: see tls.h. */
#include "common/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/tls_internal.h"

#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

void tls_take_error(char *ret_text, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(ret_text, size, "%s", reason ? reason : "unknown failure");
    ERR_clear_error();
}

/* "h2,http/1.1" to length-prefixed names. */
static int tls_parse_alpn(const char *text, unsigned char *ret, unsigned *ret_len)
{
    unsigned len = 0;

    while (*text) {
        size_t n = strcspn(text, ",");

        if (n == 0 || len + 1 + n > TLS_ALPN_MAX)
            return -EINVAL;
        ret[len++] = (unsigned char)n;
        memcpy(ret + len, text, n);
        len += (unsigned)n;
        text += n;
        if (*text == ',')
            text++;
    }
    *ret_len = len;
    return 0;
}

/* OpenSSL: the client's offer. A client that offers only what we do not speak is refused (RFC
 * 7301, 3.2). */
static int tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                       const unsigned char *in, unsigned inlen, void *arg)
{
    const struct tls_ctx *ctx = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, outlen, ctx->alpn, ctx->alpn_len, in, inlen) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL: asks for the passphrase of a key. Without this it would ask on the terminal and
 * block the process. */
static int tls_on_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static int tls_fail(char *ret_error, const char *what, const char *file)
{
    char why[TLS_ERROR_TEXT / 2];

    tls_take_error(why, sizeof(why));
    snprintf(ret_error, TLS_ERROR_TEXT, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
             why);
    return -EINVAL;
}

static int tls_load_own(const struct tls_ctx *ctx, SSL_CTX *ssl, char *ret_error)
{
    if (!ctx->cert_file)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(ssl, ctx->cert_file) != 1)
        return tls_fail(ret_error, "certificate", ctx->cert_file);
    if (SSL_CTX_use_PrivateKey_file(ssl, ctx->key_file, SSL_FILETYPE_PEM) != 1)
        return tls_fail(ret_error, "key", ctx->key_file);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return tls_fail(ret_error, "key does not belong to the certificate:", ctx->key_file);
    return 0;
}

static int tls_load_issuers(const struct tls_ctx *ctx, SSL_CTX *ssl, char *ret_error)
{
    STACK_OF(X509_NAME) * names;

    if (!ctx->ca_file) {
        if (ctx->is_server)
            return 0;
        if (SSL_CTX_set_default_verify_paths(ssl) != 1)
            return tls_fail(ret_error, "system certificates", NULL);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
        return 0;
    }
    if (SSL_CTX_load_verify_locations(ssl, ctx->ca_file, NULL) != 1)
        return tls_fail(ret_error, "issuers", ctx->ca_file);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (!ctx->is_server)
        return 0;
    names = SSL_load_client_CA_file(ctx->ca_file);
    if (!names)
        return tls_fail(ret_error, "issuers", ctx->ca_file);
    SSL_CTX_set_client_CA_list(ssl, names);
    return 0;
}

static int tls_set_rules(struct tls_ctx *ctx, SSL_CTX *ssl, char *ret_error)
{
    static const unsigned char session_context[] = "fluxy";
    char groups[] = "X25519:P-256:P-384"; /* not const: OpenSSL's macro casts */

    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1); /* one recv() brings header and record */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ssl, tls_on_passphrase);
    if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ssl, TLS12_CIPHERS) != 1 ||
        SSL_CTX_set1_groups_list(ssl, groups) != 1 || SSL_CTX_set_num_tickets(ssl, 1) != 1 ||
        SSL_CTX_set_session_id_context(ssl, session_context, sizeof(session_context) - 1) != 1)
        return tls_fail(ret_error, "OpenSSL", NULL);
    if (ctx->alpn_len == 0)
        return 0;
    if (ctx->is_server)
        SSL_CTX_set_alpn_select_cb(ssl, tls_on_alpn, ctx);
    else if (SSL_CTX_set_alpn_protos(ssl, ctx->alpn, ctx->alpn_len) != 0)
        return tls_fail(ret_error, "ALPN", NULL);
    return 0;
}

int tls_ctx_reload(struct tls_ctx *ctx, char *ret_error)
{
    SSL_CTX *ssl;
    int r;

    ERR_clear_error();
    ssl = SSL_CTX_new(ctx->is_server ? TLS_server_method() : TLS_client_method());
    if (!ssl) {
        (void)tls_fail(ret_error, "OpenSSL", NULL);
        return -ENOMEM;
    }
    r = tls_set_rules(ctx, ssl, ret_error);
    if (r == 0)
        r = tls_load_own(ctx, ssl, ret_error);
    if (r == 0)
        r = tls_load_issuers(ctx, ssl, ret_error);
    ERR_clear_error();
    if (r < 0) {
        SSL_CTX_free(ssl);
        return r;
    }
    SSL_CTX_free(ctx->ssl);
    ctx->ssl = ssl;
    return 0;
}

static int tls_copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

static int tls_ctx_fill(struct tls_ctx *ctx, const struct tls_config *config, char *ret_error)
{
    int r;

    if (tls_copy(config->cert_file, &ctx->cert_file) < 0 ||
        tls_copy(config->key_file, &ctx->key_file) < 0 ||
        tls_copy(config->ca_file, &ctx->ca_file) < 0)
        return -ENOMEM;
    if (!ctx->cert_file != !ctx->key_file || (ctx->is_server && !ctx->cert_file)) {
        snprintf(ret_error, TLS_ERROR_TEXT, "certificate and key belong together");
        return -EINVAL;
    }
    r = config->alpn ? tls_parse_alpn(config->alpn, ctx->alpn, &ctx->alpn_len) : 0;
    if (r < 0) {
        snprintf(ret_error, TLS_ERROR_TEXT, "malformed ALPN list");
        return r;
    }
    return tls_ctx_reload(ctx, ret_error);
}

static int tls_ctx_new(const struct tls_config *config, bool is_server, char *ret_error,
                       struct tls_ctx **ret_ctx)
{
    struct tls_ctx *ctx = calloc(1, sizeof(*ctx));
    int r;

    snprintf(ret_error, TLS_ERROR_TEXT, "out of memory");
    if (!ctx)
        return -ENOMEM;
    ctx->is_server = is_server;
    r = tls_ctx_fill(ctx, config, ret_error);
    if (r < 0) {
        tls_ctx_free(ctx);
        return r;
    }
    *ret_ctx = ctx;
    return 0;
}

int tls_ctx_new_server(const struct tls_config *config, char *ret_error,
                       struct tls_ctx **ret_ctx)
{
    return tls_ctx_new(config, true, ret_error, ret_ctx);
}

int tls_ctx_new_client(const struct tls_config *config, char *ret_error,
                       struct tls_ctx **ret_ctx)
{
    return tls_ctx_new(config, false, ret_error, ret_ctx);
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    if (!ctx)
        return;
    SSL_CTX_free(ctx->ssl);
    free(ctx->cert_file);
    free(ctx->key_file);
    free(ctx->ca_file);
    free(ctx);
}
