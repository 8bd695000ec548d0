/*
 * test_link_pool.c - links to scripted shards: handshake, heartbeat, silence,
 * reconnect, ring changes, what the users and the membership are told.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/fake_shard.h"

static struct fake_cluster c;

static struct {
    unsigned ups, downs, rings, messages, drained;
    struct link *last;
} seen;

static void user_on_up(void *owner, struct link *link)
{
    (void)owner;
    seen.ups++;
    seen.last = link;
}

static void user_on_down(void *owner, struct link *link)
{
    (void)owner;
    (void)link;
    seen.downs++;
}

static void user_on_ring(void *owner)
{
    (void)owner;
    seen.rings++;
}

static void user_on_message(void *owner, struct link *link, const struct msg *msg)
{
    (void)owner;
    (void)link;
    assert_int_equal(msg->type, MSG_WAKE);
    seen.messages++;
}

static void user_on_drained(void *owner, struct link *link)
{
    (void)owner;
    (void)link;
    seen.drained++;
}

static const struct link_user_events user_events = {user_on_up, user_on_down, user_on_ring,
                                                    user_on_message, user_on_drained};

static void begin(size_t shards, const char *secret)
{
    memset(&seen, 0, sizeof(seen));
    fake_cluster_init(&c, shards, secret);
    link_pool_set_user(c.pool, LINK_USER_SESSIONS, &user_events, NULL);
}

static int teardown(void **state)
{
    (void)state;
    fake_cluster_deinit(&c);
    return 0;
}

static void links_come_up_to_every_shard(void **state)
{
    (void)state;
    begin(3, "secret");
    assert_int_equal(link_pool_live(c.pool), 0);
    assert_null(link_pool_owner(c.pool, SLICE_LIT("room/p/r")));
    assert_null(link_pool_any(c.pool));
    fake_env_run(&c.env);
    assert_int_equal(link_pool_live(c.pool), 3);
    assert_int_equal(link_pool_total(c.pool), 3);
    assert_int_equal(seen.ups, 3);
    assert_int_equal(c.metrics.links_up, 3);
}

static void the_owner_is_the_one_of_the_ring(void **state)
{
    (void)state;
    begin(3, "secret");
    fake_env_run(&c.env);
    for (int i = 0; i < 50; i++) {
        char object[32];
        struct fake_shard *owner;
        struct link *link;

        snprintf(object, sizeof(object), "room/p/r%d", i);
        owner = fake_cluster_owner(&c, 7, object);
        link = link_pool_owner(c.pool, slice_str(object));
        CHECK_SLICE(link_node_id(link), owner->id, object);
    }
}

static void any_link_goes_round(void **state)
{
    struct link *a, *b;

    (void)state;
    begin(2, "secret");
    fake_env_run(&c.env);
    a = link_pool_any(c.pool);
    b = link_pool_any(c.pool);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(link_pool_any(c.pool), a);
    fake_shard_break(&c.shards[0]);
    fake_unlisten(&c.shards[0].listener);
    fake_env_run(&c.env);
    for (int i = 0; i < 4; i++)
        CHECK_SLICE(link_node_id(link_pool_any(c.pool)), "shard-1", "only live links");
}

static void a_wrong_secret_never_comes_up_and_is_no_evidence(void **state)
{
    (void)state;
    begin(1, "secret");
    c.shards[0].config.secret = SLICE_LIT("other");
    fake_env_advance(&c.env, 10000);
    assert_int_equal(link_pool_live(c.pool), 0);
    assert_int_equal(c.refused + c.timeouts, 0);
    assert_in_range(c.shards[0].connects, 8, 40); /* it keeps trying, but not in a storm */
}

static void another_node_at_the_address_is_not_believed(void **state)
{
    (void)state;
    begin(1, "secret");
    c.shards[0].config.node_id = SLICE_LIT("shard-9");
    fake_env_advance(&c.env, 2000);
    assert_int_equal(link_pool_live(c.pool), 0);
    assert_int_equal(seen.ups, 0);
    assert_string_equal(c.why, "another node answers at this address");
}

