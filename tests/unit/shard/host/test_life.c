/* test_life.c - links, ghosts, sleep, moves, fences, presence and typing. */
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

#include "common/base/limits.h"

static void begin(struct fx *fx)
{
    fx_init(fx);
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    fake_env_advance(&fx->fake, 1000);
    fx_forget(&fx->gates[0]);
    fx_forget(&fx->gates[1]);
    fx_forget(&fx->gates[2]);
}

static void a_link_that_comes_back_in_time_changes_nothing(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx_link_down(&fx.gates[1]);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS - 1000);
    fx_say(&fx.gates[0], 1, 1, "missed", NULL);
    fx_run(&fx);
    fx_forget(&fx.gates[0]);
    fx_link_up(&fx.gates[1]);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    fake_env_advance(&fx.fake, 2 * PRESENCE_HOLD_MS);
    fx_expect(&fx.gates[0], "", "nobody notices");
    fx_expect(&fx.gates[1],
              "to 1 cur=1 {message seq=1 userId=ann content=missed}\nattached 1 @1\n",
              "caught up");
    fx_deinit(&fx);
}

static void ghosts_leave_when_their_time_is_over(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx_link_down(&fx.gates[1]);
    fake_env_advance(&fx.fake, PRESENCE_HOLD_MS - 100);
    fx_expect(&fx.gates[0], "", "held");
    fake_env_advance(&fx.fake, 200);
    fx_expect(&fx.gates[0], "gone 257\nephemeral {member_left userId=bob}\n", "gone");
    assert_int_equal(fx.metrics.attaches, 1);
    fx_deinit(&fx);
}

static void a_second_link_of_a_gateway_replaces_the_first(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[1];

    (void)state;
    begin(&fx);
    fx_link_up(g); /* the old one is not known to be broken yet */
    fx_expect(g, "replaced\n", "old link");
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    fx_run(&fx);
    fx_expect(g, "attached 1 @0\n", "new link");
    fx_expect(&fx.gates[0], "", "the others");
    fx_deinit(&fx);
}

static void an_idle_room_sleeps_and_wakes_without_join_frames(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx.gates[0].hides_presence = false;
    fake_env_advance(&fx.fake, 62000);
    fx_expect(&fx.gates[0], "sleep g\n", "asleep");
    fx_expect(&fx.gates[1], "sleep g\n", "asleep there");
    fx_expect(&fx.gates[2], "", "not concerned");
    assert_true(host_is_empty(fx.host));
    assert_int_equal(fx.metrics.attaches, 0);

    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    fx_run(&fx);
    fx_expect(&fx.gates[0], "wake g\n", "called");
    fx_expect(&fx.gates[2], "wake g\n", "everybody is");
    FX_ATTACH(&fx.gates[0], .number = 1, .room = "g", .user = "ann", .flags = ATTACH_REATTACH);
    fx_run(&fx);
    fx_expect(&fx.gates[0], "attached 1 @0\n", "back");
    fake_env_advance(&fx.fake, PRESENCE_SETTLE_MS);
    fx_expect(&fx.gates[0],
              "ephemeral {presence online=2 users=2}\n"
              "ephemeral {subscription_count subscriptionCount=2}\n",
              "presence once");
    fx_deinit(&fx);
}

static void traffic_keeps_a_room_awake(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    for (unsigned i = 1; i <= 4; i++) {
        fake_env_advance(&fx.fake, 40000);
        fx_say(&fx.gates[0], 1, i, "x", NULL);
    }
    assert_false(fx_got(&fx.gates[0], "sleep"));
    fx_deinit(&fx);
}

static void a_moved_room_finishes_its_batch_and_answers_nothing_more(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "in flight", NULL);
    fake_env_run(&fx.fake); /* the batch leaves at the end of the turn */
    fx_say(g, 1, 2, "queued", NULL);
    fx_set_ring(&fx, false);
    fx_say(g, 1, 3, "late", NULL);
    fx_run(&fx);
    fx_expect(g,
              "event 1 {message seq=1 userId=ann content=in flight}\n"
              "to 1 done=1 {ack seq=1 duplicate=0}\n"
              "moved room/p/g\n",
              "moved");
    fx_expect(&fx.gates[1],
              "event 1 {message seq=1 userId=ann content=in flight}\nmoved room/p/g\n",
              "everybody with sockets");
    assert_true(host_is_empty(fx.host));
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_REATTACH);
    fx_call(g, CALL_ROOM_GET, "g", "ann", "", "{}");
    fx_run(&fx);
    fx_expect(g, "moved room/p/g\nreply 1 421 \n", "not ours");
    fx_deinit(&fx);
}

static void a_room_that_hangs_leaves_all_the_same(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx_say(&fx.gates[0], 1, 1, "in flight", NULL);
    fake_env_run(&fx.fake);
    sim_server_set_stalled(&fx.server, true);
    fx_set_ring(&fx, false);
    fx_run(&fx);
    assert_false(fx_got(&fx.gates[0], "moved"));
    fake_env_advance(&fx.fake, ROOM_LEAVE_MS);
    fx_expect(&fx.gates[0], "moved room/p/g\n", "given up");
    sim_server_set_stalled(&fx.server, false);
    fx_run(&fx);
    fx_deinit(&fx);
}

