/* The sessions of a gateway that goes (gateway/session/depart.h). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/gateway/session/fake_client.h"

enum { N = 20 };

static struct fake_world w;
static struct fake_client clients[N];
static struct fake_shard *s0;

static int setup(void **state)
{
    (void)state;
    memset(clients, 0, sizeof(clients));
    fake_world_init(&w, 1);
    s0 = &w.c.shards[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        if (clients[i].stream)
            client_close(&w, &clients[i]);
    }
    fake_world_deinit(&w);
    return 0;
}

static void open_some(int n, bool native)
{
    for (int i = 0; i < n; i++) {
        char user[16];
        struct session_params params = {
            .project = SLICE_LIT("p"), .roles = SLICE_LIT("member"), .native = native};
        struct enter_params enter = {.room = SLICE_LIT("r")};
        struct fake_attach a;

        snprintf(user, sizeof(user), "u%d", i);
        params.user = slice_str(user);
        client_open_as(&w, &clients[i], &params, &enter);
        a = shard_expect_attach(&w, s0);
        shard_attached(s0, &a, 5);
    }
    fake_env_run(&w.c.env);
}

static size_t depart_for(uint64_t ms)
{
    size_t left = sessions_count(w.sessions);

    for (uint64_t i = 0; i < ms; i += 10) {
        left = sessions_depart_some(w.sessions, 10);
        fake_env_advance(&w.c.env, 10);
    }
    return left;
}

static uint64_t goaway_ms(struct fake_client *client)
{
    static const char head[] =
        "{\"type\":\"goaway\",\"reason\":\"drain\",\"reconnectAfterMs\":";
    const char *text = client_next(&w, client);

    assert_memory_equal(text, head, sizeof(head) - 1);
    return strtoull(text + sizeof(head) - 1, NULL, 10);
}

static int count_closed(int n)
{
    int closed = 0;

    for (int i = 0; i < n; i++) {
        if (clients[i].code == 0)
            continue;
        assert_int_equal(clients[i].code, 1012);
        assert_string_equal(clients[i].reason, "drain");
        closed++;
    }
    return closed;
}

static void returns_are_paced(void **state)
{
    (void)state;
    open_some(10, true);
    assert_int_equal(sessions_depart(w.sessions, 10, 60000), 10);
    assert_int_equal(sessions_depart_some(w.sessions, 0), 10);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(goaway_ms(&clients[i]), i * 100);
    assert_int_equal(w.c.metrics.goaways_drain, 10);
}

static void a_native_client_has_time_to_be_elsewhere_first(void **state)
{
    (void)state;
    open_some(3, true);
    sessions_depart(w.sessions, 1, 60000);
    assert_int_equal(depart_for(4500), 3);
    assert_int_equal(count_closed(3), 0);
    session_close(clients[1].session); /* it is back elsewhere */
    clients[1].session = NULL;
    assert_int_equal(w.c.metrics.departed_left, 1);
    fake_env_run(&w.c.env);
    assert_false(fake_shard_expect(s0, MSG_DETACH)->DETACH.hold);
    assert_int_equal(depart_for(1000), 1);
    assert_true(fake_shard_expect(s0, MSG_DETACH)->DETACH.hold); /* it is not there yet */
    assert_int_equal(clients[0].code, 1012);                     /* 0 s and the overlap */
    assert_int_equal(clients[2].code, 0);
    assert_int_equal(depart_for(2000), 0); /* 2 s and the overlap */
    assert_int_equal(w.c.metrics.departed_closed, 2);
}

static void who_does_not_know_the_frame_is_closed_at_its_time(void **state)
{
    (void)state;
    open_some(10, false);
    sessions_depart(w.sessions, 10, 60000);
    sessions_depart_some(w.sessions, 0);
    assert_int_equal(count_closed(10), 1);
    depart_for(500);
    assert_in_range(count_closed(10), 4, 6);
    assert_int_equal(depart_for(1000), 0);
    assert_int_equal(w.c.metrics.departed_closed, 10);
    assert_int_equal(w.c.metrics.departed_left, 0);
}

static void a_short_time_makes_it_faster(void **state)
{
    (void)state;
    open_some(N, true);
    assert_int_equal(sessions_depart(w.sessions, 1, 4000), 10);
    assert_int_equal(depart_for(4100), 0);
    assert_int_equal(count_closed(N), N);
}

/* After a long turn not all that have become due go in one. */
static void closes_are_bounded_by_the_time_that_has_passed(void **state)
{
    (void)state;
    open_some(N, false);
    sessions_depart(w.sessions, 10, 60000);
    sessions_depart_some(w.sessions, 0);
    fake_env_advance(&w.c.env, 5000);
    sessions_depart_some(w.sessions, 300);
    assert_int_equal(count_closed(N), 1 + 4);
}

static void who_is_kicked_meanwhile_is_not_counted_as_departed(void **state)
{
    struct msg msg = {.type = MSG_KICK,
                      .KICK = {.number = 1, .project = SLICE_LIT("p"), .code = 4001}};

    (void)state;
    open_some(2, true);
    sessions_depart(w.sessions, 10, 60000);
    sessions_depart_some(w.sessions, 0);
    msg.KICK.issued_before_s = UINT32_MAX;
    fake_shard_send(s0, &msg);
    fake_env_run(&w.c.env);
    assert_int_equal(clients[0].code, 4001);
    assert_int_equal(clients[1].code, 4001);
    assert_int_equal(w.c.metrics.departed_left, 0);
    assert_int_equal(sessions_depart_some(w.sessions, 10), 0);
}

/* No room at the shard: it is told when to try again, before the close. */
static void who_finds_no_room_is_told_when_to_return(void **state)
{
    static const char head[] =
        "{\"type\":\"goaway\",\"reason\":\"overload\",\"reconnectAfterMs\":";
    struct fake_attach a;
    const char *text;

    (void)state;
    client_open(&w, &clients[0], "ann", "r");
    a = shard_expect_attach(&w, s0);
    shard_close(s0, &a, 1013, "overloaded");
    fake_env_run(&w.c.env);
    assert_int_equal(clients[0].code, 1013);
    text = client_next(&w, &clients[0]);
    assert_memory_equal(text, head, sizeof(head) - 1);
    assert_in_range(strtoul(text + sizeof(head) - 1, NULL, 10), 2000, 3999);
    assert_int_equal(w.c.metrics.goaways_overload, 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(returns_are_paced),
        T(a_native_client_has_time_to_be_elsewhere_first),
        T(who_does_not_know_the_frame_is_closed_at_its_time),
        T(a_short_time_makes_it_faster),
        T(closes_are_bounded_by_the_time_that_has_passed),
        T(who_is_kicked_meanwhile_is_not_counted_as_departed),
        T(who_finds_no_room_is_told_when_to_return),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
