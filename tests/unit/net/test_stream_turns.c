/* test_stream_turns.c - which streams are read and written in a turn of the loop. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "tests/support/test.h"
#include "tests/unit/net/net_fixture.h"

#define MANY (UNHURRIED_PER_TURN + 16)
#define INPUT_BYTES (64 * KIB)

struct pair {
    struct peer near; /* in the loop */
    int far;
};

static struct loop *loop;
static struct pair pairs[MANY];

static int setup(void **state)
{
    (void)state;
    memset(pairs, 0, sizeof(pairs));
    assert_int_equal(loop_new(&loop), 0);
    for (size_t i = 0; i < MANY; i++) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        pairs[i].far = fds[1];
        assert_int_equal(
            stream_tcp_new(loop, fds[0], &peer_events, &pairs[i].near, &pairs[i].near.stream),
            0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        peer_deinit(&pairs[i].near);
        close(pairs[i].far);
    }
    loop_free(loop);
    return 0;
}

static void turn(void)
{
    assert_int_equal(loop_turn(loop, false), 0);
}

static void turns_until_drained(size_t i)
{
    uint64_t end_ms = net_clock_ms() + NET_WAIT_MS;

    while (pairs[i].near.stream->queued_bytes > 0) {
        assert_true(net_clock_ms() < end_ms);
        turn();
    }
}

static void write_unhurried(size_t i, const char *text)
{
    AUTO(blob_unref) struct blob *blob = blob_copy(slice_str(text));

    assert_non_null(blob);
    assert_int_equal(stream_write_unhurried(pairs[i].near.stream, blob), 0);
}

static size_t count_drained(void)
{
    size_t n = 0;

    for (size_t i = 0; i < MANY; i++)
        n += pairs[i].near.stream->queued_bytes == 0;
    return n;
}

static void expect_far(size_t i, const char *text)
{
    char got[64];
    ssize_t n = recv(pairs[i].far, got, sizeof(got), 0);

    assert_true(n > 0);
    CHECK_SLICE(slice_of(got, (size_t)n), text, "far end");
}

/* A number behind a name in what /metrics shows. */
static uint64_t metric(const char *name)
{
    AUTO_BUF out = BUF_INIT;
    const char *at;

    loop_write_metrics(loop, &out);
    buf_put(&out, "", 1);
    at = strstr(out.data, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static void what_nobody_waits_for_leaves_a_few_sockets_a_turn(void **state)
{
    size_t n;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        write_unhurried(i, "news");
    turn();
    n = count_drained();
    assert_in_range(n, UNHURRIED_PER_TURN_MIN, UNHURRIED_PER_TURN);
    assert_int_equal(metric("put_off_total{dir=\"out\"} "), 1);
    turns_until_drained(MANY - 1);
    assert_int_equal(count_drained(), MANY); /* in the order in which it was written */
    for (size_t i = 0; i < MANY; i++)
        expect_far(i, "news");
}

static void what_somebody_waits_for_goes_first_and_takes_along_what_is_before_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        write_unhurried(i, "news,");
    peer_send(&pairs[MANY - 1].near, "message");
    write_unhurried(MANY - 1, ",later news");
    turn();
    assert_true(count_drained() < MANY);
    assert_int_equal(pairs[MANY - 1].near.stream->queued_bytes, 0);
    expect_far(MANY - 1, "news,message,later news");
    turns_until_drained(MANY - 2);
    assert_int_equal(count_drained(), MANY);
}

static void a_stream_that_waits_to_be_written_may_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        write_unhurried(i, "news");
    stream_close(TAKE(pairs[MANY - 1].near.stream), true);
    stream_close(TAKE(pairs[MANY - 2].near.stream), false);
    turns_until_drained(MANY - 3);
    expect_far(MANY - 1, "news"); /* closed with what was queued */
    assert_int_equal(recv(pairs[MANY - 2].far, &(char){0}, 1, 0), 0);
}

/* ---- reading ---- */

static void fill(size_t i, size_t bytes)
{
    static const char zeros[INPUT_BYTES];

    assert_int_equal(send(pairs[i].far, zeros, bytes, MSG_DONTWAIT), bytes);
}

static size_t bytes_in(void)
{
    size_t n = 0;

    for (size_t i = 0; i < MANY; i++)
        n += pairs[i].near.in.len;
    return n;
}

