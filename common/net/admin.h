/*
 * admin.h - the admin port of a process, for operators and their tools:
 *     GET /healthz   200 while the loop turns
 *     GET /readyz    200, or 503 with the reasons, a line each
 *     GET /metrics   Prometheus text
 *     GET <page>     whatever the process adds, JSON (/status)
 * No secrets and no authentication: bound to loopback or to a private network.
 * GET and HEAD only, one request per connection, ADMIN_CONNECTIONS_MAX at once.
 */
#pragma once

#include "common/base/buf.h"
#include "common/net/loop.h"

struct admin;

struct admin_hooks {
    /* False: appends why not, a line each. */
    bool (*is_ready)(void *owner, struct buf *reasons);
    void (*write_metrics)(void *owner, struct buf *out);
};

struct admin_page {
    const char *path;                            /* "/status" */
    void (*write)(void *owner, struct buf *out); /* JSON */
};

/* address: "host:port", as for a listener; port 0 lets the kernel choose. The tables are
 * borrowed. -EINVAL; -errno of bind. */
int admin_new(struct loop *loop, const char *address, const struct admin_hooks *hooks,
              const struct admin_page *pages, size_t n_pages, void *owner,
              struct admin **ret_admin) MUST_CHECK;
void admin_free(struct admin *admin); /* NULL does nothing */
DEFINE_AUTO(struct admin, admin_free)

uint16_t admin_port(const struct admin *admin);
