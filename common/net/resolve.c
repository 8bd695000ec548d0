/* resolve.c - names to addresses: see resolve.h. */
#include "common/net/resolve.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/net/loop_internal.h"

struct resolve {
    struct loop *loop;
    resolve_fn fn; /* NULL: cancelled */
    void *arg;
    struct evdns_getaddrinfo_request *query; /* while libevent has it */
    uint16_t port;
    struct addr addrs[CONNECT_ADDRESSES_MAX];
    size_t n;
    struct later answer;
};

static void resolve_answer(struct later *later, void *arg)
{
    struct resolve *q = arg;
    resolve_fn fn = q->fn;

    (void)later;
    if (fn)
        fn(q->arg, q->n > 0 ? 0 : -EHOSTUNREACH, q->addrs, q->n);
    free(q);
}

static void resolve_take(struct resolve *q, const struct evutil_addrinfo *res)
{
    for (; res && q->n < CONNECT_ADDRESSES_MAX; res = res->ai_next) {
        struct addr *addr = &q->addrs[q->n];

        if (res->ai_addrlen > sizeof(addr->in6))
            continue;
        memcpy(&addr->in6, res->ai_addr, res->ai_addrlen);
        addr->len = res->ai_addrlen;
        addr->in.sin_port = htons(q->port); /* at the same place in both families */
        q->n++;
    }
}

/* libevent: resolved, failed, or cancelled; possibly before evdns_getaddrinfo() returns. */
static void resolve_on_result(int result, struct evutil_addrinfo *res, void *arg)
{
    struct resolve *q = arg;

    loop_touch(q->loop);
    q->query = NULL;
    if (result == 0)
        resolve_take(q, res);
    if (res)
        evutil_freeaddrinfo(res);
    env_later(&q->loop->env, &q->answer);
}

static int resolve_ask(struct resolve *q, const char *host)
{
    struct loop *loop = q->loop;
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = EVUTIL_AI_ADDRCONFIG,
    };
    struct evdns_getaddrinfo_request *query;

    if (!loop->dns)
        loop->dns = evdns_base_new(loop->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                   EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!loop->dns)
        return -EIO;
    query = evdns_getaddrinfo(loop->dns, host, NULL, &hints, resolve_on_result, q);
    if (query)
        q->query = query; /* NULL: it has called back already */
    return 0;
}

int resolve_start(struct loop *loop, const char *host, uint16_t port, resolve_fn fn, void *arg,
                  struct resolve **ret_resolve)
{
    struct resolve *q = calloc(1, sizeof(*q));
    int r = 0;

    if (!q)
        return -ENOMEM;
    q->loop = loop;
    q->fn = fn;
    q->arg = arg;
    q->port = port;
    later_init(&q->answer, resolve_answer, q);
    if (addr_from_host(host, port, &q->addrs[0]) == 0) {
        q->n = 1;
        env_later(&loop->env, &q->answer);
    } else {
        r = resolve_ask(q, host);
    }
    if (r < 0) {
        free(q);
        return r;
    }
    *ret_resolve = q;
    return 0;
}

void resolve_cancel(struct resolve *q)
{
    if (!q)
        return;
    q->fn = NULL;
    if (q->query)
        evdns_getaddrinfo_cancel(q->query); /* calls back, then the look-up goes */
}
