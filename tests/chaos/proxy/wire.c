/* wire.c - see wire.h. */
#include "tests/chaos/proxy/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX 16
#define QUEUE_MAX_BYTES                                                                        \
    (1u << 20) /* then the side that sends is no longer read: its window fills */
#define CHUNK_BYTES 65536
#define TICK_MS 5
#define REFUSED_MS 100 /* after the target has refused */

struct chunk {
    struct chunk *next;
    uint64_t due_ms;
    size_t len, off;
    char bytes[];
};

/* One direction of a wire: from fd[dir] to fd[!dir]. */
struct flow {
    struct chunk *first, **last;
    size_t queued;
    double allowance; /* bytes that a slow wire may still pass */
    uint64_t allowed_at_ms;
    bool ended;  /* its source has ended it */
    bool broken; /* ... by a reset */
    bool passed; /* the end has been passed on */
};

struct wire {
    struct wire *next, **prev;
    struct way *way;
    char peer[NAME_MAX_BYTES];
    bool is_known; /* who the peer is */
    bool is_connected, is_connecting;
    int fd[2]; /* of the client and of the target, -1: none */
    struct event *reads[2], *writes[2];
    struct flow flows[2];
};

struct peer_rule {
    char peer[NAME_MAX_BYTES];
    bool is_set[2];
    struct rule rules[2];
};

struct way {
    struct way *next;
    struct relay *relay;
    char name[NAME_MAX_BYTES];
    bool has_peers;
    bool is_refusing;
    uint64_t refuses_until_ms;
    bool is_listening;
    int fd;
    struct event *accepts;
    uint16_t port, target;
    struct rule rules[2];
    struct peer_rule peers[PEERS_MAX];
    size_t n_peers;
    struct wire *wires;
};

struct relay {
    struct event_base *base;
    struct event *tick;
    struct way *ways;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void *must_calloc(size_t bytes)
{
    void *p = calloc(1, bytes);

    if (!p)
        abort(); /* a tool of the tests: nothing sensible is left to do */
    return p;
}

static struct rule rule_of(const struct wire *wire, enum direction dir)
{
    const struct way *way = wire->way;

