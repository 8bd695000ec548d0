/* tls_internal.h - the OpenSSL side of a context, for tls_session.c only. */
#pragma once

#include <stdbool.h>

#include <openssl/ssl.h>

#define TLS_ALPN_MAX 64 /* bytes of the ALPN list in wire form */

struct tls_ctx {
    SSL_CTX *ssl; /* the newest; connections keep a reference to theirs */
    bool is_server;
    char *cert_file, *key_file, *ca_file;
    unsigned char alpn[TLS_ALPN_MAX]; /* wire form: length byte, name, ... */
    unsigned alpn_len;
};

/* Writes what OpenSSL's error queue says first and empties it. */
void tls_take_error(char *ret_text, size_t size);
