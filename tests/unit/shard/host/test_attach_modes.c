/* test_attach_modes.c - sockets that read without being here, subscriptions of a socket that is
 * in many rooms, roles that change while a socket is open. */
#include "tests/unit/shard/host/fixture.h"

#include "common/wire/msg.h"
#include "shard/host/attach.h"

static void an_observer_reads_and_is_not_here(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_init(&fx);
    a->hides_presence = b->hides_presence = false;
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(a);
    fx_forget(b);
    FX_ATTACH(b, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_OBSERVER);
    fx_run(&fx);
    fx_expect(b,
              "to 1 {history hasMore=0 currentSeq=0 []}\n"
              "to 1 {subscription_succeeded currentSeq=0 subscriptionCount=1}\n"
              "attached 1 @0\n",
              "the observer");
    fx_expect(a, "", "nobody is told");
    fx_say(a, 1, 1, "hi", NULL);
    fx_run(&fx);
    assert_true(fx_got(b, "event 1 {message seq=1"));
    fx_forget(a);
    fx_link_down(b);
    fx_run(&fx);
    fx_expect(a, "", "its link breaks");
    fx_link_up(b);
    FX_ATTACH(b, .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_OBSERVER | ATTACH_REATTACH, .last_seq = 1);
    fx_run(&fx);
    fx_detach(b, 1);
    fx_run(&fx);
    fx_expect(a, "", "it comes back and goes");
    fx_deinit(&fx);
}

static void an_observer_who_is_removed_hears_no_more(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_OBSERVER | ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(g);
    fx_call(g, CALL_MEMBER_REMOVE, "g", "ann", "", "{\"userId\":\"bob\"}");
    fx_run(&fx);
    assert_true(fx_got(g, "close 1 1008 not_member\n"));
    assert_int_equal(fx.metrics.attaches, 0);
    fx_deinit(&fx);
}

static void a_subscription_is_confirmed_before_what_was_missed(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_begin_talk(&fx, 1);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob",
              .flags = ATTACH_NATIVE | ATTACH_SUBSCRIBE | ATTACH_HAS_SEQ);
    fx_run(&fx);
    assert_true(fx_got(g, "to 2 {subscription_succeeded currentSeq=1"));
    assert_true(fx_got(g, "to 2 cur=1 {replay"));
    assert_ptr_equal(strstr(g->log.data, "to 2 "), strstr(g->log.data, "to 2 {subscription"));
    assert_int_equal(fx_count(g, "subscription_succeeded"), 1);
    fx_forget(g);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob",
              .flags = ATTACH_NATIVE | ATTACH_SUBSCRIBE | ATTACH_REATTACH, .last_seq = 1);
    fx_run(&fx);
    assert_int_equal(fx_count(g, "subscription_succeeded"), 0);
    fx_deinit(&fx);
}

static void roles(struct fx_gate *g, uint64_t attach, const char *text)
{
    struct msg_ROLES msg = {.attach = attach, .roles = slice_str(text)};

    attach_on_roles(g->gate, &msg);
}

static void who_loses_the_role_that_let_him_in_leaves(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "root", .roles = "admin",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .roles = "admin",
              .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(g);
    roles(g, 1, "owner");
    roles(g, 2, "member");
    roles(g, 99, "member"); /* nobody has that number */
    fx_run(&fx);
    fx_expect(g, "", "both may stay");
    roles(g, 1, "member");
    fx_run(&fx);
    assert_true(fx_got(g, "close 1 1008 not_member\n"));
    assert_false(fx_got(g, "close 2"));
    fx_deinit(&fx);
}

static void roles_count_for_the_frames_behind_them(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "c", .user = "bob", .roles = "member",
              .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_say(g, 1, 1, "may I?", NULL);
    fx_run(&fx);
    assert_true(fx_got(g, "forbidden"));
    fx_forget(g);
    roles(g, 1, "admin");
    fx_say(g, 1, 2, "now?", NULL);
    fx_run(&fx);
    assert_false(fx_got(g, "forbidden"));
    assert_true(fx_got(g, "event 1 {message seq=1"));
    fx_deinit(&fx);
}

