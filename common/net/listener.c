/*
 * listener.c - see listener.h.
 *
 * The last descriptors that the process may have are not given to connections
 * that come in (config.reserved): they are for those that it makes itself, to
 * shards and to Redis, and for the port at which operators ask. A connection
 * that would take one of them is closed, then accepting rests.
 *
 * Out of file descriptors all the same: a spare descriptor is given up so that one waiting
 * connection can be accepted and closed (the peer learns it at once), then
 * accepting rests for ACCEPT_PAUSE_MS. A level-triggered accept that always
 * fails would otherwise spin.
 */
#include "common/net/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/net/stream_tcp_internal.h"

struct listener {
    struct loop *loop;
    const struct listener_events *events;
    void *owner;
    int fd;
    int spare_fd;
    struct event *event;
    bool listening;     /* event is with the kernel */
    struct timer rest;  /* out of descriptors: until accepting goes on */
    struct list waiter; /* on loop->full_waiters: at the cap */
    size_t max_connections, reserved;
    uint64_t warned_ms; /* 0: never */
    struct addr addr;
};

static void listener_set_listening(struct listener *l, bool on)
{
    if (l->listening == on)
        return;
    if (on ? event_add(l->event, NULL) == 0 : event_del(l->event) == 0)
        l->listening = on;
    else if (env_timer(loop_env(l->loop), &l->rest, ACCEPT_PAUSE_MS) < 0)
        abort(); /* a process that can never accept again and does not know it is worse than
                    none */
}

static void listener_on_rested(struct timer *timer, void *arg)
{
    (void)timer;
    listener_set_listening(arg, true);
}

void listener_room_again(struct loop *loop)
{
    struct listener *l, *next;

    list_for_each_safe(l, next, &loop->full_waiters, waiter)
    {
        if (loop->accepted >= l->max_connections)
            continue;
        list_del(&l->waiter);
        listener_set_listening(l, true);
    }
}

static void listener_open_spare(struct listener *l)
{
    if (l->spare_fd < 0)
        l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Once in a while: this goes on for as long as there are too many. */
static void listener_warn(struct listener *l, int err)
{
    uint64_t now_ms = env_now_ms(loop_env(l->loop));

    l->loop->accept_rests++;
    if (l->warned_ms > 0 && now_ms - l->warned_ms < ACCEPT_WARN_MS)
        return;
    l->warned_ms = MAX(now_ms, (uint64_t)1);
    log_warn("cannot accept, resting", L_U64("port", addr_port(&l->addr)),
             L_U64("open", l->loop->accepted), L_ERR(err));
}

static void listener_rest(struct listener *l)
{
    listener_set_listening(l, false);
    if (env_timer(loop_env(l->loop), &l->rest, ACCEPT_PAUSE_MS) < 0)
        listener_set_listening(l, true);
}

/* The lowest free descriptor is the new one's: so many are in use. */
static bool is_reserved(const struct listener *l, int fd)
{
    struct rlimit limit;
    rlim_t reserved;

    if (l->reserved == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    reserved = MIN((rlim_t)l->reserved, limit.rlim_cur / 4);
    return (rlim_t)fd >= limit.rlim_cur - reserved;
}

static void listener_out_of_fds(struct listener *l, int err)
{
    listener_warn(l, err);
    if (l->spare_fd >= 0) {
        int fd;

        close(l->spare_fd);
        l->spare_fd = -1;
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        listener_open_spare(l);
    }
    listener_rest(l);
}

static void listener_accepted(struct listener *l, int fd, const struct addr *peer)
{
    struct stream *stream;

    if (stream_tcp_new(l->loop, fd, NULL, NULL, &stream) < 0)
        return; /* out of memory: this connection is closed, the peer may come again */
    stream_tcp_mark_accepted(stream);
    l->events->on_accept(l->owner, stream, peer);
    stream_tcp_close_unowned(stream);
}

/* True: there may be more. */
static bool listener_accept_one(struct listener *l)
{
    struct addr peer = {.len = sizeof(struct sockaddr_in6)};
    int fd;

    if (l->max_connections && l->loop->accepted >= l->max_connections) {
        log_warn("at the connection cap", L_U64("port", addr_port(&l->addr)),
                 L_U64("open", l->loop->accepted));
        listener_set_listening(l, false);
        if (!list_linked(&l->waiter))
            list_add_tail(&l->loop->full_waiters, &l->waiter);
        return false;
    }
    fd = accept4(l->fd, &peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && is_reserved(l, fd)) {
        close(fd);
        listener_warn(l, EMFILE);
        listener_rest(l);
        return false;
    }
    if (fd >= 0) {
        listener_accepted(l, fd, &peer);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        listener_out_of_fds(l, errno);
        return false;
    default: /* ECONNABORTED and network errors of that one connection */
        return true;
    }
}

static void listener_on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)fd;
    (void)what;
    loop_touch(l->loop);
    for (int i = 0; i < ACCEPTS_PER_TURN && listener_accept_one(l); i++)
        ;
}

