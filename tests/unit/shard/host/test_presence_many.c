/* test_presence_many.c - who is here in rooms with more users than a list shows. */
#include "tests/unit/shard/host/fixture.h"

#include "common/base/limits.h"
#include "shard/host/attach.h"
#include "shard/limits.h"

static void above_two_hundred_there_is_no_list_but_changes(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_begin_two(&fx);
    a->hides_presence = false;
    for (unsigned i = 2; i < PRESENCE_LIST_MAX; i++)
        fx_enter(&fx, i, 0);
    fake_env_advance(&fx.fake, 20000);
    assert_true(fx_got(a, "{presence online=200 users=200}"));
    assert_false(fx_got(a, "presence_delta"));
    assert_in_range(fx_count(a, "member_joined"), 1, 2 * PRESENCE_NOTICES_MAX);
    assert_int_equal(fx.metrics.presence_left_out + fx_count(a, "member_joined"),
                     PRESENCE_LIST_MAX - 2);
    fx_forget(a);

    fx_enter(&fx, 200, ATTACH_NATIVE);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(a,
              "ephemeral {presence online=201}\n"
              "ephemeral native {presence_delta online=201 joined=1 left=0}\n"
              "ephemeral {subscription_count subscriptionCount=201}\n",
              "one too many");
    assert_true(fx_got(&fx.gates[1], "{subscription_succeeded currentSeq=0 "
                                     "subscriptionCount=201}"));
    fx_detach(&fx.gates[1], 300);
    for (unsigned i = 201; i < 204; i++)
        fx_enter(&fx, i, 0);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(a,
              "ephemeral {presence online=203}\n"
              "ephemeral native {presence_delta online=203 joined=3 left=1}\n"
              "ephemeral {subscription_count subscriptionCount=203}\n",
              "changes");
    for (unsigned i = 300; i < 300 + PRESENCE_DELTA_USERS + 1; i++)
        fx_enter(&fx, i, 0);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(a,
              "ephemeral {presence online=224}\n"
              "ephemeral native {presence_delta online=224 joined=0 left=0 truncated=1}\n"
              "ephemeral {subscription_count subscriptionCount=224}\n",
              "too many changes");
    for (unsigned i = 300; i < 300 + PRESENCE_DELTA_USERS + 5; i++)
        fx_detach(&fx.gates[1], 100 + i);
    for (unsigned i = 201; i < 204; i++)
        fx_detach(&fx.gates[1], 100 + i);
    fake_env_advance(&fx.fake, 5000);
    assert_true(fx_got(a, "{presence online=200 users=200}"));
    fx_deinit(&fx);
}

static void a_storm_is_told_in_few_frames(void **state)
{
    enum { JOINS = 2000 };
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];
    size_t frames;

    (void)state;
    fx_begin_two(&fx);
    a->hides_presence = false;
    for (unsigned i = 0; i < JOINS; i++) {
        fx_enter(&fx, i, 0);
        if (i % 2)
            fake_env_advance(&fx.fake, 1);
    }
    fake_env_advance(&fx.fake, 5000);
    frames = fx_count(a, "{presence") + fx_count(a, "{subscription_count") +
             fx_count(a, "member_joined");
    assert_true(fx_got(a, "{presence online=2002}"));
    assert_in_range(frames, 4, 3 * 4);
    fx_deinit(&fx);
}

/* A public room makes each newcomer a member, and each gets a number. */
static void new_members_of_a_large_room_are_skipped_in_runs(void **state)
{
    enum { PRESENT = PRESENCE_LIST_MAX + 10, NEW = 30 };
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];
    char user[16];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(a, .number = 1, .room = "pub", .user = "ann",
              .flags = ATTACH_NO_REPLAY | ATTACH_NATIVE);
    for (unsigned i = 0; i < PRESENT; i++) {
        (void)snprintf(user, sizeof(user), "u%u", i);
        FX_ATTACH(b, .number = i + 1, .room = "pub", .user = user, .roles = "admin",
                  .flags = ATTACH_NO_REPLAY);
    }
    fake_env_advance(&fx.fake, 10000);
    fx_forget(a);
    for (unsigned i = 0; i < NEW; i++) {
        (void)snprintf(user, sizeof(user), "new%u", i);
        FX_ATTACH(b, .number = 1000 + i, .room = "pub", .user = user,
                  .flags = ATTACH_NO_REPLAY);
        fx_run(&fx);
    }
    assert_int_equal(fx_count(a, "membership"), 0);
    fake_env_advance(&fx.fake, 5000);
    assert_in_range(fx_count(a, "native {skip seq="), 1, 3);
    assert_true(fx_got(a, "event 30 native {skip seq="));
    assert_int_equal(fx.metrics.events_skipped, NEW);

    /* What is shown comes behind what was skipped. */
    fx_forget(a);
    FX_ATTACH(b, .number = 2000, .room = "pub", .user = "late", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_say(a, 1, 1, "hello", NULL);
    fx_run(&fx);
    fx_expect(a,
              "event 31 native {skip seq=31}\n"
              "event 32 {message seq=32 userId=ann content=hello}\n"
              "to 1 done=1 {ack seq=32 duplicate=0}\n",
              "in order");
    /* A change of role is shown; a move tells the rest first. */
    fx_call(a, CALL_MEMBER_ADD, "pub", "ann", "", "{\"userId\":\"late\",\"role\":\"guest\"}");
    fx_run(&fx);
    assert_true(fx_got(a, "event 33 native {membership seq=33 userId=late change=role}"));
    fx_forget(a);
    FX_ATTACH(b, .number = 2001, .room = "pub", .user = "later", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_set_ring(&fx, false);
    fx_run(&fx);
    fx_expect(a, "event 34 native {skip seq=34}\nmoved room/p/pub\n", "moved");
    /* History has them. */
    fx_set_ring(&fx, true);
    FX_ATTACH(a, .number = 9, .room = "pub", .user = "ann", .last_seq = 28,
              .flags = ATTACH_HAS_SEQ | ATTACH_NATIVE);
    fx_run(&fx);
    assert_true(fx_got(a, "events=6"));
    fx_deinit(&fx);
}

static void live_lists_at_most_two_hundred(void **state)
{
    struct fx fx;
    struct fx_gate *c = &fx.gates[2];

    (void)state;
    fx_begin_two(&fx);
    for (unsigned i = 0; i < 300; i++)
        fx_enter(&fx, i, 0);
    fx_run(&fx);
    fx_call(c, CALL_ROOM_LIVE, "g", "cid", "", "{}");
    fx_run(&fx);
    assert_true(fx_got(c, "\"subscriptionCount\":302,\"userCount\":302,\"online\":302,"));
    assert_true(fx_got(c, "\"truncated\":true"));
    assert_int_equal(fx_count(c, "\"sock\""), PRESENCE_LIST_MAX);
    assert_int_equal(fx_count(c, "\"userId\""), PRESENCE_LIST_MAX);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(above_two_hundred_there_is_no_list_but_changes),
        cmocka_unit_test(a_storm_is_told_in_few_frames),
        cmocka_unit_test(new_members_of_a_large_room_are_skipped_in_runs),
        cmocka_unit_test(live_lists_at_most_two_hundred),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