/* A gateway without room for a page says so. */
static void a_paused_catch_up_begins_with_more(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_begin_talk(&fx, 1);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .flags = ATTACH_PAUSED);
    fx_run(&fx);
    fx_expect(g, "paged 2\n", "nothing yet");
    fx_say(g, 1, 2, "more", NULL);
    fx_run(&fx);
    fx_forget(g);
    fx_more(g, 2);
    fx_run(&fx);
    assert_true(fx_got(g, "to 2 cur=2 {history hasMore=0 currentSeq=2"));
    assert_true(fx_got(g, "attached 2 @2\n"));
    fx_forget(g);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .last_seq = 1,
              .flags = ATTACH_PAUSED | ATTACH_REATTACH);
    fx_run(&fx);
    fx_expect(g, "paged 2\n", "nor then");
    fx_more(g, 2);
    fx_run(&fx);
    assert_true(fx_got(g, "to 2 cur=2 {message seq=2"));
    assert_true(fx_got(g, "attached 2 @2\n"));
    fx_deinit(&fx);
}

/* The others have seen nothing of it; what it went without it is told alone. */
static void who_was_behind_is_told_who_is_here_and_nobody_else_is(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(b, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    fake_env_advance(&fx.fake, 5000);
    a->hides_presence = b->hides_presence = false;
    fx_say(a, 1, 1, "missed", NULL);
    fx_run(&fx);
    fx_forget(a);
    fx_forget(b);
    FX_ATTACH(b, .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_REATTACH | ATTACH_BEHIND);
    fake_env_advance(&fx.fake, 5000);
    assert_true(fx_got(b, "to 1 cur=1 {message seq=1"));
    assert_true(fx_got(b, "attached 1 @1\nto 1 {presence online=2 users=2}\n"
                          "to 1 {subscription_count subscriptionCount=2}\n"));
    fx_expect(a, "", "nobody else");
    fx_forget(b);
    /* After a move the others must be told, too. */
    fx_link_down(b);
    fx_run(&fx);
    fx_link_up(b);
    FX_ATTACH(b, .number = 1, .room = "g", .user = "bob", .last_seq = 1,
              .flags = ATTACH_REATTACH | ATTACH_BEHIND);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(b,
              "attached 1 @1\n"
              "ephemeral {presence online=2 users=2}\n"
              "ephemeral {subscription_count subscriptionCount=2}\n",
              "not live before");
    fx_deinit(&fx);
}

static void who_asks_is_told_who_is_here(void **state)
{
    struct msg_REFRESH refresh = {
        .attach = 1, .project = SLICE_LIT("p"), .room = SLICE_LIT("g")};
    struct msg_REFRESH nonsense = {.attach = 1, .project = SLICE_LIT("p")};
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    attach_on_refresh(a->gate, &nonsense);
    fx_run(&fx);
    fx_expect(a, "", "nobody of that number, and no room");
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fake_env_advance(&fx.fake, 5000);
    fx_forget(a);
    a->hides_presence = false;
    attach_on_refresh(a->gate, &refresh);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(a,
              "to 1 {presence online=1 users=1}\n"
              "to 1 {subscription_count subscriptionCount=1}\n",
              "alone");
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_REATTACH | ATTACH_BEHIND | ATTACH_NO_PRESENCE);
    fake_env_advance(&fx.fake, 5000);
    fx_expect(a, "attached 1 @0\n", "does not want to know");
    fx_deinit(&fx);
}

/* The room has fallen asleep meanwhile: all are attached again, and then told. */
static void who_asks_a_sleeping_room_wakes_it(void **state)
{
    struct msg_REFRESH refresh = {
        .attach = 1, .project = SLICE_LIT("p"), .room = SLICE_LIT("g")};
    struct fx fx;
    struct fx_gate *a = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    attach_on_refresh(a->gate, &refresh);
    fx_run(&fx);
    fx_expect(a, "wake g\n", "awake");
    a->hides_presence = false;
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_REATTACH);
    fake_env_advance(&fx.fake, 5000);
    assert_true(fx_got(a, "{presence online=1 users=1}"));
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_observer_reads_and_is_not_here),
        cmocka_unit_test(an_observer_who_is_removed_hears_no_more),
        cmocka_unit_test(a_subscription_is_confirmed_before_what_was_missed),
        cmocka_unit_test(who_loses_the_role_that_let_him_in_leaves),
        cmocka_unit_test(roles_count_for_the_frames_behind_them),
        cmocka_unit_test(a_paused_catch_up_begins_with_more),
        cmocka_unit_test(who_was_behind_is_told_who_is_here_and_nobody_else_is),
        cmocka_unit_test(who_asks_is_told_who_is_here),
        cmocka_unit_test(who_asks_a_sleeping_room_wakes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
