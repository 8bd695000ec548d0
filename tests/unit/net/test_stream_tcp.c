/* test_stream_tcp.c - plain streams over real sockets on loopback. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "tests/support/test.h"
#include "tests/unit/net/net_fixture.h"

static struct net_fixture f;

static int setup(void **state)
{
    (void)state;
    net_setup(&f, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_teardown(&f);
    return 0;
}

static void bytes_arrive_in_order_both_ways(void **state)
{
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, f.address);
    peer_send(&client, "early "); /* before it is connected */
    NET_UNTIL(&f, client.opened && f.accepted == 1);
    peer_send(&client, "one ");
    peer_send(&client, "two");
    peer_send(&f.servers[0], "back");
    NET_UNTIL(&f, f.servers[0].in.len == 13 && client.in.len == 4);
    CHECK_SLICE(buf_slice(&f.servers[0].in), "early one two", "server");
    CHECK_SLICE(buf_slice(&client.in), "back", "client");
    assert_int_equal(client.stream->queued_bytes, 0);
    peer_deinit(&client);
    NET_UNTIL(&f, f.servers[0].closed);
    assert_int_equal(f.servers[0].end, STREAM_END_EOF);
    assert_int_equal(loop_accepted_count(f.loop), 0);
}

static void nobody_listens(void **state)
{
    struct peer client = {0};
    char address[ADDR_TEXT_MAX];

    (void)state;
    memcpy(address, f.address, sizeof(address));
    listener_free(f.listener);
    f.listener = NULL;
    net_connect(&f, &client, address);
    NET_UNTIL(&f, client.closed);
    assert_int_equal(client.end, STREAM_END_REFUSED);
    assert_int_equal(client.opened, 0);
}

static void malformed_address_is_refused_at_once(void **state)
{
    struct env *env = loop_env(f.loop);
    struct stream *stream;

    (void)state;
    assert_int_equal(env->ops->connect(env, "nowhere", &peer_events, NULL, &stream), -EINVAL);
}

static void closing_before_the_connection_is_up_tells_nobody(void **state)
{
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, f.address);
    peer_deinit(&client);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    assert_int_equal(client.opened + client.closed, 0);
}

static void reset_is_reported_as_reset(void **state)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    int fd = net_raw_connect(&f);

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    NET_UNTIL(&f, f.servers[0].closed);
    assert_int_equal(f.servers[0].end, STREAM_END_RESET);
}

static size_t drain_socket(int fd, size_t want)
{
    static char sink[65536];
    size_t got = 0;

    while (got < want) {
        ssize_t n = recv(fd, sink, MIN(sizeof(sink), want - got), MSG_DONTWAIT);

        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        if (n == 0)
            break;
        assert_int_equal(errno, EAGAIN);
        net_turn(&f);
    }
    return got;
}

static void slow_reader_gets_everything_and_on_drained_comes_once(void **state)
{
    enum { PIECE = 100000, PIECES = 200 };
    struct peer *server = &f.servers[0];
    int fd = net_raw_connect(&f);

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    for (int i = 0; i < PIECES; i++)
        peer_send_zeros(server, PIECE);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    assert_true(server->stream->queued_bytes > STREAM_QUEUE_HIGH);
    assert_int_equal(server->drained, 0);
    assert_int_equal(drain_socket(fd, (size_t)PIECE * PIECES), (size_t)PIECE * PIECES);
    assert_int_equal(server->stream->queued_bytes, 0);
    assert_int_equal(server->drained, 1);
    close(fd);
}

static void close_with_flush_delivers_what_is_queued(void **state)
{
    struct peer *server = &f.servers[0];
    int fd = net_raw_connect(&f);
    char byte;

    (void)state;
    assert_int_equal(send(fd, "unread input", 12, 0), 12);
    NET_UNTIL(&f, f.accepted == 1);
    peer_send_zeros(server, 10000000);
    stream_close(TAKE(server->stream), true);
    assert_int_equal(drain_socket(fd, 10000001), 10000000); /* and then the end, not a reset */
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_int_equal(loop_accepted_count(f.loop), 1); /* it waits for our end */
    close(fd);
    NET_UNTIL(&f, loop_accepted_count(f.loop) == 0);
    assert_int_equal(server->closed, 0);
}

static void half_closed_client_still_gets_its_answer(void **state)
{
    struct peer *server = &f.servers[0];
    int fd = net_raw_connect(&f);

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    peer_send_zeros(server, 10000000);
    shutdown(fd, SHUT_WR);
    NET_UNTIL(&f, server->closed);
    assert_int_equal(server->end, STREAM_END_EOF);
    assert_int_equal(drain_socket(fd, 10000001), 10000000);
    NET_UNTIL(&f, loop_accepted_count(f.loop) == 0);
    close(fd);
}

static void paused_stream_reads_nothing(void **state)
{
    struct peer *server = &f.servers[0];
    int fd = net_raw_connect(&f);

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    stream_pause(server->stream, true);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    assert_int_equal(server->in.len, 0);
    stream_pause(server->stream, false);
    NET_UNTIL(&f, server->in.len == 5);
    close(fd);
}

static void close_and_stop(struct peer *peer, struct slice bytes)
{
    (void)bytes;
    stream_close(TAKE(peer->stream), false);
}

static void closing_inside_on_bytes_is_safe(void **state)
{
    int fd = net_raw_connect(&f);

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    f.servers[0].on_bytes = close_and_stop;
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    NET_UNTIL(&f, loop_accepted_count(f.loop) == 0);
    assert_int_equal(f.servers[0].closed, 0);
    close(fd);
}

static void one_turn_writes_all_blobs_at_once(void **state)
{
    struct peer *server = &f.servers[0];
    int fd = net_raw_connect(&f);
    int waiting = 0;

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    for (int i = 0; i < 500; i++)
        peer_send(server, "0123456789");
    ioctl(fd, FIONREAD, &waiting);
    assert_int_equal(waiting, 0); /* nothing before the end of the turn */
    net_turn(&f);
    assert_int_equal(server->stream->queued_bytes, 0);
    assert_int_equal(drain_socket(fd, 5000), 5000);
    close(fd);
}

static void stream_without_events_is_closed(void **state)
{
    int fds[NET_PEERS + 1];
    char byte;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = net_raw_connect(&f);
    NET_UNTIL(&f, f.accepted == NET_PEERS);
    NET_UNTIL(&f, recv(fds[NET_PEERS], &byte, 1, MSG_DONTWAIT) == 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(bytes_arrive_in_order_both_ways),
        T(nobody_listens),
        T(malformed_address_is_refused_at_once),
        T(closing_before_the_connection_is_up_tells_nobody),
        T(reset_is_reported_as_reset),
        T(slow_reader_gets_everything_and_on_drained_comes_once),
        T(close_with_flush_delivers_what_is_queued),
        T(half_closed_client_still_gets_its_answer),
        T(paused_stream_reads_nothing),
        T(closing_inside_on_bytes_is_safe),
        T(one_turn_writes_all_blobs_at_once),
        T(stream_without_events_is_closed),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
