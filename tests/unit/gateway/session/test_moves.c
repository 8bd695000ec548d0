/*
 * test_moves.c - rooms that change hands or sleep, over scripted shards: MOVED,
 * new rings, sleep and wake, and many sockets at once.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

static struct fake_world w;
static struct fake_client ann, bob;
static struct fake_shard *s0 = &w.c.shards[0];

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

static void message_frame(struct fake_world *world, struct fake_shard *s, uint64_t n,
                          uint32_t flags, const char *json)
{
    const struct msg *m;

    fake_env_run(&world->c.env);
    m = fake_shard_expect(s, MSG_FRAME);
    CHECK_EQ(m->FRAME.n, n, json);
    CHECK_EQ(m->FRAME.flags, flags, json);
    CHECK_SLICE(m->FRAME.json, json, "FRAME.json");
}

/* ---- moves ---- */

static void moved_is_looked_up_again_with_pauses_that_double(void **state)
{
    struct fake_attach a;
    unsigned tries = 0;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_moved(s0, "room/p/r");
    for (int ms = 0; ms < 5000; ms += 5) {
        fake_env_advance(&w.c.env, 5);
        if (fake_shard_count(s0) == 0)
            continue;
        a = shard_expect_attach(&w, s0);
        assert_int_equal(a.last_seq, 5);
        tries++;
        shard_moved(s0, "room/p/r");
    }
    assert_in_range(tries, 7, 11); /* 20 40 80 160 320 640 1000 ... */
    assert_int_equal(w.c.metrics.moved, tries + 1);
    assert_true(w.c.stale > 0);

    /* Once it is live, the next move begins with a short pause. */
    fake_env_advance(&w.c.env, 2000);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 5);
    fake_env_run(&w.c.env);
    shard_moved(s0, "room/p/r");
    fake_env_advance(&w.c.env, 2 * MOVED_RETRY_MIN_MS);
    shard_expect_attach(&w, s0);
}

static void a_new_ring_moves_the_room_at_once(void **state)
{
    struct fake_shard *from, *to;
    struct fake_attach a;
    unsigned rest;

    (void)state;
    from = fake_cluster_owner(&w.c, 3, "room/p/r");
    rest = 3 & ~fake_cluster_bit(&w.c, from);
    to = fake_cluster_owner(&w.c, rest, "room/p/r");
    a = client_open_live(&w, &ann, "ann", "r", from, 5);
    fake_cluster_set_ring(&w.c, rest);
    fake_env_run(&w.c.env);
    shard_room_event(from, "r", 6, 0, 0, "from the old owner");
    shard_to_attach(from, &a, 0, 6, "from the old owner");
    client_expect_nothing(&w, &ann);
    a = shard_expect_attach(&w, to);
    assert_int_equal(a.last_seq, 5);
    shard_to_attach(to, &a, 0, 6, "six");
    shard_attached(to, &a, 6);
    client_expect(&w, &ann, "six");
    shard_room_event(from, "r", 7, 0, 0, "from the old owner");
    shard_sleep(from, "r");
    shard_moved(from, "room/p/r");
    client_expect_nothing(&w, &ann);
    shard_room_event(to, "r", 7, 0, 0, "seven");
    client_expect(&w, &ann, "seven");
}

/* A to B and back to A: what A said to the first ATTACH is not taken for an answer to the
 * second one. */
