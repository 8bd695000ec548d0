/*
 * addr.h - network addresses as text and back: "host:port", "[::1]:port".
 * Pure: resolves no names.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

#define ADDR_HOST_MAX 256                 /* a DNS name with its NUL */
#define ADDR_TEXT_MAX (ADDR_HOST_MAX + 9) /* "[host]:65535" with its NUL */

struct addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
};

/* Splits "host:port"; an IPv6 literal stands in brackets. The host may be empty (":8080"). The
 * port is 0..65535. -EINVAL when it has another form. */
int addr_split(struct slice text, char ret_host[ADDR_HOST_MAX], uint16_t *ret_port) MUST_CHECK;
/* A literal address; "" and "*" are all addresses of the machine (IPv4 and IPv6). -EINVAL: not
 * a literal. */
int addr_from_host(const char *host, uint16_t port, struct addr *ret_addr) MUST_CHECK;
bool addr_is_loopback(const struct addr *addr);
uint16_t addr_port(const struct addr *addr);
/* The address without the port; an IPv4 address that came through an IPv6 socket is written as
 * IPv4. */
void addr_format_host(const struct addr *addr, char ret[INET6_ADDRSTRLEN]);
