/* net.c - sockets, the epoll turn, RFC 6455 framing from the client's side. */
#include "tests/bench/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/tool.h"

#define READ_BYTES (1u << 20)
#define MAX_FRAME_BYTES (READ_BYTES / 2)
#define MAX_EVENTS 1024

enum ws_op { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9 };

struct net {
    struct net_events events;
    void *owner;
    int epoll_fd;
    uint32_t n_dirty;
    struct net_client **dirty; /* owned; clients with output of this turn */
    uint64_t read_at_ns;
    uint64_t bytes_in;
    uint32_t mask_state;
    char *buf; /* owned; READ_BYTES */
    struct epoll_event ready[MAX_EVENTS];
};

struct net *net_new(const struct net_events *events, void *owner, uint32_t max_clients)
{
    struct net *net = must_calloc(1, sizeof(*net));

    net->events = *events;
    net->owner = owner;
    net->mask_state = 0x6d2b79f5u;
    net->buf = must_calloc(1, READ_BYTES);
    net->dirty = must_calloc(max_clients, sizeof(struct net_client *));
    net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (net->epoll_fd < 0)
        die("epoll_create1: %s", strerror(errno));
    return net;
}

void net_free(struct net *net)
{
    if (!net)
        return;
    close(net->epoll_fd);
    free(net->buf);
    free(net->dirty);
    free(net);
}

