/* test_presence.c - who is here after sleep, moves and dead gateways; /live. */
#include "tests/unit/shard/host/fixture.h"

#include "common/base/limits.h"
#include "shard/host/attach.h"
#include "shard/limits.h"

#define QUIET_MS (2 * PRESENCE_WINDOW_MS)

static void put_to_sleep(struct fx *fx)
{
    fake_env_advance(&fx->fake, 62000);
    assert_true(host_is_empty(fx->host));
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++)
        fx_forget(&fx->gates[i]);
}

/* ---- settling ---- */

static void presence_waits_for_all_gateways_and_no_longer(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    a->hides_presence = false;
    put_to_sleep(&fx);
    fx_back(&fx.gates[1], "bob");
    fx_run(&fx);
    fx_back(a, "ann");
    fx_awake(a);
    fx_run(&fx);
    fx_expect(a, "wake g\nattached 1 @0\n", "not everybody has answered");
    fx_awake(&fx.gates[1]);
    fx_run(&fx);
    fx_expect(a,
              "ephemeral {presence online=2 users=2}\n"
              "ephemeral {subscription_count subscriptionCount=2}\n",
              "everybody has");
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS);
    fx_expect(a, "", "nobody has come or gone");
    fx_deinit(&fx);
}

static void a_gateway_that_does_not_answer_holds_it_up_for_a_second(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    a->hides_presence = false;
    fx.gates[2].is_slow = true;
    put_to_sleep(&fx);
    fx_back(&fx.gates[1], "bob");
    fx_run(&fx);
    fx_awake(&fx.gates[1]);
    fx_back(a, "ann");
    fx_awake(a);
    fake_env_advance(&fx.fake, PRESENCE_SETTLE_MS - 100);
    fx_expect(a, "wake g\nattached 1 @0\n", "waiting");
    fake_env_advance(&fx.fake, 100);
    assert_true(fx_got(a, "{presence online=2 users=2}"));
    fx_deinit(&fx);
}

static void who_went_while_the_room_slept_has_left(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    /* Bob's socket is closed: his gateway has nothing to attach, ann's attaches. */
    fx_back(a, "ann");
    fx_run(&fx);
    fx_awake(a);
    fx_expect(a, "wake g\nattached 1 @0\n", "bob may still come");
    fx_awake(&fx.gates[1]);
    fx_run(&fx);
    fx_expect(a, "ephemeral {member_left userId=bob}\n", "gone");
    fx_deinit(&fx);
}

/* The only socket of its gateway: nobody is left there to attach. */
static void who_leaves_a_sleeping_room_wakes_it_for_those_elsewhere(void **state)
{
    struct msg_DETACH detach = {.project = SLICE_LIT("p"), .room = SLICE_LIT("g"), .wake = 1};
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    buf_clear(&fx.gates[1].last_seen); /* goes with the room */
    attach_on_detach(fx.gates[1].gate, &detach);
    fx_run(&fx);
    fx_expect(a, "wake g\n", "woken");
    fx_back(a, "ann");
    fx_awake(a);
    fx_run(&fx);
    fx_expect(a, "attached 1 @0\nephemeral {member_left userId=bob}\n", "missed");
    /* Awake already. */
    fx_forget(&fx.gates[1]);
    attach_on_detach(fx.gates[1].gate, &detach);
    fx_expect(&fx.gates[1], "wake g\n", "answered");
    /* Nobody elsewhere: the room sleeps on. */
    put_to_sleep(&fx);
    detach.wake = 0;
    attach_on_detach(a->gate, &detach);
    detach.wake = 1;
    detach.room = SLICE_LIT("a b");
    attach_on_detach(a->gate, &detach);
    assert_true(host_is_empty(fx.host));
    fx_deinit(&fx);
}

static void who_was_here_before_the_room_slept_does_not_join_again(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    /* Bob opens a second socket at another gateway: it wakes the room. Cid is new. */
    FX_ATTACH(&fx.gates[2], .number = 7, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx.gates[2], .number = 8, .room = "g", .user = "cid", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_back(a, "ann");
    fx_awake(a);
    fx_back(&fx.gates[1], "bob");
    fx_awake(&fx.gates[1]);
    fake_env_advance(&fx.fake, QUIET_MS);
    fx_expect(a, "wake g\nattached 1 @0\nephemeral {member_joined userId=cid}\n", "cid only");
    fx_deinit(&fx);
}

static void a_move_lets_nobody_leave_or_join(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    fx_set_ring(&fx, false);
    fx_run(&fx);
    fx_expect(a, "moved room/p/g\n", "moved");
    assert_int_equal(a->last_seen.len, 8); /* ann and bob, for the next owner */
    fx_set_ring(&fx, true);                /* which is us, again */
    fx_back(a, "ann");
    fx_run(&fx);
    fx_forget(b);
    fx_back(b, "bob");
    fx_awake(a);
    fx_awake(b);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS + QUIET_MS);
    assert_false(fx_got(a, "member_"));
    assert_false(fx_got(b, "member_"));
    fx_deinit(&fx);
}

/* The gateway was out of reach when the room woke: it attaches again by itself, without an
 * answer. */