static int listener_bind(struct listener *l, const struct listener_config *config)
{
    int one = 1, zero = 0;

    l->fd = socket(l->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return -errno;
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (l->addr.sa.sa_family == AF_INET6) /* "*" means IPv4 as well */
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if (config->reuse_port &&
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
        return -errno;
    if (bind(l->fd, &l->addr.sa, l->addr.len) < 0 || listen(l->fd, LISTEN_BACKLOG) < 0)
        return -errno;
    l->addr.len = sizeof(struct sockaddr_in6);
    if (getsockname(l->fd, &l->addr.sa, &l->addr.len) < 0)
        return -errno;
    return 0;
}

/* A machine without IPv6 cannot bind "::"; there "*" means all of IPv4. */
static int listener_bind_any(struct listener *l, const struct listener_config *config)
{
    uint16_t port = addr_port(&l->addr);
    int r = listener_bind(l, config);

    if (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)
        return r;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    r = addr_from_host("0.0.0.0", port, &l->addr);
    return r < 0 ? r : listener_bind(l, config);
}

static int listener_resolve(const char *address, struct addr *ret_addr, bool *ret_any)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char host[ADDR_HOST_MAX];
    uint16_t port;
    int r;

    r = addr_split(slice_str(address), host, &port);
    if (r < 0)
        return r;
    *ret_any = !*host || strcmp(host, "*") == 0;
    r = addr_from_host(host, port, ret_addr);
    if (r == 0)
        return 0;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return -EINVAL;
    memcpy(&ret_addr->in6, found->ai_addr,
           MIN((size_t)found->ai_addrlen, sizeof(ret_addr->in6)));
    ret_addr->len = found->ai_addrlen;
    freeaddrinfo(found);
    ret_addr->in.sin_port = htons(port); /* at the same place in both families */
    return 0;
}

int listener_new(struct loop *loop, const struct listener_config *config,
                 const struct listener_events *events, void *owner,
                 struct listener **ret_listener)
{
    AUTO(listener_free) struct listener *l = calloc(1, sizeof(*l));
    bool any;
    int r;

    if (!l)
        return -ENOMEM;
    l->loop = loop;
    l->events = events;
    l->owner = owner;
    l->fd = -1;
    l->spare_fd = -1;
    l->max_connections = config->max_connections;
    l->reserved = config->reserved_descriptors;
    list_init(&l->waiter);
    timer_init(&l->rest, listener_on_rested, l);

    r = listener_resolve(config->address, &l->addr, &any);
    if (r < 0)
        return r;
    r = any ? listener_bind_any(l, config) : listener_bind(l, config);
    if (r < 0)
        return r;
    listener_open_spare(l);
    l->event = event_new(loop->base, l->fd, EV_READ | EV_PERSIST, listener_on_ready, l);
    if (!l->event || event_add(l->event, NULL) < 0)
        return -ENOMEM;
    l->listening = true;
    *ret_listener = TAKE(l);
    return 0;
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    if (l->event)
        event_free(l->event);
    env_timer_cancel(loop_env(l->loop), &l->rest);
    list_del(&l->waiter);
    if (l->fd >= 0)
        close(l->fd);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    free(l);
}

const struct addr *listener_addr(const struct listener *l)
{
    return &l->addr;
}