static void a_broken_link_comes_back(void **state)
{
    (void)state;
    begin(1, "secret");
    fake_env_advance(&c.env, 3000);
    fake_shard_break(&c.shards[0]);
    fake_env_run(&c.env);
    assert_int_equal(seen.downs, 1);
    assert_int_equal(c.resets, 1);
    assert_null(link_pool_any(c.pool));
    fake_env_advance(&c.env, LINK_RETRY_MIN_MS * 2);
    assert_int_equal(seen.ups, 2);
    assert_int_equal(link_pool_live(c.pool), 1);
}

static void refused_attempts_back_off(void **state)
{
    (void)state;
    begin(1, "secret");
    fake_unlisten(&c.shards[0].listener);
    fake_env_advance(&c.env, 20000);
    /* 20 40 80 ... 640 then one a second, each with jitter */
    assert_in_range(c.refused, 20, 32);
    fake_listen(&c.env, &c.shards[0].listener);
    fake_env_advance(&c.env, LINK_RETRY_MAX_MS * 2);
    assert_int_equal(link_pool_live(c.pool), 1);
}

static void both_a_stalled_connect_and_a_stalled_handshake_time_out(void **state)
{
    (void)state;
    begin(1, "secret");
    c.shards[0].listener.stalled = true;
    fake_env_advance(&c.env, CONNECT_TIMEOUT_MS);
    assert_int_equal(c.timeouts, 1);

    c.shards[0].listener.stalled = false;
    c.shards[0].is_deaf = true;
    fake_env_advance(&c.env, LINK_HANDSHAKE_TIMEOUT_MS + LINK_RETRY_MIN_MS * 2);
    assert_int_equal(c.timeouts, 2);

    c.shards[0].is_deaf = false;
    fake_env_advance(&c.env, LINK_HANDSHAKE_TIMEOUT_MS + LINK_RETRY_MAX_MS);
    assert_int_equal(link_pool_live(c.pool), 1);
}

static void heartbeats_flow_and_silence_ends_the_link(void **state)
{
    (void)state;
    begin(1, "secret");
    fake_env_advance(&c.env, 10500);
    assert_in_range(c.shards[0].pings, 10, 12);
    assert_int_equal(seen.downs, 0);
    c.shards[0].is_mute = true;
    fake_env_advance(&c.env, LINK_SILENCE_MS - 1500);
    assert_int_equal(seen.downs, 0);
    fake_env_advance(&c.env, 3000);
    assert_true(seen.downs >= 1);
    assert_true(c.timeouts >= 1);
}

/* When this process itself was stopped, what the shard sent meanwhile is still unread. */
static void our_own_pause_is_not_taken_for_silence(void **state)
{
    (void)state;
    begin(1, "secret");
    fake_env_advance(&c.env, 2000);
    c.env.now_ms += LINK_SILENCE_MS - LINK_HEARTBEAT_MS - 100;
    fake_env_run(&c.env);
    fake_env_advance(&c.env, 2000);
    assert_int_equal(seen.downs, 0);
}

/* Stopped for long: what waits in the socket is of the past, and nothing of it is passed on.
 * That says nothing about the shard. */
static void check_long_pause(bool timers_first)
{
    struct msg wake = {.type = MSG_WAKE};

    wake.WAKE.project = SLICE_LIT("p");
    wake.WAKE.room = SLICE_LIT("r");
    begin(1, "secret");
    fake_env_advance(&c.env, 2000);
    c.env.now_ms += 60000;
    if (timers_first)
        fake_env_run(&c.env);
    else
        fake_shard_send(&c.shards[0], &wake);
    fake_env_run(&c.env);
    assert_int_equal(seen.messages, 0);
    assert_int_equal(seen.downs, 1);
    assert_int_equal(c.timeouts, 0);
    fake_env_advance(&c.env, LINK_RETRY_MAX_MS);
    assert_int_equal(seen.ups, 2);
}