static void a_gateway_out_of_reach_may_bring_its_users_while_it_is_held(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    fx_link_down(b);
    fx_back(a, "ann");
    fx_run(&fx);
    fx_awake(a);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS / 2);
    fx_expect(a, "wake g\nattached 1 @0\n", "bob may still come");
    fx_link_up(b);
    fx_back(b, "bob");
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS);
    fx_expect(a, "", "and has come");
    fx_deinit(&fx);
}

static void who_comes_back_after_he_was_given_up_joins(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    fx_link_down(b);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS + QUIET_MS);
    fx_expect(a, "gone 257\nephemeral {member_left userId=bob}\n", "given up");
    fx_link_up(b);
    fx_back(b, "bob");
    fx_run(&fx);
    fx_expect(a, "ephemeral {member_joined userId=bob}\n", "back after all");
    fx_deinit(&fx);
}

static void answers_to_an_earlier_wake_count_for_nothing(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];
    struct msg_AWAKE old = {.wake = 1,
                            .project = SLICE_LIT("p"),
                            .room = SLICE_LIT("g"),
                            .users = SLICE_LIT("\3eve")};

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    a->is_slow = true;
    fx_back(a, "ann");
    fx_run(&fx);
    for (unsigned i = 0; i < 5; i++)
        settle_on_awake(fx.host, &old);
    assert_int_equal(room_find(fx.host, SLICE_LIT("p"), SLICE_LIT("g"))->settle.phase,
                     SETTLE_ASKING);
    old.room = SLICE_LIT("nope");
    settle_on_awake(fx.host, &old);
    fx_awake(a);
    fx_awake(&fx.gates[1]);
    fx_run(&fx);
    assert_false(fx_got(a, "eve"));
    fx_deinit(&fx);
}

static void a_room_does_not_sleep_while_somebody_is_awaited(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    fx.host->config.room_idle_ms = 1000;
    fx_back(a, "ann");
    fx_run(&fx);
    fx_awake(a);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS - 1000);
    fx_expect(a, "wake g\nattached 1 @0\n", "bob's gateway does not answer");
    fake_env_advance(&fx.fake, 5000);
    fx_expect(a, "ephemeral {member_left userId=bob}\nsleep g\n", "given up");
    fx_deinit(&fx);
}

static void a_room_does_not_sleep_while_a_link_is_held(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    fx.host->config.room_idle_ms = 1000;
    fx_link_down(&fx.gates[1]);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS - 1000);
    fx_expect(a, "", "its sockets are still counted");
    fake_env_advance(&fx.fake, 6000);
    fx_expect(a, "gone 257\nephemeral {member_left userId=bob}\nsleep g\n", "not for ever");
    fx_deinit(&fx);
}

/* ---- gateways that are gone ---- */

static void every_other_gateway_hears_that_one_is_gone(void **state)
{
    struct fx fx;

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx); /* also of those in whose rooms nobody is left here */
    fx_link_down(&fx.gates[1]);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS + 100);
    fx_expect(&fx.gates[0], "gone 257\n", "first");
    fx_expect(&fx.gates[2], "gone 257\n", "third");
    assert_int_equal(fx.metrics.gateways_gone, 1);
    fx_deinit(&fx);
}

/* ---- sockets that a gateway which goes has sent to others ---- */

static void send_away(struct fx_gate *g, uint64_t number)
{
    struct msg_DETACH msg = {.attach = number, .hold = 1};

    attach_on_detach(g->gate, &msg);
}

/* And cid at the second gateway; the first one shows who is here. */
static void begin_three(struct fx *fx)
{
    fx_begin_two(fx);
    fx->gates[0].hides_presence = false;
    FX_ATTACH(&fx->gates[1], .number = 50, .room = "g", .user = "cid");
    fake_env_advance(&fx->fake, 3000);
}

static void who_is_sent_to_another_gateway_has_not_left(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    begin_three(&fx);
    fx_forget(a);
    send_away(&fx.gates[1], 50);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS / 2);
    FX_ATTACH(&fx.gates[2], .number = 60, .room = "g", .user = "cid");
    fake_env_advance(&fx.fake, 3 * PRESENCE_HOLD_MS);
    assert_false(fx_got(a, "member_left"));
    assert_false(fx_got(a, "member_joined"));
    assert_int_equal(fx.metrics.ghosts_expired, 1);
    assert_int_equal(fx.metrics.attaches, 3);
    fx_deinit(&fx);
}

static void who_does_not_come_back_leaves_when_the_hold_is_over(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    a->hides_presence = false;
    FX_ATTACH(&fx.gates[1], .number = 50, .room = "g", .user = "cid");
    FX_ATTACH(&fx.gates[1], .number = 51, .room = "g", .user = "dan", .roles = "admin");
    fake_env_advance(&fx.fake, 3000);
    fx_forget(a);
    send_away(&fx.gates[1], 50);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS / 2);
    send_away(&fx.gates[1], 51);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS / 2 + 100);
    assert_int_equal(fx_count(a, "member_left"), 1);
    fx_link_down(&fx.gates[1]); /* the gateway has ended: they are ghosts, and so is bob */
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS + 2000);
    assert_int_equal(fx_count(a, "member_left"), 3);
    fx_deinit(&fx);
}

