/*
 * test_presence.c - what a gateway does so that its shards know who is here:
 * answers to WAKE, the memory of sleeping rooms, gateways that are gone, typing
 * that is said again.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "gateway/session/last_seen.h"
#include "tests/unit/gateway/session/fake_client.h"

static struct fake_world w;
static struct fake_client ann, bob;
static struct fake_shard *s0 = &w.c.shards[0];

#define USERS "\3ann\3bob"
#define GATEWAYS "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"
#define GATEWAYS_SLICE slice_of(GATEWAYS, 16)

static int setup(void **state)
{
    (void)state;
    fake_world_init(&w, 1);
    return 0;
}

static int setup_two(void **state)
{
    (void)state;
    fake_world_init(&w, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (ann.stream || ann.remote.in.data)
        client_close(&w, &ann);
    if (bob.stream || bob.remote.in.data)
        client_close(&w, &bob);
    ann = bob = (struct fake_client){0};
    fake_world_deinit(&w);
    return 0;
}

static void say_sleep(struct fake_shard *s, const char *room, struct slice users,
                      struct slice gateways)
{
    struct msg msg = {.type = MSG_SLEEP,
                      .SLEEP = {.project = SLICE_LIT("p"),
                                .room = slice_str(room),
                                .users = users,
                                .gateways = gateways}};

    fake_shard_send(s, &msg);
    fake_env_run(&w.c.env);
}

static void say_wake(struct fake_shard *s, const char *room, uint64_t wake)
{
    struct msg msg = {
        .type = MSG_WAKE,
        .WAKE = {.project = SLICE_LIT("p"), .room = slice_str(room), .wake = wake}};

    fake_shard_send(s, &msg);
    fake_env_run(&w.c.env);
}

static void say_gone(struct fake_shard *s, uint64_t incarnation)
{
    struct msg msg = {.type = MSG_GATEWAY_GONE, .GATEWAY_GONE = {.incarnation = incarnation}};

    fake_shard_send(s, &msg);
    fake_env_run(&w.c.env);
}

static void expect_awake(struct fake_shard *s, const char *room, uint64_t wake,
                         const char *users)
{
    const struct msg *m = fake_shard_expect(s, MSG_AWAKE);

    CHECK_EQ(m->AWAKE.wake, wake, room);
    CHECK_SLICE(m->AWAKE.room, room, "room");
    CHECK_SLICE(m->AWAKE.users, users, "users");
}

static void last_seen_knows_users_and_gateways(void **state)
{
    struct last_seen *seen = last_seen_new(SLICE_LIT(USERS), GATEWAYS_SLICE);

    (void)state;
    assert_non_null(seen);
    CHECK_SLICE(last_seen_users(seen), USERS, "users");
    assert_true(last_seen_has_gateway(seen, 1));
    assert_true(last_seen_has_gateway(seen, 2));
    assert_false(last_seen_has_gateway(seen, 3));
    assert_true(last_seen_has_others(seen, 1));
    last_seen_free(seen);
    seen = last_seen_new(SLICE_LIT(USERS), slice_of(GATEWAYS, 8));
    assert_non_null(seen);
    assert_false(last_seen_has_others(seen, 1));
    assert_true(last_seen_has_others(seen, 2));
    last_seen_free(seen);
    /* Half a gateway is none. */
    seen = last_seen_new(SLICE_LIT(USERS), slice_of(GATEWAYS, 15));
    assert_non_null(seen);
    assert_true(last_seen_has_gateway(seen, 1));
    assert_false(last_seen_has_gateway(seen, 2));
    last_seen_free(seen);
    assert_null(last_seen_new(slice_of(GATEWAYS, (size_t)LINK_MESSAGE_MAX + 1), SLICE_LIT("")));
    assert_int_equal(last_seen_users(NULL).len, 0);
    assert_false(last_seen_has_gateway(NULL, 1));
    assert_false(last_seen_has_others(NULL, 1));
}

static void wake_is_answered_behind_the_attaches(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    client_open_live(&w, &bob, "bob", "r", s0, 5);
    say_wake(s0, "nobody-here", 7);
    expect_awake(s0, "nobody-here", 7, "");
    say_wake(s0, "r", 8); /* all of it is there already */
    expect_awake(s0, "r", 8, "");
    say_sleep(s0, "r", SLICE_LIT(USERS), GATEWAYS_SLICE);
    say_wake(s0, "r", 9);
    shard_expect_attach(&w, s0);
    shard_expect_attach(&w, s0);
    expect_awake(s0, "r", 9, USERS);
    say_wake(s0, "r", 10); /* it has been told */
    expect_awake(s0, "r", 10, "");
    fake_shard_expect_nothing(s0);
}

static void a_wake_that_comes_behind_the_attach_is_answered_at_once(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    say_sleep(s0, "r", SLICE_LIT(USERS), GATEWAYS_SLICE);
    /* The room wakes by itself; the shard's WAKE comes behind the attach. */
    client_say(&ann, "{\"type\":\"message\",\"content\":\"hi\"}");
    shard_expect_attach(&w, s0);
    say_wake(s0, "r", 3);
    expect_awake(s0, "r", 3, USERS);
}

