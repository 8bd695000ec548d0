/* test_typing.c - who hears of typing, when it ends, its limits. */
#include "tests/unit/shard/host/fixture.h"

#include "common/base/limits.h"
#include "shard/limits.h"

#define TYPES(on) "{\"type\":\"typing\",\"isTyping\":" #on "}"

static void a_room_does_not_sleep_while_somebody_types(void **state)
{
    struct fx fx;
    struct fx_gate *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    fx.host->config.room_idle_ms = 1000;
    fx_frame(&fx.gates[0], 1, 0, 0, TYPES(true));
    fake_env_advance(&fx.fake, TYPING_EXPIRE_MS - 1000);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=1 intent=composing}\n", "typing");
    fx_expect(&fx.gates[0], "", "not told of himself");
    fake_env_advance(&fx.fake, 3000);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=0 intent=idle}\nsleep g\n", "ended");
    fx_deinit(&fx);
}

static void a_stuttering_keyboard_is_limited_and_ends_as_it_is(void **state)
{
    struct fx fx;
    struct fx_gate *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    for (unsigned i = 0; i < 100; i++) {
        fx_frame(&fx.gates[0], 1, 0, 0, TYPES(true));
        fx_frame(&fx.gates[0], 1, 0, 0, TYPES(false));
    }
    fx_frame(&fx.gates[0], 1, 0, 0, TYPES(true));
    fx_run(&fx);
    assert_int_equal(fx_count(b, "typing"), TYPING_RELAYS);
    assert_int_equal(fx.metrics.typing_relayed, TYPING_RELAYS);
    assert_true(fx.metrics.typing_limited > 0);
    fx_forget(b);
    fake_env_advance(&fx.fake, 1000);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=1 intent=composing}\n",
              "what he does now");
    fake_env_advance(&fx.fake, TYPING_EXPIRE_MS);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=0 intent=idle}\n", "the end");
    fx_deinit(&fx);
}

static void typing_ends_with_the_socket_that_typed(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    FX_ATTACH(a, .number = 2, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_frame(a, 1, 0, 0, TYPES(true));
    fx_detach(a, 2);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=1 intent=composing}\n",
              "the other socket's end");
    FX_ATTACH(a, .number = 3, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_detach(a, 1);
    fx_expect(b, "ephemeral {typing userId=ann isTyping=0 intent=idle}\n", "its own");
    fx_deinit(&fx);
}

static void who_was_out_of_reach_hears_that_typing_has_ended(void **state)
{
    struct fx fx;
    struct fx_gate *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    fx_frame(&fx.gates[0], 1, 0, 0, TYPES(true));
    fx_forget(b);
    fx_link_down(b);
    fx_frame(&fx.gates[0], 1, 0, 0, TYPES(false));
    fx_link_up(b);
    fx_back(b, "bob");
    fx_run(&fx);
    fx_expect(b, "attached 1 @0\nto 1 {typing userId=ann isTyping=0 intent=idle}\n", "bob");
    /* Long ago: there is nothing to be said. */
    fake_env_advance(&fx.fake, TYPING_TOLD_MS);
    fx_link_down(b);
    fx_link_up(b);
    fx_back(b, "bob");
    fx_run(&fx);
    fx_expect(b, "attached 1 @0\n", "later");
    fx_deinit(&fx);
}

static void a_change_of_intent_is_sent_on(void **state)
{
    struct fx fx;
    struct fx_gate *b = &fx.gates[1];

    (void)state;
    fx_begin_two(&fx);
    fx_frame(&fx.gates[0], 1, 0, 0, TYPES(true));
    fx_frame(&fx.gates[0], 1, 0, 0,
             "{\"type\":\"typing\",\"isTyping\":true,\"intent\":\"viewing_thread\"}");
    fx_frame(&fx.gates[0], 1, 0, 0,
             "{\"type\":\"typing\",\"isTyping\":true,\"intent\":\"away\"}");
    fx_expect(b,
              "ephemeral {typing userId=ann isTyping=1 intent=composing}\n"
              "ephemeral {typing userId=ann isTyping=1 intent=viewing_thread}\n"
              "ephemeral {typing userId=ann isTyping=1 intent=away}\n",
              "each");
    fx_deinit(&fx);
}

static void a_room_full_of_typists_is_limited(void **state)
{
    struct fx fx;
    size_t n = 0;

    (void)state;
    fx_begin_two(&fx);
    for (unsigned i = 0; i < 1000; i++)
        fx_enter(&fx, i, 0);
    fx_run(&fx);
    for (unsigned i = 0; i < 1000; i++)
        fx_frame(&fx.gates[1], 100 + i, 0, 0, TYPES(true));
    n = fx.metrics.typing_relayed;
    assert_in_range(n, 1, TYPING_FANOUT_PER_S / 1000);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_does_not_sleep_while_somebody_types),
        cmocka_unit_test(a_stuttering_keyboard_is_limited_and_ends_as_it_is),
        cmocka_unit_test(typing_ends_with_the_socket_that_typed),
        cmocka_unit_test(who_was_out_of_reach_hears_that_typing_has_ended),
        cmocka_unit_test(a_change_of_intent_is_sent_on),
        cmocka_unit_test(a_room_full_of_typists_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