static void a_lost_fence_sends_everybody_to_look_again(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    sim_room_set_fence(fx_row(&fx, "g"), 99);
    fx_say(g, 1, 1, "hi", "c1");
    fx_run(&fx);
    fx_expect(g, "moved room/p/g\n", "lost");
    /* The ring still says us: they come back, and what was not answered comes again. */
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_REATTACH);
    fx_frame(g, 1, 1, FRAME_RESENT,
             "{\"type\":\"message\",\"content\":\"hi\",\"clientMessageId\":\"c1\"}");
    fx_run(&fx);
    fx_expect(g,
              "wake g\nattached 1 @0\n"
              "event 1 {message seq=1 userId=ann content=hi clientMessageId=c1}\n"
              "to 1 done=1 {ack seq=1 clientMessageId=c1 duplicate=0}\n",
              "claimed again");
    fx_deinit(&fx);
}

static void fences_are_checked_while_the_lease_is_unconfirmed(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    sim_room_set_fence(fx_row(&fx, "g"), 99);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(&fx.gates[0], "", "confirmed");
    host_set_lease(fx.host, false);
    fake_env_advance(&fx.fake, 1500);
    fx_expect(&fx.gates[0], "moved room/p/g\n", "found");
    fx_deinit(&fx);
}

static void a_claim_that_ends_after_the_move_is_not_used(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann");
    fx_set_ring(&fx, false);
    fx_run(&fx);
    fx_expect(g, "moved room/p/g\n", "moved");
    fx_deinit(&fx);
}

static void presence_is_coalesced(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    g->hides_presence = false;
    for (unsigned i = 0; i < 50; i++)
        FX_ATTACH(&fx.gates[1], .number = 10 + i, .room = "g", .user = "cid",
                  .flags = ATTACH_NO_REPLAY);
    fake_env_advance(&fx.fake, 2000);
    assert_int_equal(fx_count(g, "member_joined"), 1);
    assert_in_range(fx_count(g, "{presence"), 1, 3);
    assert_true(fx_got(g, "{presence online=52 users=3}"));
    assert_true(fx_got(g, "{subscription_count subscriptionCount=52}"));
    fx_deinit(&fx);
}

static void ephemerals_pass_by_a_congested_link(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx.gates[1].is_congested = true;
    fx_frame(&fx.gates[0], 1, 0, 0, "{\"type\":\"typing\",\"isTyping\":true}");
    fx_say(&fx.gates[0], 1, 1, "durable", NULL);
    fx_run(&fx);
    fx_expect(&fx.gates[1], "event 1 {message seq=1 userId=ann content=durable}\n",
              "congested");
    fx_deinit(&fx);
}

static void typing_is_sent_on_once_and_ends_by_itself(void **state)
{
    struct fx fx;
    struct fx_gate *b = &fx.gates[1];

    (void)state;
    begin(&fx);
    for (unsigned i = 0; i < 3; i++)
        fx_frame(&fx.gates[0], 1, 0, 0, "{\"type\":\"typing\",\"isTyping\":true}");
    fx_run(&fx);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=1 intent=composing}\n", "once");
    fx_expect(&fx.gates[0], "", "not to oneself");
    fake_env_advance(&fx.fake, TYPING_EXPIRE_MS - 1000);
    fx_expect(b, "", "still typing");
    fake_env_advance(&fx.fake, 1000);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=0 intent=idle}\n", "expired");
    fx_frame(&fx.gates[0], 1, 0, 0, "{\"type\":\"typing\",\"isTyping\":true}");
    fx_frame(&fx.gates[0], 1, 0, 0, "{\"type\":\"typing\",\"isTyping\":false}");
    fake_env_advance(&fx.fake, 2 * TYPING_EXPIRE_MS);
    fx_expect(b,
              "ephemeral {typing userId=ann isTyping=1 intent=composing}\n"
              "ephemeral {typing userId=ann isTyping=0 intent=idle}\n",
              "ended");
    fx_frame(&fx.gates[0], 1, 0, 0, "{\"type\":\"typing\",\"isTyping\":true}");
    fx_detach(&fx.gates[0], 1);
    fx_run(&fx);
    fx_expect(b,
              "ephemeral {typing userId=ann isTyping=1 intent=composing}\n"
              "ephemeral {typing userId=ann isTyping=0 intent=idle}\n"
              "ephemeral {member_left userId=ann}\n",
              "gone");
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_that_comes_back_in_time_changes_nothing),
        cmocka_unit_test(ghosts_leave_when_their_time_is_over),
        cmocka_unit_test(a_second_link_of_a_gateway_replaces_the_first),
        cmocka_unit_test(an_idle_room_sleeps_and_wakes_without_join_frames),
        cmocka_unit_test(traffic_keeps_a_room_awake),
        cmocka_unit_test(a_moved_room_finishes_its_batch_and_answers_nothing_more),
        cmocka_unit_test(a_room_that_hangs_leaves_all_the_same),
        cmocka_unit_test(a_lost_fence_sends_everybody_to_look_again),
        cmocka_unit_test(fences_are_checked_while_the_lease_is_unconfirmed),
        cmocka_unit_test(a_claim_that_ends_after_the_move_is_not_used),
        cmocka_unit_test(presence_is_coalesced),
        cmocka_unit_test(ephemerals_pass_by_a_congested_link),
        cmocka_unit_test(typing_is_sent_on_once_and_ends_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