static void who_is_sent_away_after_a_blip_has_his_own_time(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    begin_three(&fx);
    fx_link_down(&fx.gates[1]);
    fx_link_up(&fx.gates[1]);
    FX_ATTACH(&fx.gates[1], .number = 50, .room = "g", .user = "cid", .flags = ATTACH_REATTACH);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS - 500);
    fx_forget(a);
    send_away(&fx.gates[1], 50);
    fake_env_advance(&fx.fake,
                     2000); /* the time of those who were lost with the link is over */
    FX_ATTACH(&fx.gates[2], .number = 60, .room = "g", .user = "cid");
    fake_env_advance(&fx.fake, 3 * PRESENCE_HOLD_MS);
    assert_false(fx_got(a, "member_left userId=cid"));
    assert_false(fx_got(a, "member_joined userId=cid"));
    assert_int_equal(fx.metrics.attaches, 2);
    fx_deinit(&fx);
}

/* ---- GET /rooms/{id}/live ---- */

static void live_says_who_is_here(void **state)
{
    struct fx fx;
    struct fx_gate *c = &fx.gates[2];

    (void)state;
    fx_begin_two(&fx);
    fx_call(c, CALL_ROOM_LIVE, "g", "cid", "", "{}");
    fx_expect(
        c,
        "reply 1 200 {\"roomId\":\"g\",\"shardCount\":1,\"occupied\":true,"
        "\"subscriptionCount\":2,\"userCount\":2,\"online\":2,\"users\":[\"ann\",\"bob\"],"
        "\"members\":[{\"userId\":\"ann\",\"userInfo\":{}},{\"userId\":\"bob\","
        "\"userInfo\":{}}],\"socketIds\":[\"sock\",\"sock\"],\"truncated\":false}\n",
        "two");
    fx_call(c, CALL_ROOM_LIVE, "g", "zoe", "", "{}");
    fx_call(c, CALL_ROOM_LIVE, "nope", "cid", "", "{}");
    fx_run(&fx);
    assert_int_equal(fx_count(c, " 403 "), 2);
    fx_forget(c);
    fx_call(c, CALL_ROOM_LIVE, "c", "zoe", "admin", "{}");
    fx_run(&fx);
    assert_true(fx_got(c, "\"occupied\":false,\"subscriptionCount\":0,\"userCount\":0,"
                          "\"online\":0,\"users\":[],\"members\":[],\"socketIds\":[],"));
    fx_deinit(&fx);
}

static void live_waits_for_a_sleeping_rooms_sockets(void **state)
{
    struct fx fx;
    struct fx_gate *c = &fx.gates[2];

    (void)state;
    fx_begin_two(&fx);
    put_to_sleep(&fx);
    fx_call(c, CALL_ROOM_LIVE, "g", "cid", "", "{}");
    fx_run(&fx);
    fx_expect(c, "wake g\n", "asked");
    fx_back(&fx.gates[0], "ann");
    fx_awake(&fx.gates[0]);
    fx_back(&fx.gates[1], "bob");
    fx_awake(&fx.gates[1]);
    fx_run(&fx);
    assert_true(fx_got(c, "reply 1 200 "));
    assert_true(fx_got(c, "\"users\":[\"ann\",\"bob\"]"));
    /* The room moves while the call waits: it is asked again elsewhere. */
    fx_forget(c);
    put_to_sleep(&fx);
    fx_call(c, CALL_ROOM_LIVE, "g", "cid", "", "{}");
    fx_run(&fx);
    fx_set_ring(&fx, false);
    fx_expect(c, "wake g\nreply 2 421 \n", "moved");
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence_waits_for_all_gateways_and_no_longer),
        cmocka_unit_test(a_gateway_that_does_not_answer_holds_it_up_for_a_second),
        cmocka_unit_test(who_went_while_the_room_slept_has_left),
        cmocka_unit_test(who_leaves_a_sleeping_room_wakes_it_for_those_elsewhere),
        cmocka_unit_test(who_was_here_before_the_room_slept_does_not_join_again),
        cmocka_unit_test(a_move_lets_nobody_leave_or_join),
        cmocka_unit_test(a_gateway_out_of_reach_may_bring_its_users_while_it_is_held),
        cmocka_unit_test(who_comes_back_after_he_was_given_up_joins),
        cmocka_unit_test(answers_to_an_earlier_wake_count_for_nothing),
        cmocka_unit_test(a_room_does_not_sleep_while_somebody_is_awaited),
        cmocka_unit_test(a_room_does_not_sleep_while_a_link_is_held),
        cmocka_unit_test(every_other_gateway_hears_that_one_is_gone),
        cmocka_unit_test(who_is_sent_to_another_gateway_has_not_left),
        cmocka_unit_test(who_does_not_come_back_leaves_when_the_hold_is_over),
        cmocka_unit_test(who_is_sent_away_after_a_blip_has_his_own_time),
        cmocka_unit_test(live_says_who_is_here),
        cmocka_unit_test(live_waits_for_a_sleeping_rooms_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