static void what_waited_during_a_long_pause_is_not_shown(void **state)
{
    (void)state;
    check_long_pause(false);
}

static void a_long_pause_ends_the_link_before_it_reads(void **state)
{
    (void)state;
    check_long_pause(true);
}

static void rings_are_exchanged(void **state)
{
    struct msg ring = {.type = MSG_RING};
    AUTO(ring_unref) struct ring *newer = NULL;
    struct ring_member member = {
        .id = SLICE_LIT("x"), .address = SLICE_LIT("x:1"), .incarnation = 1, .weight = 1};
    const struct msg *got;

    (void)state;
    begin(1, "secret");
    fake_env_run(&c.env);
    fake_shard_expect_nothing(&c.shards[0]); /* the same ring on both sides */

    c.shards[0].ring.epoch = 0;
    fake_env_advance(&c.env, LINK_HEARTBEAT_MS);
    got = fake_shard_expect(&c.shards[0], MSG_RING);
    assert_int_equal(got->RING.epoch, c.epoch);
    assert_true(got->RING.members.len > 0);

    assert_int_equal(ring_new(99, &member, 1, &newer), 0);
    ring.RING.epoch = 99;
    ring.RING.members = ring_encoded(newer);
    fake_shard_send(&c.shards[0], &ring);
    fake_env_run(&c.env);
    assert_int_equal(c.learnt_epoch, 99);
}

static void a_refresh_asks_at_once_but_not_in_a_storm(void **state)
{
    unsigned pings;

    (void)state;
    begin(1, "secret");
    fake_env_advance(&c.env, 100);
    pings = c.shards[0].pings;
    for (int i = 0; i < 1000; i++)
        link_pool_refresh_ring(c.pool);
    fake_env_run(&c.env);
    assert_int_equal(c.shards[0].pings, pings + 1);
    assert_int_equal(c.stale, 1);
}

static void a_shard_that_leaves_the_ring_keeps_its_link_for_a_while(void **state)
{
    (void)state;
    begin(2, "secret");
    fake_env_advance(&c.env, 100);
    fake_cluster_set_ring(&c, 1);
    assert_int_equal(seen.rings, 1);
    assert_int_equal(link_pool_total(c.pool), 1);
    assert_int_equal(c.metrics.links, 2);
    fake_env_advance(&c.env, LINK_LINGER_MS + 100);
    assert_int_equal(c.metrics.links, 1);
    assert_int_equal(seen.downs, 1);
    fake_shard_expect(&c.shards[1], MSG_GOODBYE);
    assert_null(c.shards[1].stream);

    fake_cluster_set_ring(&c, 3);
    fake_env_advance(&c.env, 100);
    assert_int_equal(link_pool_live(c.pool), 2);
}

static void a_shard_that_comes_back_in_time_keeps_its_link(void **state)
{
    (void)state;
    begin(2, "secret");
    fake_env_advance(&c.env, 100);
    fake_cluster_set_ring(&c, 1);
    fake_env_advance(&c.env, 100);
    fake_cluster_set_ring(&c, 3);
    fake_env_advance(&c.env, LINK_LINGER_MS + 1000);
    assert_int_equal(seen.downs, 0);
    assert_int_equal(c.shards[1].connects, 1);
}

static void messages_reach_the_user_in_any_split(void **state)
{
    struct msg wake = {.type = MSG_WAKE};

    (void)state;
    begin(1, "secret");
    fake_env_run(&c.env);
    wake.WAKE.project = SLICE_LIT("p");
    wake.WAKE.room = SLICE_LIT("r");
    for (size_t split = 1; split < 8; split++) {
        fake_stream_split(c.shards[0].stream, split);
        fake_shard_send(&c.shards[0], &wake);
        fake_env_run(&c.env);
        assert_int_equal(seen.messages, split);
    }
}

