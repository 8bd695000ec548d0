/*
 * resolve.h - names to addresses without blocking, by libevent's resolver
 * (/etc/hosts and /etc/resolv.conf). For libraries that would resolve
 * blockingly, and for connect.c.
 */
#pragma once

#include "common/net/addr.h"
#include "common/net/loop.h"

struct resolve;

/* Exactly once, never before resolve_start() returns. 0 with 1..CONNECT_ADDRESSES_MAX
 * addresses, or -EHOSTUNREACH: no such name, or no answer. The look-up is gone afterwards. */
typedef void (*resolve_fn)(void *arg, int r, const struct addr *addrs, size_t n);

/* A literal address answers itself. The caller has its own deadline and cancels. */
int resolve_start(struct loop *loop, const char *host, uint16_t port, resolve_fn fn, void *arg,
                  struct resolve **ret_resolve) MUST_CHECK;
void resolve_cancel(struct resolve *resolve); /* fn is not called any more. NULL does nothing */