    for (size_t i = 0; i < way->n_peers; i++) {
        const struct peer_rule *mine = &way->peers[i];

        if (mine->is_set[dir] && strcmp(mine->peer, wire->peer) == 0)
            return mine->rules[dir];
    }
    return way->rules[dir];
}

static void reset_fd(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

static void wire_free(struct wire *wire, bool reset)
{
    for (int side = 0; side < 2; side++) {
        if (wire->reads[side])
            event_free(wire->reads[side]);
        if (wire->writes[side])
            event_free(wire->writes[side]);
        if (wire->fd[side] >= 0) {
            if (reset)
                reset_fd(wire->fd[side]);
            else
                close(wire->fd[side]);
        }
        while (wire->flows[side].first) {
            struct chunk *gone = wire->flows[side].first;

            wire->flows[side].first = gone->next;
            free(gone);
        }
    }
    *wire->prev = wire->next;
    if (wire->next)
        wire->next->prev = wire->prev;
    free(wire);
}

/* How much of the flow may go now. */
static size_t allowance(struct flow *flow, struct rule rule, uint64_t now)
{
    double most = rule.value / 10.0 + 1;

    if (rule.mode != RULE_SLOW)
        return SIZE_MAX;
    flow->allowance += (double)(now - flow->allowed_at_ms) * rule.value / 1000;
    flow->allowed_at_ms = now;
    if (flow->allowance > most)
        flow->allowance = most;
    return (size_t)flow->allowance;
}

/* Writes what may go. False: the wire is gone. */
static bool pump_bytes(struct wire *wire, enum direction dir, struct rule rule)
{
    struct flow *flow = &wire->flows[dir];
    uint64_t now = now_ms();
    size_t may = allowance(flow, rule, now);

    while (flow->first && flow->first->due_ms <= now && may > 0) {
        struct chunk *chunk = flow->first;
        size_t len = chunk->len - chunk->off;
        ssize_t n = send(wire->fd[!dir], chunk->bytes + chunk->off, len < may ? len : may,
                         MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            event_add(wire->writes[!dir], NULL);
            return true;
        }
        if (n < 0) {
            wire_free(wire, true);
            return false;
        }
        chunk->off += (size_t)n;
        flow->queued -= (size_t)n;
        if (rule.mode == RULE_SLOW) {
            flow->allowance -= (double)n;
            may -= (size_t)n;
        }
        if (chunk->off == chunk->len) {
            flow->first = chunk->next;
            if (!flow->first)
                flow->last = &flow->first;
            free(chunk);
        }
    }
    return true;
}

/* False: the wire is gone. */
static bool pump(struct wire *wire, enum direction dir)
{
    struct flow *flow = &wire->flows[dir];
    struct rule rule = rule_of(wire, dir);

    if (!wire->is_connected || rule.mode == RULE_HOLD || flow->passed)
        return true;
    if (!pump_bytes(wire, dir, rule))
        return false;
    if (!flow->first && flow->ended) {
        flow->passed = true;
        if (flow->broken || wire->flows[!dir].passed) {
            wire_free(wire, flow->broken);
            return false;
        }
        shutdown(wire->fd[!dir], SHUT_WR);
    }
    if (!flow->ended && flow->queued < QUEUE_MAX_BYTES)
        event_add(wire->reads[dir], NULL);
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

static void on_readable(evutil_socket_t fd, short what, void *arg);

static void watch(struct wire *wire, int side, int fd)
{
    struct event_base *base = wire->way->relay->base;
    int on = 1;

    wire->fd[side] = fd;
    evutil_make_socket_nonblocking(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    wire->reads[side] = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, wire);
    wire->writes[side] = event_new(base, fd, EV_WRITE, on_writable, wire);
    if (!wire->reads[side] || !wire->writes[side])
        abort();
}

static void refuse_now(struct way *way)
{
    if (!way->is_listening)
        return;
    /* The port stays bound, so that nobody else gets it; who waits in its queue is reset. */
    event_del(way->accepts);
    shutdown(way->fd, SHUT_RDWR);
    way->is_listening = false;
}

static void listen_again(struct way *way)
{
    if (way->is_listening || way->is_refusing || way->refuses_until_ms > now_ms())
        return;
    if (listen(way->fd, 1024) < 0) {
        perror("listen");
        abort();
    }
    event_add(way->accepts, NULL);
    way->is_listening = true;
}

static void target_refused(struct wire *wire)
{
    struct way *way = wire->way;

    way->refuses_until_ms = now_ms() + REFUSED_MS;
    refuse_now(way);
    wire_free(wire, true);
}

/* A network that swallows packets swallows the first one, too: the target is not asked before
 * the wire may pass. False: the wire is gone. */
static bool connect_target(struct wire *wire)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd;

    if (wire->is_connected || wire->is_connecting || !wire->is_known ||
        rule_of(wire, UP).mode == RULE_HOLD || rule_of(wire, DOWN).mode == RULE_HOLD)
        return true;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        perror("socket");
        abort();
    }
    watch(wire, 1, fd);
    to.sin_port = htons(wire->way->target);
    if (wire->way->target == 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
        target_refused(wire);
        return false;
    }
    wire->is_connecting = true;
    event_add(wire->writes[1], NULL);
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct wire *wire = arg;
    int side = fd == wire->fd[1];

    (void)what;
    if (side == 1 && wire->is_connecting) {
        int error = 0;
        socklen_t len = sizeof(error);

        wire->is_connecting = false;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
            target_refused(wire);
            return;
        }
        wire->is_connected = true;
        event_add(wire->reads[1], NULL);
        if (!pump(wire, DOWN))
            return;
    }
    (void)pump(wire, side == 1 ? UP : DOWN);
}

/* The greeting of a gateway names it: "gateway-2". */
static void know_peer(struct wire *wire, const char *bytes, size_t len)
{
    static const char word[] = "gateway-";
    const char *at = memmem(bytes, len < 512 ? len : 512, word, sizeof(word) - 1);
    size_t n = 0;

    wire->is_known = true;
    if (!at)
        return;
    while (n < sizeof(wire->peer) - 1 && at + n < bytes + len &&
           ((at[n] >= 'a' && at[n] <= 'z') || (at[n] >= '0' && at[n] <= '9') || at[n] == '-'))
        n++;
    memcpy(wire->peer, at, n);
}

static void enqueue(struct wire *wire, enum direction dir, const char *bytes, size_t len)
{
    struct flow *flow = &wire->flows[dir];
    struct rule rule = rule_of(wire, dir);
    struct chunk *chunk = must_calloc(sizeof(*chunk) + len);

    chunk->len = len;
    chunk->due_ms = now_ms() + (rule.mode == RULE_DELAY ? rule.value : 0);
    memcpy(chunk->bytes, bytes, len);
    *flow->last = chunk;
    flow->last = &chunk->next;
    flow->queued += len;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    static char bytes[CHUNK_BYTES];
    struct wire *wire = arg;
    enum direction dir = fd == wire->fd[0] ? UP : DOWN;
    struct flow *flow = &wire->flows[dir];
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

    (void)what;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        flow->ended = true;
        flow->broken = n < 0;
        event_del(wire->reads[dir]);
        if (!wire->is_connected && !wire->is_known)
            wire_free(wire, false); /* it went without having said who it was */
        else
            (void)pump(wire, dir);
        return;
    }
    if (!wire->is_known)
        know_peer(wire, bytes, (size_t)n);
    enqueue(wire, dir, bytes, (size_t)n);
    if (flow->queued >= QUEUE_MAX_BYTES)
        event_del(wire->reads[dir]);
    if (!connect_target(wire))
        return;
    (void)pump(wire, dir);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    struct way *way = arg;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct wire *wire;

    (void)what;
    if (fd < 0)
        return; /* it has gone again, or was reset with the others in the queue */
    wire = must_calloc(sizeof(*wire));
    wire->way = way;
    wire->is_known = !way->has_peers;
    wire->fd[0] = wire->fd[1] = -1;
    for (int dir = 0; dir < 2; dir++) {
        wire->flows[dir].last = &wire->flows[dir].first;
        wire->flows[dir].allowed_at_ms = now_ms();
    }
    wire->next = way->wires;
    wire->prev = &way->wires;
    if (wire->next)
        wire->next->prev = &wire->next;
    way->wires = wire;
    watch(wire, 0, fd);
    event_add(wire->reads[0], NULL);
    (void)connect_target(wire);
}

