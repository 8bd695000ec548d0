/* test_loop.c - turns, timers, signals, and the listener's limits. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
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

struct note {
    int count;
    uint64_t at_ms;
    struct timer timer;
    struct later later;
};

static void note_on_timer(struct timer *timer, void *arg)
{
    struct note *note = arg;

    (void)timer;
    note->count++;
    note->at_ms = net_clock_ms();
}

static void timers_fire_in_time_and_not_early(void **state)
{
    struct note notes[3] = {0};
    uint64_t begin = net_clock_ms();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        timer_init(&notes[i].timer, note_on_timer, &notes[i]);
        assert_int_equal(env_timer(loop_env(f.loop), &notes[i].timer, 30 * (i + 1)), 0);
    }
    while (notes[2].count == 0)
        assert_int_equal(loop_turn(f.loop, true), 0); /* sleeps until the timer by itself */
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        assert_int_equal(notes[i].count, 1);
        assert_in_range(notes[i].at_ms - begin, 30 * (i + 1) - 1, 30 * (i + 1) + 500);
    }
}

static void sooner_timer_shortens_the_sleep(void **state)
{
    struct note late = {0}, soon = {0};
    uint64_t begin = net_clock_ms();

    (void)state;
    timer_init(&late.timer, note_on_timer, &late);
    timer_init(&soon.timer, note_on_timer, &soon);
    assert_int_equal(env_timer(loop_env(f.loop), &late.timer, 60000), 0);
    assert_int_equal(loop_turn(f.loop, false), 0);
    assert_int_equal(env_timer(loop_env(f.loop), &soon.timer, 20), 0);
    while (soon.count == 0)
        assert_int_equal(loop_turn(f.loop, true), 0);
    assert_true(net_clock_ms() - begin < 5000);
    env_timer_cancel(loop_env(f.loop), &late.timer);
}

static void note_on_later(struct later *later, void *arg)
{
    struct note *note = arg;

    (void)later;
    note->count++;
}

static void again_on_later(struct later *later, void *arg)
{
    struct note *note = arg;

    note->count++;
    env_later(loop_env(f.loop), later);
}

static void end_of_turn_work_runs_and_may_repeat_without_hanging(void **state)
{
    struct note once = {0}, ever = {0};

    (void)state;
    later_init(&once.later, note_on_later, &once);
    later_init(&ever.later, again_on_later, &ever);
    env_later(loop_env(f.loop), &once.later);
    env_later(loop_env(f.loop), &ever.later);
    assert_int_equal(loop_turn(f.loop, true), 0); /* does not sleep: there is work */
    assert_int_equal(once.count, 1);
    assert_true(ever.count >= 1);
    assert_int_equal(loop_turn(f.loop, true), 0);
    assert_int_equal(once.count, 1);
    later_cancel(&ever.later);
}

static void on_signal(void *arg)
{
    (*(int *)arg)++;
    loop_stop(f.loop);
}

