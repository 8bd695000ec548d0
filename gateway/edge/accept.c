/*
 * accept.c - a connection on its way in:
 *
 *   accepted -+-> PROXY header (only from trusted proxies) -+-> TLS handshake -+-> front
 *             +---------------------------------------------+------------------+
 */
#include "gateway/edge/accept.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/net/listener.h"
#include "common/net/stream_tcp.h"

struct accept {
    struct accept_parts parts;
    struct listener *listener;
    struct list arriving; /* struct arrival */
};

struct arrival {
    struct list link;
    struct accept *accept;
    struct stream *stream; /* owned until handed on */
    struct buf head;       /* bytes of a PROXY header, and what came with them */
    struct wheel_entry timeout;
    struct later dead;
    struct ip peer;
    bool trusted;
    bool in_tls;
};

static void arrival_free_now(struct later *later, void *arg)
{
    struct arrival *a = arg;

    (void)later;
    buf_deinit(&a->head);
    free(a);
}

/* Handed on, or closed. */
static void arrival_forget(struct arrival *a)
{
    a->stream = NULL;
    wheel_cancel(&a->timeout);
    list_del(&a->link);
    env_free_later(loop_env(a->accept->parts.loop), &a->dead);
}

static void arrival_close(struct arrival *a)
{
    stream_close(a->stream, false);
    arrival_forget(a);
}

/* rest: plain bytes behind the PROXY header. */
static void arrival_hand_on(struct arrival *a, struct slice rest)
{
    struct stream *stream = a->stream;
    bool taken = front_take(a->accept->parts.front, stream, &a->peer, a->trusted, a->in_tls);

    arrival_forget(a);
    if (taken && rest.len > 0)
        stream->events->on_bytes(stream->owner, rest);
}

static void start_tls(struct arrival *a, struct slice rest)
{
    a->in_tls = true;
    if (stream_tcp_start_tls(a->stream, a->accept->parts.tls, rest) < 0)
        arrival_close(a);
}

static void after_proxy(struct arrival *a, struct slice rest)
{
    wheel_cancel(&a->timeout); /* the handshake has its own */
    if (a->accept->parts.tls)
        start_tls(a, rest);
    else
        arrival_hand_on(a, rest);
}

/* ---- the stream, until it is handed on ---- */

static void on_bytes(void *owner, struct slice bytes)
{
    struct arrival *a = owner;
    struct proxy_client client = {0};
    size_t len = 0;

    buf_put_slice(&a->head, bytes);
    if (buf_failed(&a->head)) {
        arrival_close(a);
        return;
    }
    switch (proxy_parse(buf_slice(&a->head), &client, &len)) {
    case PROXY_MORE:
        if (a->head.len > PROXY_HEADER_MAX)
            arrival_close(a);
        return;
    case PROXY_BAD:
        arrival_close(a);
        return;
    case PROXY_DONE:
        if (client.known) { /* the header speaks for the connection: what is in it is not the
                               proxy's own word */
            a->peer = client.ip;
            a->trusted = cidr_list_has(a->accept->parts.trusted_proxies, &client.ip);
        }
        break;
    case PROXY_NONE:
        break;
    }
    after_proxy(a, slice_of(a->head.data + len, a->head.len - len));
}

static void on_open(void *owner) /* TLS is up */
{
    arrival_hand_on(owner, slice_of(NULL, 0));
}

static void on_close(void *owner, enum stream_end end)
{
    (void)end;
    arrival_forget(owner);
}

static void on_drained(void *owner)
{
    (void)owner;
}

static const struct stream_events arrival_events = {
    .on_open = on_open,
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_close = on_close,
};

static void on_timeout(struct wheel_entry *entry)
{
    arrival_close(container_of(entry, struct arrival, timeout));
}

/* ---- the listener ---- */

static void peer_ip(const struct addr *addr, struct ip *ret_ip)
{
    if (addr->sa.sa_family == AF_INET)
        ip_from_v4((const uint8_t *)&addr->in.sin_addr, ret_ip);
    else
        memcpy(ret_ip->bytes, &addr->in6.sin6_addr, sizeof(ret_ip->bytes));
}

static void on_accept(void *owner, struct stream *stream, const struct addr *peer)
{
    struct accept *accept = owner;
    struct arrival *a = calloc(1, sizeof(*a));

    if (!a) {
        stream_close(stream, false);
        return;
    }
    a->accept = accept;
    a->stream = stream;
    peer_ip(peer, &a->peer);
    a->trusted = cidr_list_has(accept->parts.trusted_proxies, &a->peer);
    later_init(&a->dead, arrival_free_now, a);
    wheel_entry_init(&a->timeout, on_timeout);
    list_add_tail(&accept->arriving, &a->link);
    stream_set_events(stream, &arrival_events, a);
    if (a->trusted)
        wheel_set(accept->parts.wheel, &a->timeout, HTTP_HEAD_TIMEOUT_MS);
    else
        after_proxy(a, slice_of(NULL, 0));
}

int accept_new(const struct accept_parts *parts, const char *address, bool reuse_port,
               size_t max_connections, struct accept **ret_accept)
{
    static const struct listener_events events = {on_accept};
    struct listener_config config = {.address = address,
                                     .reuse_port = reuse_port,
                                     .max_connections = max_connections,
                                     .reserved_descriptors = DESCRIPTORS_RESERVED};
    AUTO(accept_free) struct accept *accept = calloc(1, sizeof(*accept));
    int r;

    if (!accept)
        return -ENOMEM;
    accept->parts = *parts;
    list_init(&accept->arriving);
    r = listener_new(parts->loop, &config, &events, accept, &accept->listener);
    if (r < 0)
        return r;
    *ret_accept = TAKE(accept);
    return 0;
}

void accept_free(struct accept *accept)
{
    if (!accept)
        return;
    listener_free(accept->listener);
    while (!list_empty(&accept->arriving))
        arrival_close(list_first(&accept->arriving, struct arrival, link));
    free(accept);
}

const struct addr *accept_addr(const struct accept *accept)
{
    return listener_addr(accept->listener);
}
