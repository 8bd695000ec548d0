/*
 * tls_session.c - one TLS connection: see tls_session.h.
 *
 * OpenSSL reads and writes through a BIO of ours: it first hands out the bytes
 * that were read before TLS began, sends without SIGPIPE, and keeps the errno.
 */
#include "common/net/tls_session.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/net/tls.h"
#include "common/net/tls_internal.h"

struct tls_session {
    SSL *ssl;
    int fd;
    int sys_errno; /* of the last socket call; 0: it did not fail */
    bool eof;
    bool broken; /* a fatal error: OpenSSL forbids further calls */
    char *early; /* read before TLS began, owned */
    size_t early_len, early_at;
};

static char last_error[TLS_ERROR_TEXT]; /* one thread per process: of the last failed call */

/* ---- the BIO ---- */

static int tls_bio_read(BIO *bio, char *buf, int size)
{
    struct tls_session *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->early) {
        size_t take = MIN((size_t)size, t->early_len - t->early_at);

        memcpy(buf, t->early + t->early_at, take);
        t->early_at += take;
        if (t->early_at == t->early_len) {
            free(t->early);
            t->early = NULL;
        }
        return (int)take;
    }
    do {
        n = recv(t->fd, buf, (size_t)size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    else if (n < 0)
        t->sys_errno = errno;
    t->eof = n == 0;
    return (int)n;
}

static int tls_bio_write(BIO *bio, const char *buf, int len)
{
    struct tls_session *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do {
        n = send(t->fd, buf, (size_t)len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    else if (n < 0)
        t->sys_errno = errno;
    return (int)n;
}

static long tls_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    const struct tls_session *t = BIO_get_data(bio);

    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return t->eof;
    default:
        return 0;
    }
}

static const BIO_METHOD *tls_bio_method(void)
{
    static BIO_METHOD *method;

    if (method)
        return method;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fluxy socket");
    if (!method)
        return NULL;
    BIO_meth_set_read(method, tls_bio_read);
    BIO_meth_set_write(method, tls_bio_write);
    BIO_meth_set_ctrl(method, tls_bio_ctrl);
    return method;
}

/* ---- results ---- */

static void tls_note_failure(struct tls_session *t, unsigned long code)
{
    long verify = SSL_get_verify_result(t->ssl);
    const char *reason = ERR_reason_error_string(code);

    snprintf(last_error, sizeof(last_error), "%s%s%s", reason ? reason : "unknown failure",
             verify == X509_V_OK ? "" : ": ",
             verify == X509_V_OK ? "" : X509_verify_cert_error_string(verify));
}

/* What a call that did not succeed means. EOF is 0 here: the caller's *ret_n stays 0. */
static int tls_result(struct tls_session *t, int ret)
{
    unsigned long code = ERR_peek_error();
    int error = SSL_get_error(t->ssl, ret);
    int r;

    switch (error) {
    case SSL_ERROR_WANT_READ:
        r = TLS_WANT_READ;
        break;
    case SSL_ERROR_WANT_WRITE:
        r = TLS_WANT_WRITE;
        break;
    case SSL_ERROR_ZERO_RETURN:
        r = 0;
        break;
    case SSL_ERROR_SYSCALL:
        t->broken = true;
        r = t->sys_errno ? -t->sys_errno : -ECONNRESET;
        break;
    default:
        t->broken = true;
        tls_note_failure(t, code);
        r = -EPROTO;
        break;
    }
    ERR_clear_error();
    return r;
}

static void tls_before(struct tls_session *t)
{
    ERR_clear_error();
    t->sys_errno = 0;
    last_error[0] = '\0';
}

int tls_session_handshake(struct tls_session *t)
{
    int ret, r;

    if (t->broken)
        return -EPROTO;
    tls_before(t);
    ret = SSL_do_handshake(t->ssl);
    if (ret == 1)
        return 0;
    r = tls_result(t, ret);
    return r == 0 ? -ECONNRESET : r; /* the peer closed in the middle */
}

int tls_session_read(struct tls_session *t, void *buf, size_t size, size_t *ret_n)
{
    int ret;

    *ret_n = 0;
    if (t->broken)
        return -EPROTO;
    tls_before(t);
    ret = SSL_read_ex(t->ssl, buf, size, ret_n);
    return ret == 1 ? 0 : tls_result(t, ret);
}

int tls_session_write(struct tls_session *t, const void *buf, size_t len, size_t *ret_n)
{
    int ret, r;

    *ret_n = 0;
    if (t->broken)
        return -EPROTO;
    tls_before(t);
    ret = SSL_write_ex(t->ssl, buf, len, ret_n);
    if (ret == 1)
        return 0;
    r = tls_result(t, ret);
    return r == 0 ? -EPIPE : r;
}

void tls_session_shutdown(struct tls_session *t)
{
    if (t->broken || !SSL_is_init_finished(t->ssl))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(
        t->ssl); /* a full socket or a gone peer makes no difference to us any more */
    ERR_clear_error();
}

bool tls_session_has_pending(const struct tls_session *t)
{
    return !t->broken && (t->early || SSL_has_pending(t->ssl));
}

struct slice tls_session_alpn(const struct tls_session *t)
{
    const unsigned char *data;
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &data, &len);
    return slice_of(data, len);
}