static void signals_arrive_in_the_loop(void **state)
{
    int terms = 0, hups = 0;

    (void)state;
    assert_int_equal(loop_on_signal(f.loop, SIGTERM, on_signal, &terms), 0);
    assert_int_equal(loop_on_signal(f.loop, SIGHUP, on_signal, &hups), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(terms, 0);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(terms, 1);
    assert_int_equal(raise(SIGHUP), 0);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(hups, 1);
}

static void clock_stands_still_within_a_turn(void **state)
{
    struct env *env = loop_env(f.loop);
    struct timespec pause = {.tv_nsec = 20000000};
    uint64_t before, after;

    (void)state;
    assert_int_equal(loop_turn(f.loop, false), 0);
    before = env_now_ms(env);
    nanosleep(&pause, NULL);
    assert_int_equal(env_now_ms(env), before);
    assert_int_equal(loop_turn(f.loop, false), 0);
    after = env_now_ms(env);
    assert_true(after >= before + 20);
    assert_true(env_wall_us(env) > 1600000000000000);
}

static void slow_on_later(struct later *later, void *arg)
{
    struct timespec pause = {.tv_nsec = 30000000};

    (void)later;
    (void)arg;
    nanosleep(&pause, NULL);
}

static void longest_turn_is_measured(void **state)
{
    struct later slow;

    (void)state;
    later_init(&slow, slow_on_later, NULL);
    env_later(loop_env(f.loop), &slow);
    assert_int_equal(loop_turn(f.loop, false), 0);
    assert_true(loop_longest_turn_us(f.loop, true) >= 30000);
    assert_int_equal(loop_longest_turn_us(f.loop, false), 0);
}

static void listener_stops_at_the_cap_and_goes_on(void **state)
{
    int fds[4];
    char byte;

    (void)state;
    net_teardown(&f);
    net_setup(&f, 2);
    for (int i = 0; i < 4; i++)
        fds[i] = net_raw_connect(&f); /* the kernel takes them into the backlog */
    NET_UNTIL(&f, f.accepted == 2);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    assert_int_equal(f.accepted, 2);
    stream_close(TAKE(f.servers[0].stream), false);
    NET_UNTIL(&f, f.accepted == 3);
    close(fds[1]);
    NET_UNTIL(&f, f.accepted == 4);
    assert_int_equal(loop_accepted_count(f.loop), 2);
    assert_int_equal(recv(fds[0], &byte, 1, MSG_DONTWAIT), 0);
    close(fds[0]);
    close(fds[2]);
    close(fds[3]);
}

static void out_of_descriptors_closes_the_peer_and_rests(void **state)
{
    struct rlimit old, low;
    int fds[3], probe;
    char byte;

    (void)state;
    for (int i = 0; i < 3; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    probe = dup(0);
    close(probe);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)probe;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            connect(fds[i], &listener_addr(f.listener)->sa, listener_addr(f.listener)->len), 0);
    NET_UNTIL(&f,
              recv(fds[0], &byte, 1, MSG_DONTWAIT) == 0); /* told at once, not left waiting */
    assert_int_equal(f.accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    NET_UNTIL(&f, f.accepted >= 1); /* and the rest is served as soon as there is room */
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void keep_stream(void *owner, struct stream *stream, const struct addr *peer)
{
    (void)peer;
    stream_set_events(stream, &peer_events, owner);
    ((struct peer *)owner)->stream = stream;
}

/* Two connections fit in front of what is reserved; the third is told, and the process can
 * still make as many of its own as were kept. */
static void the_last_descriptors_are_not_for_those_who_come(void **state)
{
    static const struct listener_events events = {.on_accept = keep_stream};
    enum { RESERVED = 4 };
    struct listener_config config = {.address = "127.0.0.1:0",
                                     .reserved_descriptors = RESERVED};
    struct peer server = {0};
    struct rlimit old, low;
    struct listener *l;
    int fds[3], own[RESERVED], probe;
    char byte;

    (void)state;
    assert_int_equal(listener_new(f.loop, &config, &events, &server, &l), 0);
    for (int i = 0; i < 3; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    probe = dup(0);
    close(probe);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)(probe + 1 + RESERVED);
    assert_true(low.rlim_cur / 4 >= RESERVED);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(connect(fds[0], &listener_addr(l)->sa, listener_addr(l)->len), 0);
    NET_UNTIL(&f, server.stream);
    assert_int_equal(connect(fds[1], &listener_addr(l)->sa, listener_addr(l)->len), 0);
    NET_UNTIL(&f, recv(fds[1], &byte, 1, MSG_DONTWAIT) == 0);
    for (int i = 0; i < RESERVED; i++) {
        own[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(own[i] >= 0);
    }
    assert_int_equal(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1);
    for (int i = 0; i < RESERVED; i++)
        close(own[i]);
    peer_deinit(&server);
    server = (struct peer){0};
    net_turn(&f);
    assert_int_equal(connect(fds[2], &listener_addr(l)->sa, listener_addr(l)->len), 0);
    NET_UNTIL(&f, server.stream); /* there is room again */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    peer_deinit(&server);
    listener_free(l);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void addresses_to_listen_on(void **state)
{
    static const struct {
        const char *address;
        int want;
    } cases[] = {
        {"127.0.0.1:0", 0},
        {"localhost:0", 0},
        {":0", 0},
        {"*:0", 0},
        {"127.0.0.1", -EINVAL},
        {"127.0.0.1:x", -EINVAL},
        {"1.2.3.4.5:0", -EINVAL},
        {"[::1:0", -EINVAL},
        {"::1:0", -EINVAL},
        {"127.0.0.1:65536", -EINVAL},
        {"192.0.2.1:0", -EADDRNOTAVAIL},
    };
    static const struct listener_events no_events = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listener_config config = {.address = cases[i].address};
        struct listener *l = NULL;

        CHECK_EQ(listener_new(f.loop, &config, &no_events, NULL, &l), cases[i].want,
                 cases[i].address);
        CHECK(!l || addr_port(listener_addr(l)) > 0, cases[i].address);
        listener_free(l);
    }
}

static void two_listeners_share_a_port_only_when_asked(void **state)
{
    static const struct listener_events no_events = {0};
    struct listener_config config = {.address = "127.0.0.1:0", .reuse_port = true};
    struct listener *a, *b, *c = NULL;
    char address[ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(listener_new(f.loop, &config, &no_events, NULL, &a), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", addr_port(listener_addr(a)));
    config.address = address;
    assert_int_equal(listener_new(f.loop, &config, &no_events, NULL, &b), 0);
    config.reuse_port = false;
    assert_int_equal(listener_new(f.loop, &config, &no_events, NULL, &c), -EADDRINUSE);
    listener_free(a);
    listener_free(b);
}

static void name_is_resolved_for_a_connection(void **state)
{
    struct peer client = {0};
    char address[ADDR_TEXT_MAX];

    (void)state;
    snprintf(address, sizeof(address), "localhost:%u", addr_port(listener_addr(f.listener)));
    net_connect(&f, &client, address); /* ::1 is refused, then 127.0.0.1 is tried */
    NET_UNTIL(&f, client.opened && f.accepted == 1);
    peer_deinit(&client);
}

static void abandoned_look_up_tells_nobody(void **state)
{
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, "no-such-host.invalid:1");
    peer_deinit(&client);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    assert_int_equal(client.opened + client.closed, 0);
}

static const struct {
    const char *text;
    const char *host; /* NULL: refused */
    unsigned port;
} splits[] = {
    {"a:1", "a", 1},   {"[::1]:80", "::1", 80}, {":0", "", 0},         {"h:65535", "h", 65535},
    {"a", NULL, 0},    {"a:", NULL, 0},         {"a:65536", NULL, 0},  {"a:1x", NULL, 0},
    {"a:-1", NULL, 0}, {"", NULL, 0},           {"a b:1", NULL, 0},    {"a@b:1", NULL, 0},
    {"[a:1", NULL, 0}, {"a/b:1", NULL, 0},      {"a:000001", NULL, 0},
};

static void addresses_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(splits); i++) {
        char host[ADDR_HOST_MAX];
        uint16_t port = 0;
        int r = addr_split(slice_str(splits[i].text), host, &port);

        CHECK_EQ(r, splits[i].host ? 0 : -EINVAL, splits[i].text);
        CHECK(r < 0 || strcmp(host, splits[i].host) == 0, splits[i].text);
        CHECK_EQ(port, splits[i].port, splits[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(timers_fire_in_time_and_not_early),
        T(sooner_timer_shortens_the_sleep),
        T(end_of_turn_work_runs_and_may_repeat_without_hanging),
        T(signals_arrive_in_the_loop),
        T(clock_stands_still_within_a_turn),
        T(longest_turn_is_measured),
        T(listener_stops_at_the_cap_and_goes_on),
        T(out_of_descriptors_closes_the_peer_and_rests),
        T(the_last_descriptors_are_not_for_those_who_come),
        T(addresses_to_listen_on),
        T(two_listeners_share_a_port_only_when_asked),
        T(name_is_resolved_for_a_connection),
        T(abandoned_look_up_tells_nobody),
        T(addresses_are_split),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