static void a_ring_that_flips_back_confuses_nobody(void **state)
{
    struct fake_shard *a_shard, *b_shard;
    struct fake_attach first, second;
    unsigned rest;

    (void)state;
    a_shard = fake_cluster_owner(&w.c, 3, "room/p/r");
    rest = 3 & ~fake_cluster_bit(&w.c, a_shard);
    b_shard = fake_cluster_owner(&w.c, rest, "room/p/r");
    client_open(&w, &ann, "ann", "r");
    first = shard_expect_attach(&w, a_shard);
    shard_to_attach(a_shard, &first, 0, 3, "one");
    client_expect(&w, &ann, "one");

    fake_cluster_set_ring(&w.c, rest);
    fake_env_run(&w.c.env);
    shard_expect_attach(&w, b_shard);
    shard_to_attach(a_shard, &first, 0, 4, "lost on the way");
    fake_env_run(&w.c.env);
    fake_cluster_set_ring(&w.c, 3);
    fake_env_run(&w.c.env);
    shard_moved(b_shard, "room/p/r"); /* until then it may still have the room */
    fake_env_run(&w.c.env);
    second = shard_expect_attach(&w, a_shard);
    assert_int_equal(second.last_seq, 3);
    shard_to_attach(a_shard, &first, 0, 5, "out of turn");
    shard_attached(a_shard, &first, 5);
    shard_to_attach(a_shard, &second, 0, 4, "four");
    shard_to_attach(a_shard, &second, 0, 5, "five");
    shard_attached(a_shard, &second, 5);
    client_expect(&w, &ann, "four");
    client_expect(&w, &ann, "five");
    client_expect_nothing(&w, &ann);
}

static void the_old_owner_serves_until_the_new_one_can_be_reached(void **state)
{
    struct fake_shard *from, *to;
    unsigned rest;

    (void)state;
    from = fake_cluster_owner(&w.c, 3, "room/p/r");
    rest = 3 & ~fake_cluster_bit(&w.c, from);
    to = fake_cluster_owner(&w.c, rest, "room/p/r");
    fake_shard_break(to);
    fake_unlisten(&to->listener);
    fake_env_run(&w.c.env);
    client_open_live(&w, &ann, "ann", "r", from, 5);
    fake_cluster_set_ring(&w.c, rest);
    fake_env_advance(&w.c.env, 100);
    shard_room_event(from, "r", 6, 0, 0, "six");
    client_expect(&w, &ann, "six");
    fake_listen(&w.c.env, &to->listener);
    fake_env_advance(&w.c.env, 2 * LINK_RETRY_MAX_MS);
    assert_int_equal(shard_expect_attach(&w, to).last_seq, 6);
}

/* ---- sleep and wake ---- */

static void a_sleeping_room_keeps_its_sockets_and_costs_no_link(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    client_say(&ann, "{\"type\":\"ping\"}");
    assert_non_null(strstr(client_next(&w, &ann), "\"pong\""));
    fake_env_advance(&w.c.env, 60000);
    fake_shard_expect_nothing(s0);
    assert_int_equal(ann.code, 0);
}

static void a_frame_wakes_the_whole_room_and_is_not_lost(void **state)
{
    struct fake_attach a, b, first, second;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 5);
    b = client_open_live(&w, &bob, "bob", "r", s0, 5);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"hi\"}");
    first = shard_expect_attach(&w, s0);
    second = shard_expect_attach(&w, s0);
    assert_int_equal(first.number + second.number, a.number + b.number);
    assert_int_equal(first.flags, ATTACH_REATTACH | ATTACH_NATIVE);
    assert_int_equal(first.last_seq, 5);
    shard_attached(s0, &first, 5);
    shard_attached(s0, &second, 5);
    message_frame(&w, s0, 1, 0, "{\"type\":\"message\",\"content\":\"hi\"}");
}

static void typing_wakes_the_room_too(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    client_say(&ann, "{\"type\":\"typing\",\"isTyping\":true}");
    shard_expect_attach(&w, s0);
    fake_shard_expect_nothing(s0);
}

static void wake_attaches_a_sleeping_room(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_wake(s0, "r"); /* awake already: means nothing */
    shard_wake(s0, "nobody-here");
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    shard_sleep(s0, "r");
    shard_wake(s0, "r");
    assert_int_equal(shard_expect_attach(&w, s0).last_seq, 5);
}

static void a_newcomer_wakes_the_room(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    client_open(&w, &bob, "bob", "r");
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_REATTACH | ATTACH_NATIVE);
    a = shard_expect_attach(&w, s0);
    assert_int_equal(a.flags, ATTACH_NATIVE);
    assert_string_equal(a.user, "bob");
}