static void tend_way(struct way *way)
{
    for (struct wire *wire = way->wires, *next; wire; wire = next) {
        next = wire->next;
        if (!connect_target(wire))
            continue;
        for (int dir = 0; dir < 2; dir++) {
            const struct flow *flow = &wire->flows[dir];

            if ((flow->first || flow->ended) && !pump(wire, dir))
                break;
        }
    }
    listen_again(way);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct relay *relay = arg;

    (void)fd;
    (void)what;
    for (struct way *way = relay->ways; way; way = way->next)
        tend_way(way);
}

struct relay *relay_new(struct event_base *base)
{
    struct relay *relay = must_calloc(sizeof(*relay));
    struct timeval every = {.tv_usec = TICK_MS * 1000};

    relay->base = base;
    relay->tick = event_new(base, -1, EV_PERSIST, on_tick, relay);
    if (!relay->tick || event_add(relay->tick, &every) < 0)
        abort();
    return relay;
}

struct way *relay_find(struct relay *relay, const char *name)
{
    for (struct way *way = relay->ways; way; way = way->next) {
        if (strcmp(way->name, name) == 0)
            return way;
    }
    return NULL;
}

/* The kernel keeps a port over shutdown() only for who has named it: one that it has chosen
 * itself is bound a second time, by name. */
static int bind_port(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(*port)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

static int bind_any(uint16_t *ret_port)
{
    int fd = -1;

    for (int attempt = 0; attempt < 20 && fd < 0; attempt++) {
        int chosen;

        *ret_port = 0;
        chosen = bind_port(ret_port);
        if (chosen < 0)
            return -1;
        close(chosen);
        fd = bind_port(ret_port); /* somebody may have been faster */
    }
    return fd;
}

struct way *relay_add(struct relay *relay, const char *name, bool has_peers)
{
    struct way *way = must_calloc(sizeof(*way));

    way->relay = relay;
    way->has_peers = has_peers;
    (void)snprintf(way->name, sizeof(way->name), "%s", name);
    way->fd = bind_any(&way->port);
    if (way->fd < 0) {
        free(way);
        return NULL;
    }
    way->accepts = event_new(relay->base, way->fd, EV_READ | EV_PERSIST, on_accept, way);
    if (!way->accepts)
        abort();
    way->next = relay->ways;
    relay->ways = way;
    listen_again(way);
    return way;
}

uint16_t way_port(const struct way *way)
{
    return way->port;
}

void way_set_target(struct way *way, uint16_t port)
{
    way->target = port;
    way->refuses_until_ms = 0;
    tend_way(way);
}

static struct peer_rule *peer_rule(struct way *way, const char *peer)
{
    for (size_t i = 0; i < way->n_peers; i++) {
        if (strcmp(way->peers[i].peer, peer) == 0)
            return &way->peers[i];
    }
    if (way->n_peers == PEERS_MAX)
        return NULL;
    (void)snprintf(way->peers[way->n_peers].peer, NAME_MAX_BYTES, "%s", peer);
    return &way->peers[way->n_peers++];
}

bool way_set_rule(struct way *way, const char *peer, enum direction dir, struct rule rule)
{
    if (strcmp(peer, "*") == 0) {
        way->rules[dir] = rule;
        for (size_t i = 0; i < way->n_peers; i++)
            way->peers[i].is_set[dir] = false;
    } else {
        struct peer_rule *mine = peer_rule(way, peer);

        if (!mine)
            return false;
        mine->is_set[dir] = true;
        mine->rules[dir] = rule;
    }
    tend_way(way);
    return true;
}

size_t way_cut(struct way *way, const char *peer)
{
    size_t n = 0;

    for (struct wire *wire = way->wires, *next; wire; wire = next) {
        next = wire->next;
        if (strcmp(peer, "*") != 0 && strcmp(peer, wire->peer) != 0)
            continue;
        wire_free(wire, true);
        n++;
    }
    return n;
}

void way_refuse(struct way *way, bool on)
{
    way->is_refusing = on;
    if (on)
        refuse_now(way);
    else
        way->refuses_until_ms = 0;
    listen_again(way);
}