static void a_shard_of_before_gets_no_answer(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    say_wake(s0, "r", 0);
    say_wake(s0, "nobody-here", 0);
    fake_shard_expect_nothing(s0);
}

static void the_next_owner_hears_who_was_there(void **state)
{
    struct fake_shard *from, *to;
    struct msg moved = {.type = MSG_MOVED,
                        .MOVED = {.object = SLICE_LIT("room/p/r"), .users = SLICE_LIT(USERS)}};
    unsigned rest;

    (void)state;
    moved.MOVED.ring_epoch = s0->ring.epoch;
    moved.MOVED.ring_hash = s0->ring.hash;
    from = fake_cluster_owner(&w.c, 3, "room/p/r");
    rest = 3 & ~fake_cluster_bit(&w.c, from);
    to = fake_cluster_owner(&w.c, rest, "room/p/r");
    client_open_live(&w, &ann, "ann", "r", from, 5);
    fake_shard_send(from, &moved);
    fake_env_run(&w.c.env);
    fake_cluster_set_ring(&w.c, rest);
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, to);
    /* It was not there: what is known stays known. */
    shard_moved(to, "room/p/r");
    fake_env_advance(&w.c.env, 5 * MOVED_RETRY_MIN_MS);
    shard_expect_attach(&w, to);
    say_wake(to, "r", 4);
    expect_awake(to, "r", 4, USERS);
}

static void rooms_of_a_gateway_that_is_gone_are_woken(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "with", s0, 5);
    client_open_live(&w, &bob, "bob", "without", s0, 5);
    say_sleep(s0, "with", SLICE_LIT(USERS), GATEWAYS_SLICE);
    say_sleep(s0, "without", SLICE_LIT(USERS), slice_of(GATEWAYS, 8));
    say_gone(s0, 77);
    say_gone(s0, 2);
    say_gone(s0, 2);
    fake_env_advance(&w.c.env, 2 * SESSION_SWEEP_MS);
    assert_string_equal(shard_expect_attach(&w, s0).user, "ann");
    fake_shard_expect_nothing(s0);
    assert_int_equal(w.c.metrics.gone_wakes, 1);
}

/* What their sockets have seen may be gone: the owner compares when they are attached. */
static void all_sleeping_rooms_are_woken_when_the_store_is_another(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "asleep", s0, 5);
    client_open_live(&w, &bob, "bob", "awake", s0, 5);
    say_sleep(s0, "asleep", SLICE_LIT(""), SLICE_LIT(""));
    say_gone(s0, 0);
    fake_env_advance(&w.c.env, 2 * SESSION_SWEEP_MS);
    assert_string_equal(shard_expect_attach(&w, s0).user, "ann");
    fake_shard_expect_nothing(s0);
}

static void they_are_woken_a_few_at_a_time(void **state)
{
    enum { N = 2 * GONE_WAKES_PER_SWEEP + 10 };
    static struct fake_client many[N];
    size_t n;

    (void)state;
    for (int i = 0; i < N; i++) {
        char room[16];

        snprintf(room, sizeof(room), "r%d", i);
        client_open_live(&w, &many[i], "ann", room, s0, 5);
        say_sleep(s0, room, SLICE_LIT(USERS), GATEWAYS_SLICE);
    }
    say_gone(s0, 2);
    fake_env_advance(&w.c.env, SESSION_SWEEP_MS);
    n = fake_shard_count(s0);
    assert_in_range(n, 1, GONE_WAKES_PER_SWEEP);
    client_close(&w, &many[N - 1]); /* one of those that wait */
    fake_env_advance(&w.c.env, 3 * SESSION_SWEEP_MS);
    assert_int_equal(fake_shard_count(s0), N - 1 + 2); /* and that it has left */
    for (int i = 0; i < N - 1; i++)
        client_close(&w, &many[i]);
}

static void expect_missed(struct fake_shard *s, const char *room)
{
    const struct msg *m = fake_shard_expect(s, MSG_DETACH);

    CHECK_EQ(m->DETACH.attach, 0, room);
    CHECK_EQ(m->DETACH.wake, 1, room);
    CHECK_SLICE(m->DETACH.project, "p", room);
    CHECK_SLICE(m->DETACH.room, room, room);
}

static void the_last_to_leave_a_sleeping_room_is_missed_when_there_are_others(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "shared", s0, 5);
    client_open_live(&w, &bob, "bob", "shared", s0, 5);
    say_sleep(s0, "shared", SLICE_LIT(USERS), GATEWAYS_SLICE);
    client_close(&w, &ann);
    assert_int_equal(fake_shard_expect(s0, MSG_DETACH)->DETACH.wake, 0);
    shard_expect_attach(&w, s0); /* bob is woken */
    fake_shard_expect_nothing(s0);
    client_close(&w, &bob);
    assert_int_equal(fake_shard_expect(s0, MSG_DETACH)->DETACH.wake, 1);
    expect_missed(s0, "shared");
    fake_env_advance(&w.c.env, MISSED_RETRY_MS + SESSION_SWEEP_MS);
    expect_missed(s0, "shared"); /* no answer yet */
    say_wake(s0, "shared", 0);
    fake_env_advance(&w.c.env, 10 * MISSED_RETRY_MS);
    fake_shard_expect_nothing(s0);
    /* In a room that is awake the shard knows by itself, unless it is just falling asleep. */
    client_open_live(&w, &ann, "ann", "awake", s0, 5);
    client_close(&w, &ann);
    assert_int_equal(fake_shard_expect(s0, MSG_DETACH)->DETACH.wake, 1);
    fake_shard_expect_nothing(s0);
}