static void who_leaves_a_sleeping_room_wakes_it_for_the_others(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    client_open_live(&w, &bob, "bob", "r", s0, 5);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    client_close(&w, &ann);
    fake_shard_expect(s0, MSG_DETACH);
    assert_string_equal(shard_expect_attach(&w, s0).user, "bob");
    fake_shard_expect_nothing(s0);
}

/* SLEEP and a frame cross on the link: the shard has forgotten the attach when the frame comes.
 */
static void a_frame_that_crosses_the_sleep_is_sent_again(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"hi\"}");
    shard_sleep(s0, "r");
    message_frame(&w, s0, 1, 0, "{\"type\":\"message\",\"content\":\"hi\"}");
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 5);
    message_frame(&w, s0, 1, FRAME_RESENT, "{\"type\":\"message\",\"content\":\"hi\"}");
}

static void a_sleeping_room_is_attached_again_over_a_new_link(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 5);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    assert_int_equal(shard_expect_attach(&w, s0).last_seq, 5);
}

/* ---- many ---- */

/* The link is full in the middle of it, and some leave then: who takes their places must not be
 * passed over. */
static void a_large_room_is_attached_again_in_slices_without_a_miss(void **state)
{
    enum { N = 1500 };
    static struct fake_client many[N];
    static bool seen[N];
    static char info[2000];
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .roles = SLICE_LIT("member"),
                                    .user_info = slice_of(info, sizeof(info))};
    struct enter_params enter = {.room = SLICE_LIT("r")};
    struct fake_attach a;

    (void)state;
    memset(info, 'x', sizeof(info));
    for (int i = 0; i < N; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%d.", i);
        params.user = slice_str(user);
        client_open_as(&w, &many[i], &params, &enter);
        a = shard_expect_attach(&w, s0);
        shard_attached(s0, &a, 5);
    }
    fake_env_run(&w.c.env);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    stream_pause(s0->stream, true);
    client_say(&many[N - 1], "{\"type\":\"typing\"}");
    fake_env_run(&w.c.env);
    assert_true(link_is_full(link_pool_any(w.c.pool)));
    for (int i = 0; i < N; i += 7) {
        session_close(many[i].session);
        many[i].session = NULL;
    }
    stream_pause(s0->stream, false);
    fake_env_run(&w.c.env);
    while (fake_shard_count(s0) > 0) {
        const struct msg *m =
            fake_shard_expect(s0, list_first(&s0->inbox, struct fake_letter, link)->msg.type);
        int i;

        if (m->type != MSG_ATTACH)
            continue;
        assert_int_equal(sscanf(m->ATTACH.user.data, "u%d.", &i), 1);
        assert_false(seen[i]); /* and none twice */
        seen[i] = true;
    }
    for (int i = 0; i < N; i++) {
        if (i % 7 != 0)
            assert_true(seen[i]);
        client_close(&w, &many[i]);
    }
    assert_int_equal(w.c.metrics.rooms, 0);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TWO(test) cmocka_unit_test_setup_teardown(test, setup_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(moved_is_looked_up_again_with_pauses_that_double),
        TWO(a_new_ring_moves_the_room_at_once),
        TWO(a_ring_that_flips_back_confuses_nobody),
        TWO(the_old_owner_serves_until_the_new_one_can_be_reached),
        ONE(a_sleeping_room_keeps_its_sockets_and_costs_no_link),
        ONE(a_frame_wakes_the_whole_room_and_is_not_lost),
        ONE(typing_wakes_the_room_too),
        ONE(wake_attaches_a_sleeping_room),
        ONE(a_newcomer_wakes_the_room),
        ONE(who_leaves_a_sleeping_room_wakes_it_for_the_others),
        ONE(a_frame_that_crosses_the_sleep_is_sent_again),
        ONE(a_sleeping_room_is_attached_again_over_a_new_link),
        ONE(a_large_room_is_attached_again_in_slices_without_a_miss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