static void a_turn_reads_a_bounded_part_and_everybody_gets_some(void **state)
{
    uint64_t end_ms = net_clock_ms() + NET_WAIT_MS;
    size_t before = 0, now;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        fill(i, INPUT_BYTES);
    while ((now = bytes_in()) < (size_t)MANY * INPUT_BYTES) {
        assert_true(now - before <= CLIENTS_READ_PER_TURN + STREAM_READ_SHARE);
        assert_true(net_clock_ms() < end_ms);
        before = now;
        turn();
    }
    assert_true(metric("put_off_total{dir=\"in\"} ") > 0);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(pairs[i].near.in.len, INPUT_BYTES);
}

static void the_flood_of_one_tenant_is_no_queue_for_another(void **state)
{
    enum { OTHER = MANY - 1 };
    uint64_t end_ms = net_clock_ms() + NET_WAIT_MS;
    size_t before = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        pairs[i].near.stream->tenant = i == OTHER ? 2 : 1;
    for (size_t i = 0; i < OTHER; i++)
        fill(i, INPUT_BYTES);
    /* The flood is waiting when the other one comes. */
    while (metric("put_off_total{dir=\"in\"} ") == 0) {
        assert_true(net_clock_ms() < end_ms);
        turn();
    }
    before = bytes_in();
    fill(OTHER, 5);
    while (pairs[OTHER].near.in.len == 0) {
        assert_true(net_clock_ms() < end_ms);
        turn();
    }
    /* Announced in one turn, read in it or in the next. */
    assert_true(bytes_in() - before <= 4 * (CLIENTS_READ_PER_TURN + STREAM_READ_SHARE));
    assert_true(bytes_in() < (size_t)OTHER * INPUT_BYTES);
}

static size_t links_before_client;

static void note_links(struct peer *peer, struct slice bytes)
{
    (void)peer;
    (void)bytes;
    if (links_before_client == 0)
        links_before_client = bytes_in() - pairs[0].near.in.len;
}

static void links_are_read_before_clients_and_within_a_bound(void **state)
{
    enum { LINKS = 8 }; /* behind the client */
    uint64_t end_ms = net_clock_ms() + NET_WAIT_MS;
    size_t before = 0;

    (void)state;
    links_before_client = 0;
    pairs[0].near.on_bytes = note_links;
    for (size_t i = 0; i <= LINKS; i++) {
        pairs[i].near.stream->is_link = i > 0;
        fill(i, INPUT_BYTES);
    }
    while (bytes_in() < (LINKS + 1) * (size_t)INPUT_BYTES) {
        size_t links = bytes_in() - pairs[0].near.in.len;

        assert_true(links - before <= LINKS_READ_PER_TURN);
        before = links;
        assert_true(net_clock_ms() < end_ms);
        turn();
    }
    assert_int_equal(links_before_client, LINKS_READ_PER_TURN); /* of the first turn */
}

static void a_stream_that_waits_to_be_read_may_close_or_pause(void **state)
{
    uint64_t end_ms = net_clock_ms() + NET_WAIT_MS;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        fill(i, INPUT_BYTES);
    while (metric("put_off_total{dir=\"in\"} ") == 0) {
        assert_true(net_clock_ms() < end_ms);
        turn();
    }
    for (size_t i = 2; i < MANY; i++)
        stream_close(TAKE(pairs[i].near.stream), false);
    stream_pause(pairs[0].near.stream, true);
    buf_clear(&pairs[0].near.in);
    while (pairs[1].near.in.len < INPUT_BYTES) {
        assert_true(net_clock_ms() < end_ms);
        turn();
    }
    assert_int_equal(pairs[0].near.in.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(what_nobody_waits_for_leaves_a_few_sockets_a_turn),
        T(what_somebody_waits_for_goes_first_and_takes_along_what_is_before_it),
        T(a_stream_that_waits_to_be_written_may_close),
        T(a_turn_reads_a_bounded_part_and_everybody_gets_some),
        T(the_flood_of_one_tenant_is_no_queue_for_another),
        T(links_are_read_before_clients_and_within_a_bound),
        T(a_stream_that_waits_to_be_read_may_close_or_pause),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