static void nonsense_ends_the_link(void **state)
{
    (void)state;
    begin(1, "secret");
    fake_env_run(&c.env);
    assert_int_equal(
        stream_write_bytes(c.shards[0].stream, SLICE_LIT("\xff\xff\xff\xff garbage")), 0);
    fake_env_run(&c.env);
    assert_int_equal(seen.downs, 1);
    assert_int_equal(c.resets, 0);
    assert_string_equal(c.why, "malformed message");
}

static void a_full_link_says_so_and_when_it_has_drained(void **state)
{
    static char big[LINK_FRAME_MAX / 2];
    struct msg frame = {.type = MSG_FRAME};
    struct link *link;

    (void)state;
    begin(1, "secret");
    fake_env_run(&c.env);
    link = link_pool_any(c.pool);
    fake_stream_hold(c.shards[0].stream, false);
    memset(big, 'x', sizeof(big));
    frame.FRAME.json = slice_of(big, sizeof(big));
    while (!link_is_full(link))
        assert_int_equal(link_send(link, &frame), 0);
    assert_int_equal(link_send(link, &frame), 0);
    assert_int_equal(seen.drained, 0);
    fake_env_run(&c.env);
    assert_false(link_is_full(link));
    assert_int_equal(seen.drained, 1);
}

static void a_link_that_takes_nothing_is_ended_at_its_bound(void **state)
{
    static char big[LINK_FRAME_MAX / 2];
    struct msg frame = {.type = MSG_FRAME};
    struct link *link;
    int r = 0;

    (void)state;
    begin(1, "secret");
    fake_env_run(&c.env);
    link = link_pool_any(c.pool);
    frame.FRAME.json = slice_of(big, sizeof(big));
    for (size_t sent = 0; sent <= LINK_QUEUE_MAX && r == 0; sent += sizeof(big))
        r = link_send(link, &frame);
    assert_true(r < 0);
    assert_int_equal(seen.downs, 0); /* not from inside link_send() */
    fake_env_run(&c.env);
    assert_int_equal(seen.downs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(links_come_up_to_every_shard, teardown),
        cmocka_unit_test_teardown(the_owner_is_the_one_of_the_ring, teardown),
        cmocka_unit_test_teardown(any_link_goes_round, teardown),
        cmocka_unit_test_teardown(a_wrong_secret_never_comes_up_and_is_no_evidence, teardown),
        cmocka_unit_test_teardown(another_node_at_the_address_is_not_believed, teardown),
        cmocka_unit_test_teardown(a_broken_link_comes_back, teardown),
        cmocka_unit_test_teardown(refused_attempts_back_off, teardown),
        cmocka_unit_test_teardown(both_a_stalled_connect_and_a_stalled_handshake_time_out,
                                  teardown),
        cmocka_unit_test_teardown(heartbeats_flow_and_silence_ends_the_link, teardown),
        cmocka_unit_test_teardown(our_own_pause_is_not_taken_for_silence, teardown),
        cmocka_unit_test_teardown(what_waited_during_a_long_pause_is_not_shown, teardown),
        cmocka_unit_test_teardown(a_long_pause_ends_the_link_before_it_reads, teardown),
        cmocka_unit_test_teardown(rings_are_exchanged, teardown),
        cmocka_unit_test_teardown(a_refresh_asks_at_once_but_not_in_a_storm, teardown),
        cmocka_unit_test_teardown(a_shard_that_leaves_the_ring_keeps_its_link_for_a_while,
                                  teardown),
        cmocka_unit_test_teardown(a_shard_that_comes_back_in_time_keeps_its_link, teardown),
        cmocka_unit_test_teardown(messages_reach_the_user_in_any_split, teardown),
        cmocka_unit_test_teardown(nonsense_ends_the_link, teardown),
        cmocka_unit_test_teardown(a_full_link_says_so_and_when_it_has_drained, teardown),
        cmocka_unit_test_teardown(a_link_that_takes_nothing_is_ended_at_its_bound, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
