/* net_fixture.c - see net_fixture.h. */
#include "tests/unit/net/net_fixture.h"

#include <event2/event.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

static void peer_on_open(void *owner)
{
    struct peer *peer = owner;

    peer->opened++;
}

static void peer_on_bytes(void *owner, struct slice bytes)
{
    struct peer *peer = owner;

    buf_put_slice(&peer->in, bytes);
    if (peer->on_bytes)
        peer->on_bytes(peer, bytes);
}

static void peer_on_drained(void *owner)
{
    struct peer *peer = owner;

    peer->drained++;
    if (peer->on_drained)
        peer->on_drained(peer);
}

static void peer_on_close(void *owner, enum stream_end end)
{
    struct peer *peer = owner;

    peer->closed++;
    peer->end = end;
    peer->stream = NULL;
}

const struct stream_events peer_events = {
    .on_open = peer_on_open,
    .on_bytes = peer_on_bytes,
    .on_drained = peer_on_drained,
    .on_close = peer_on_close,
};

void peer_deinit(struct peer *peer)
{
    if (peer->stream)
        stream_close(peer->stream, false);
    peer->stream = NULL;
    buf_deinit(&peer->in);
}

void peer_send(struct peer *peer, const char *text)
{
    assert_int_equal(stream_write_bytes(peer->stream, slice_str(text)), 0);
}

void peer_send_zeros(struct peer *peer, size_t len)
{
    struct blob *blob = blob_new(len);

    assert_non_null(blob);
    memset(blob->data, 0, len);
    assert_int_equal(stream_write(peer->stream, blob), 0);
    blob_unref(blob);
}

static void fixture_on_accept(void *owner, struct stream *stream, const struct addr *peer)
{
    struct net_fixture *f = owner;
    struct peer *server;

    assert_true(addr_is_loopback(peer));
    if (f->accepted == NET_PEERS)
        return; /* without events: closed */
    server = &f->servers[f->accepted++];
    server->stream = stream;
    stream_set_events(stream, &peer_events, server);
    if (f->server_tls)
        assert_int_equal(stream_tcp_start_tls(stream, f->server_tls, (struct slice){0}), 0);
}

static const struct listener_events fixture_events = {.on_accept = fixture_on_accept};

void net_setup(struct net_fixture *f, size_t max_connections)
{
    struct listener_config config = {
        .address = "127.0.0.1:0",
        .max_connections = max_connections,
    };

    *f = (struct net_fixture){0};
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(listener_new(f->loop, &config, &fixture_events, f, &f->listener), 0);
    snprintf(f->address, sizeof(f->address), "127.0.0.1:%u",
             addr_port(listener_addr(f->listener)));
}

void net_teardown(struct net_fixture *f)
{
    for (size_t i = 0; i < NET_PEERS; i++)
        peer_deinit(&f->servers[i]);
    listener_free(f->listener);
    loop_free(f->loop);
}

void net_connect(struct net_fixture *f, struct peer *client, const char *address)
{
    struct env *env = loop_env(f->loop);

    assert_int_equal(env->ops->connect(env, address, &peer_events, client, &client->stream), 0);
    assert_int_equal(client->opened + client->closed, 0);
}

int net_raw_connect(struct net_fixture *f)
{
    const struct addr *addr = listener_addr(f->listener);
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &addr->sa, addr->len), 0);
    return fd;
}

uint64_t net_clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void tick_on_due(struct timer *timer, void *arg)
{
    (void)timer;
    (void)arg;
}

void net_turn(struct net_fixture *f)
{
    struct timer tick;

    timer_init(&tick, tick_on_due, NULL);
    assert_int_equal(env_timer(loop_env(f->loop), &tick, 5), 0);
    assert_int_equal(loop_turn(f->loop, true), 0);
    env_timer_cancel(loop_env(f->loop), &tick);
}
