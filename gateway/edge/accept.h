/*
 * accept.h - the listeners of a gateway: takes connections, reads the PROXY
 * header of proxies that we trust, does TLS, and hands what remains to the
 * front.
 */
#pragma once

#include "gateway/edge/front.h"

struct accept;
struct addr;
struct loop;
struct tls_ctx;

struct accept_parts {
    struct loop *loop;
    struct wheel *wheel;
    struct front *front;
    const struct cidr_list *trusted_proxies;
    struct tls_ctx *tls; /* NULL: plain */
};

/* Parts are borrowed. address: "host:port". max_connections: of all listeners of the process.
 * <0: as listener_new(). */
int accept_new(const struct accept_parts *parts, const char *address, bool reuse_port,
               size_t max_connections, struct accept **ret_accept) MUST_CHECK;
/* Stops listening; connections that are not with the front yet are closed. NULL does nothing.
 */
void accept_free(struct accept *accept);
DEFINE_AUTO(struct accept, accept_free)

const struct addr *accept_addr(const struct accept *accept); /* as bound */
