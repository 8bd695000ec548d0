/* test_moderation.c - mutes and bans in the room: in order with everything else, on every way
 * in. */
#include "tests/unit/shard/host/fixture.h"

static void say_expects(struct fx *fx, struct fx_gate *g, uint64_t attach, uint64_t n,
                        const char *text, const char *want)
{
    fx_forget(g);
    fx_say(g, attach, n, text, NULL);
    fx_run(fx);
    if (!fx_got(g, want))
        fail_msg("%s: got\n%.*s", text, (int)g->log.len, g->log.data);
}

static void moderate(struct fx *fx, const char *who, const char *params, const char *want)
{
    struct fx_gate *g = &fx->gates[2];
    char line[200];

    fx_forget(g);
    fx_call(g, CALL_MODERATE, "g", who, "", params);
    fx_run(fx);
    (void)snprintf(line, sizeof(line), "reply %llu %s", (unsigned long long)g->calls, want);
    if (!fx_got(g, line))
        fail_msg("%s: got\n%.*s", params, (int)g->log.len, g->log.data);
}

static void a_mute_holds_for_what_was_sent_behind_it(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NATIVE);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "cid", .flags = ATTACH_NATIVE);
    fx_run(&fx);
    say_expects(&fx, g, 1, 1, "before", "event 1");
    moderate(&fx, "ann", "{\"action\":\"mute\",\"userId\":\"bob\"}",
             "200 {\"ok\":true,\"expiresAt\":null}");
    assert_true(fx_got(g, "moderation"));
    say_expects(&fx, g, 1, 2, "muted", "{error code=muted");
    say_expects(&fx, g, 2, 1, "not muted", "event 3");
    fx_forget(g);
    fx_frame(g, 1, 0, 0, "{\"type\":\"typing\",\"isTyping\":true}");
    fx_run(&fx);
    assert_false(fx_got(g, "typing"));
    moderate(&fx, "ann", "{\"action\":\"mute\",\"userId\":\"bob\"}",
             "200 {\"ok\":true"); /* so already */
    moderate(&fx, "ann", "{\"action\":\"unmute\",\"userId\":\"bob\"}", "200 {\"ok\":true");
    say_expects(&fx, g, 1, 3, "free", "event 5");
    fx_deinit(&fx);
}

static void a_mute_ends_by_the_clock(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NATIVE);
    fx_run(&fx);
    moderate(&fx, "ann", "{\"action\":\"mute\",\"userId\":\"bob\",\"durationSeconds\":60}",
             "200 {\"ok\":true,\"expiresAt\":\"");
    fake_env_advance(&fx.fake, 59000);
    say_expects(&fx, g, 1, 1, "too early", "{error code=muted");
    fake_env_advance(&fx.fake, 2000);
    say_expects(&fx, g, 1, 2, "over", "event 2");
    fx_deinit(&fx);
}

static void a_ban_closes_sockets_and_keeps_out(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0], *h = &fx.gates[1];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NATIVE);
    FX_ATTACH(h, .number = 1, .room = "g", .user = "bob");
    FX_ATTACH(h, .number = 2, .room = "g", .user = "cid");
    fx_run(&fx);
    fx_forget(g);
    fx_forget(h);
    moderate(&fx, "ann", "{\"action\":\"ban\",\"userId\":\"bob\"}", "200 {\"ok\":true");
    assert_true(fx_got(g, "close 1 1008 banned"));
    assert_true(fx_got(h, "close 1 1008 banned"));
    assert_false(fx_got(h, "close 2"));
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob");
    fx_run(&fx);
    assert_true(fx_got(g, "close 2 1008 banned"));
    fx_call(&fx.gates[2], CALL_ROOM_GET, "g", "bob", "", "{}");
    fx_run(&fx);
    assert_true(fx_got(&fx.gates[2], "403 {\"error\":\"banned\""));
    /* Who administers the project cannot be kept out. */
    FX_ATTACH(g, .number = 3, .room = "g", .user = "bob", .roles = "admin");
    fx_run(&fx);
    fx_more(g, 3);
    fx_run(&fx);
    assert_true(fx_got(g, "attached 3"));
    fx_deinit(&fx);
}

static void offices_and_bad_requests(void **state)
{
    struct fx fx;

    (void)state;
    fx_init(&fx);
    moderate(&fx, "bob", "{\"action\":\"mute\",\"userId\":\"cid\"}",
             "403 {\"error\":\"forbidden\"");
    moderate(&fx, "ann", "{\"action\":\"mute\",\"userId\":\"ann\"}",
             "403 {\"error\":\"forbidden\"");
    moderate(&fx, "ann", "{\"action\":\"slap\",\"userId\":\"bob\"}",
             "400 {\"error\":\"bad_request\"");
    moderate(&fx, "ann", "{\"action\":\"mute\",\"userId\":\"a b\"}",
             "400 {\"error\":\"invalid_id\"");
    moderate(&fx, "ann", "{\"action\":\"mute\",\"userId\":\"bob\",\"durationSeconds\":0}",
             "400 {\"error\":\"bad_request\"");
    fx_call(&fx.gates[2], CALL_MODERATE, "g", "zoe", "admin",
            "{\"action\":\"ban\",\"userId\":\"ann\"}");
    fx_run(&fx);
    assert_true(fx_got(&fx.gates[2], "409 {\"error\":\"last_owner\""));
    fx_deinit(&fx);
}

/* The store keeps them: whoever claims the room next knows. */
static void a_ban_survives_the_room(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    moderate(&fx, "ann", "{\"action\":\"ban\",\"userId\":\"bob\"}", "200 {\"ok\":true");
    host_drop_rooms(fx.host);
    fx_run(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob");
    fx_run(&fx);
    assert_true(fx_got(g, "close 1 1008 banned"));
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mute_holds_for_what_was_sent_behind_it),
        cmocka_unit_test(a_mute_ends_by_the_clock),
        cmocka_unit_test(a_ban_closes_sockets_and_keeps_out),
        cmocka_unit_test(offices_and_bad_requests),
        cmocka_unit_test(a_ban_survives_the_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
