/*
 * pg_url.h - a connection URL or conninfo string taken apart: the hosts one by
 * one, because we resolve names ourselves (libpq would block), and the rest as
 * it is. Pure but for libpq's parser; connects to nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"

struct pg_host {
    char *host;    /* a name, an address, a socket directory ("/..."), or NULL: libpq's default
                      socket */
    char *address; /* hostaddr as given, or NULL */
    char *port;    /* as text, or NULL: the default */
};

struct pg_url {
    struct pg_host *hosts;
    size_t n_hosts; /* at least 1 */
    /* All other options that were given, as two arrays for PQconnectStartParams(). */
    char **keys, **values;
    size_t n_options;
};

/* -EINVAL: not a conninfo string, or lists of hosts and ports that do not match. */
int pg_url_parse(const char *text, struct pg_url *ret_url) MUST_CHECK;
void pg_url_deinit(struct pg_url *url);
/* The host is a name that must be resolved. */
bool pg_host_needs_resolving(const struct pg_host *host);