bool tls_session_peer_name(const struct tls_session *t, char *ret_name, size_t size)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    return cert && SSL_get_verify_result(t->ssl) == X509_V_OK &&
           SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE &&
           X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, ret_name,
                                     (int)size) > 0;
}

const char *tls_session_error(const struct tls_session *t)
{
    (void)t;
    return last_error;
}

/* ---- making one ---- */

static int tls_session_fill(struct tls_session *t, const struct tls_ctx *ctx)
{
    const BIO_METHOD *method = tls_bio_method();
    BIO *bio = method ? BIO_new(method) : NULL;

    t->ssl = bio ? SSL_new(ctx->ssl) : NULL;
    if (!t->ssl) {
        BIO_free(bio);
        return -ENOMEM;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return 0;
}

static int tls_session_new(struct tls_ctx *ctx, int fd, struct tls_session **ret_session)
{
    struct tls_session *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return -ENOMEM;
    t->fd = fd;
    ERR_clear_error();
    r = tls_session_fill(t, ctx);
    if (r < 0) {
        tls_session_free(t);
        return r;
    }
    *ret_session = t;
    return 0;
}

int tls_session_new_server(struct tls_ctx *ctx, int fd, struct slice already_read,
                           struct tls_session **ret_session)
{
    AUTO(tls_session_free) struct tls_session *t = NULL;
    int r;

    r = tls_session_new(ctx, fd, &t);
    if (r < 0)
        return r;
    if (already_read.len > 0) {
        t->early = slice_dup(already_read);
        t->early_len = already_read.len;
        if (!t->early)
            return -ENOMEM;
    }
    SSL_set_accept_state(t->ssl);
    *ret_session = TAKE(t);
    return 0;
}

static bool tls_expect_host(SSL *ssl, const char *host)
{
    unsigned char raw[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)host) == 1; /* the macro for it casts a const away */
}

int tls_session_new_client(struct tls_ctx *ctx, int fd, const char *host,
                           struct tls_session **ret_session)
{
    AUTO(tls_session_free) struct tls_session *t = NULL;
    int r;

    r = tls_session_new(ctx, fd, &t);
    if (r < 0)
        return r;
    if (!tls_expect_host(t->ssl, host)) {
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_connect_state(t->ssl);
    *ret_session = TAKE(t);
    return 0;
}

void tls_session_free(struct tls_session *t)
{
    if (!t)
        return;
    SSL_free(t->ssl); /* with the BIO */
    ERR_clear_error();
    free(t->early);
    free(t);
}