static void a_room_is_missed_also_when_its_shard_cannot_be_told_at_once(void **state)
{
    unsigned n = 0;

    (void)state;
    client_open_live(&w, &ann, "ann", "shared", s0, 5);
    say_sleep(s0, "shared", SLICE_LIT(USERS), GATEWAYS_SLICE);
    fake_unlisten(&s0->listener);
    fake_shard_break(s0);
    fake_env_run(&w.c.env);
    client_close(&w, &ann);
    fake_env_advance(&w.c.env, MISSED_RETRY_MS);
    fake_listen(&w.c.env, &s0->listener);
    fake_env_advance(&w.c.env, MISSED_RETRY_MS + LINK_RETRY_MAX_MS);
    expect_missed(s0, "shared");
    fake_shard_clear(s0);
    /* A room that is no more wakes never. */
    for (unsigned i = 0; i < 2 * MISSED_TRIES; i++) {
        fake_env_advance(&w.c.env, MISSED_RETRY_MS);
        n += fake_shard_count(s0) > 0;
        fake_shard_clear(s0);
    }
    assert_in_range(n, 1, MISSED_TRIES);
}

/* The shard may have taken the attach that crossed its MOVED: it must not keep it for ever. */
static void who_leaves_behind_a_moved_is_detached(void **state)
{
    struct fake_attach a;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_moved(s0, "room/p/r");
    client_close(&w, &ann);
    assert_int_equal(fake_shard_expect(s0, MSG_DETACH)->DETACH.attach, a.number);
    /* Over a link that is no more there is nothing to be said. */
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_moved(s0, "room/p/r");
    fake_unlisten(&s0->listener);
    fake_shard_break(s0);
    fake_env_run(&w.c.env);
    client_close(&w, &ann);
    fake_shard_expect_nothing(s0);
}

static void fresh_typing_is_said_again_to_the_next_owner(void **state)
{
    struct fake_attach a;
    const struct msg *m;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    client_say(&ann, "{\"type\":\"typing\",\"isTyping\":true}");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_FRAME);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 5);
    fake_env_run(&w.c.env);
    m = fake_shard_expect(s0, MSG_FRAME);
    assert_int_equal(m->FRAME.n, 0);
    CHECK_SLICE(m->FRAME.json, "{\"type\":\"typing\",\"isTyping\":true}", "json");
    /* After ten seconds it has ended; the next owner may not have said so. */
    fake_env_advance(&w.c.env, TYPING_EXPIRE_MS);
    for (int i = 0; i < 2; i++) {
        fake_shard_break(s0);
        fake_env_advance(&w.c.env, 200);
        a = shard_expect_attach(&w, s0);
        shard_attached(s0, &a, 5);
        fake_env_run(&w.c.env);
        if (i == 0)
            CHECK_SLICE(fake_shard_expect(s0, MSG_FRAME)->FRAME.json,
                        "{\"type\":\"typing\",\"isTyping\":false}", "json");
        fake_shard_expect_nothing(s0);
    }
}

static void a_typing_frame_too_long_to_keep_is_only_passed_on(void **state)
{
    static char json[TYPING_FRAME_MAX + 100];
    struct fake_attach a;

    (void)state;
    memset(json, ' ', sizeof(json) - 1);
    memcpy(json, "{\"type\":\"typing\",\"isTyping\":true",
           strlen("{\"type\":\"typing\",\"isTyping\":true"));
    json[sizeof(json) - 2] = '}';
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    client_say(&ann, json);
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_FRAME);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 5);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TWO(test) cmocka_unit_test_setup_teardown(test, setup_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_seen_knows_users_and_gateways),
        ONE(wake_is_answered_behind_the_attaches),
        ONE(a_wake_that_comes_behind_the_attach_is_answered_at_once),
        ONE(a_shard_of_before_gets_no_answer),
        TWO(the_next_owner_hears_who_was_there),
        ONE(rooms_of_a_gateway_that_is_gone_are_woken),
        ONE(all_sleeping_rooms_are_woken_when_the_store_is_another),
        ONE(they_are_woken_a_few_at_a_time),
        ONE(the_last_to_leave_a_sleeping_room_is_missed_when_there_are_others),
        ONE(a_room_is_missed_also_when_its_shard_cannot_be_told_at_once),
        ONE(who_leaves_behind_a_moved_is_detached),
        ONE(fresh_typing_is_said_again_to_the_next_owner),
        ONE(a_typing_frame_too_long_to_keep_is_only_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