static void watch(struct net *net, struct net_client *c, int op, bool write)
{
    struct epoll_event ev = {.events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = c};

    c->wants_write = write;
    if (epoll_ctl(net->epoll_fd, op, c->fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

void net_close(struct net *net, struct net_client *c)
{
    (void)net;
    if (c->fd < 0)
        return;
    close(c->fd);
    c->fd = -1;
    c->open = false;
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
    c->in_len = c->in_cap = c->out_len = c->out_off = c->out_cap = 0;
}

static void lose(struct net *net, struct net_client *c, const char *why)
{
    net_close(net, c);
    net->events.on_lost(net->owner, c, why);
}

/* Output. */

static void out_append(struct net *net, struct net_client *c, const void *p, size_t len)
{
    if (c->out_len + len > c->out_cap) {
        c->out_cap = (uint32_t)(c->out_len + len) * 2;
        c->out = must_realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, p, len);
    c->out_len += (uint32_t)len;
    if (!c->queued) {
        c->queued = true;
        net->dirty[net->n_dirty++] = c;
    }
}

static void flush_client(struct net *net, struct net_client *c)
{
    while (c->out_off < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (!c->wants_write)
                watch(net, c, EPOLL_CTL_MOD, true);
            return;
        }
        if (n < 0) {
            lose(net, c, strerror(errno));
            return;
        }
        c->out_off += (uint32_t)n;
    }
    c->out_off = c->out_len = 0;
    if (c->wants_write)
        watch(net, c, EPOLL_CTL_MOD, false);
}

static void flush_dirty(struct net *net)
{
    for (uint32_t i = 0; i < net->n_dirty; i++) {
        struct net_client *c = net->dirty[i];

        c->queued = false;
        if (c->open && !c->wants_write)
            flush_client(net, c);
    }
    net->n_dirty = 0;
}

static void send_frame(struct net *net, struct net_client *c, enum ws_op op, const char *p,
                       size_t len)
{
    uint8_t head[14] = {(uint8_t)(0x80 | op)};
    size_t head_len = 2;
    uint8_t *payload;

    if (len < 126) {
        head[1] = (uint8_t)(0x80 | len);
    } else {
        if (len > UINT16_MAX)
            die("a frame of %zu bytes is more than this client sends", len);
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        head_len = 4;
    }
    net->mask_state = net->mask_state * 1664525u + 1013904223u;
    memcpy(head + head_len, &net->mask_state, 4);
    out_append(net, c, head, head_len + 4);
    out_append(net, c, p, len);
    payload = (uint8_t *)c->out + c->out_len - len;
    for (size_t i = 0; i < len; i++)
        payload[i] ^= head[head_len + (i & 3)];
}

void net_send(struct net *net, struct net_client *c, const char *p, size_t len)
{
    if (c->open)
        send_frame(net, c, WS_TEXT, p, len);
}

void net_leave(struct net *net, struct net_client *c)
{
    static const char normal[] = {0x03, (char)0xe8};

    if (c->open && !c->wants_write) {
        send_frame(net, c, WS_CLOSE, normal, sizeof(normal));
        (void)send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
    }
    net_close(net, c); /* one that hears no goodbye sees the end of the connection */
}

/* Input. */

/* One frame at @p. Its whole length; 0 when more bytes are needed; -1 when it is bad. */
static ssize_t frame_size(const uint8_t *p, size_t len, size_t *ret_head, size_t *ret_payload)
{
    uint64_t payload;
    size_t head = 2;

    if (len < 2)
        return 0;
    payload = p[1] & 0x7f;
    if (payload == 126)
        head = 4;
    else if (payload == 127)
        head = 10;
    if (len < head)
        return 0;
    if (head > 2) {
        payload = 0;
        for (size_t i = 2; i < head; i++)
            payload = payload << 8 | p[i];
    }
    /* No extension was offered, so no reserved bit; a server does not mask (RFC 6455 5.1). */
    if ((p[0] & 0x70) || (p[1] & 0x80) || payload > MAX_FRAME_BYTES)
        return -1;
    *ret_head = head;
    *ret_payload = (size_t)payload;
    return len < head + payload ? 0 : (ssize_t)(head + payload);
}

static void handle_frame(struct net *net, struct net_client *c, uint8_t first, const char *p,
                         size_t len)
{
    char why[160];

    switch (first & 0x0f) {
    case WS_TEXT:
    case WS_BINARY:
        if (first & 0x80)
            net->events.on_payload(net->owner, c, p, len);
        else
            lose(net, c, "a fragmented frame, which this client does not read");
        break;
    case WS_PING:
        send_frame(net, c, (enum ws_op)10, p, len);
        break;
    case WS_CLOSE:
        snprintf(why, sizeof(why), "closed by the server: %d %.*s",
                 len >= 2 ? (uint8_t)p[0] << 8 | (uint8_t)p[1] : 1005,
                 len > 2 ? (int)len - 2 : 0, len > 2 ? p + 2 : "");
        lose(net, c, why);
        break;
    default:
        break;
    }
}

/* Handles the whole frames in @p; the bytes used. */
static size_t handle_frames(struct net *net, struct net_client *c, const char *p, size_t len)
{
    size_t used = 0;

    while (c->open) {
        size_t head, payload;
        const uint8_t *frame = (const uint8_t *)p + used;
        ssize_t n = frame_size(frame, len - used, &head, &payload);

        if (n < 0)
            lose(net, c, "a frame that no server may send");
        if (n <= 0)
            break;
        used += (size_t)n;
        handle_frame(net, c, frame[0], p + used - payload, payload);
    }
    return used;
}

/* The answer to the upgrade. Bytes used; 0 when it is not complete. */
static size_t handle_upgrade(struct net *net, struct net_client *c, const char *p, size_t len)
{
    const char *blank;
    char why[160];

    if (len >= 12 && memcmp(p, "HTTP/1.1 101", 12) != 0) {
        snprintf(why, sizeof(why), "upgrade refused: %.*s", (int)(len < 100 ? len : 100), p);
        why[strcspn(why, "\r\n")] = '\0';
        lose(net, c, why);
        return 0;
    }
    blank = memmem(p, len, "\r\n\r\n", 4);
    if (!blank)
        return 0;
    c->open = true;
    net->events.on_open(net->owner, c);
    return (size_t)(blank + 4 - p);
}

static void keep_rest(struct net_client *c, const char *p, size_t len)
{
    if (len > c->in_cap) {
        c->in_cap = (uint32_t)len * 2;
        c->in = must_realloc(c->in, c->in_cap);
    }
    if (len)
        memcpy(c->in, p, len);
    c->in_len = (uint32_t)len;
}

static void on_readable(struct net *net, struct net_client *c)
{
    size_t len = c->in_len, used = 0;
    ssize_t n;

    if (len)
        memcpy(net->buf, c->in, len);
    n = recv(c->fd, net->buf + len, READ_BYTES - len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose(net, c, n == 0 ? "connection closed without a close frame" : strerror(errno));
        return;
    }
    net->read_at_ns = now_ns();
    net->bytes_in += (uint64_t)n;
    len += (size_t)n;
    if (!c->open)
        used = handle_upgrade(net, c, net->buf, len);
    if (c->open)
        used += handle_frames(net, c, net->buf + used, len - used);
    if (c->fd >= 0) /* a callback may have closed it */
        keep_rest(c, net->buf + used, len - used);
}

void net_connect(struct net *net, struct net_client *c, uint32_t id,
                 const struct sockaddr *addr, socklen_t addr_len, const char *request,
                 size_t request_len)
{
    int one = 1;

    *c = (struct net_client){.id = id};
    c->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed */
    if (connect(c->fd, addr, addr_len) < 0 && errno != EINPROGRESS) {
        lose(net, c, strerror(errno));
        return;
    }
    out_append(net, c, request, request_len);
    watch(net, c, EPOLL_CTL_ADD, true); /* writable: connected, the request can go */
}

void net_turn(struct net *net, uint64_t wait_ns)
{
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_SEC),
                            .tv_nsec = (long)(wait_ns % NS_PER_SEC)};
    int n;

    flush_dirty(net);
    n = epoll_pwait2(net->epoll_fd, net->ready, MAX_EVENTS, &wait, NULL);
    if (n < 0 && errno != EINTR)
        die("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        struct net_client *c = net->ready[i].data.ptr;

        if (c->fd >= 0 && (net->ready[i].events & EPOLLOUT))
            flush_client(net, c);
        if (c->fd >= 0 && (net->ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            on_readable(net, c);
    }
    flush_dirty(net);
}

uint64_t net_read_at_ns(const struct net *net)
{
    return net->read_at_ns;
}

uint64_t net_bytes_in(const struct net *net)
{
    return net->bytes_in;
}
