/*
 * test_token_life.c - tokens that end while their connection is open: warning,
 * grace, what old clients and event streams get, and fresh tokens.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

#define LIFE_MS 600000u /* of the tokens here */

static struct fake_world w;
static struct fake_client ann;
static struct fake_shard *s0 = &w.c.shards[0];
static int64_t expires_s;

static int setup(void **state)
{
    (void)state;
    fake_world_init(&w, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&w, &ann);
    fake_world_deinit(&w);
    return 0;
}

/* Live in room r, with a token that ends in LIFE_MS. */
static struct fake_attach open_with_token(bool native)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .roles = SLICE_LIT("member"),
                                    .native = native};
    struct enter_params enter = {.room = SLICE_LIT("r"), .replay_limit = 50};
    struct fake_attach a;

    w.c.env.wall_us = w.c.env.wall_us / 1000000 * 1000000;
    expires_s = w.c.env.wall_us / 1000000 + LIFE_MS / 1000;
    params.expires_s = expires_s;
    client_open_as(&w, &ann, &params, &enter);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 1);
    fake_env_run(&w.c.env);
    return a;
}

static void until_left(uint64_t left_ms)
{
    int64_t now_ms = w.c.env.wall_us / 1000;

    fake_env_advance(&w.c.env, (uint64_t)(expires_s * 1000 - now_ms) - left_ms);
    fake_shard_clear(s0);
}

static void a_native_client_is_warned_and_then_closed(void **state)
{
    (void)state;
    open_with_token(true);
    until_left(TOKEN_WARNING_MS + 1000);
    client_expect_nothing(&w, &ann);
    until_left(TOKEN_WARNING_MS - 2000);
    assert_non_null(
        strstr(client_next(&w, &ann), "{\"type\":\"token_expiring\",\"expiresAt\":\""));
    client_expect_nothing(&w, &ann);
    until_left(0);
    fake_env_advance(&w.c.env, TOKEN_GRACE_MS - 1000);
    client_expect_nothing(&w, &ann); /* once is enough */
    assert_int_equal(ann.code, 0);
    shard_room_event(s0, "r", 2, 0, 0, "still read");
    client_expect(&w, &ann, "still read");
    fake_env_advance(&w.c.env, 3000);
    assert_int_equal(ann.code, 1008);
    assert_string_equal(ann.reason, "token_expired");
    assert_int_equal(w.c.metrics.tokens_expired, 1);
    fake_shard_clear(s0);
}

static void writes_end_with_the_token(void **state)
{
    (void)state;
    open_with_token(true);
    until_left(1);
    client_next(&w, &ann); /* the warning */
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_FRAME);
    fake_env_advance(&w.c.env, 1);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":\"c\"}");
    client_expect(
        &w, &ann,
        "{\"type\":\"error\",\"code\":\"token_expired\",\"message\":\"token_expired\","
        "\"roomId\":\"r\",\"clientMessageId\":\"c\",\"retryable\":false}");
    client_say(&ann, "{\"type\":\"typing\",\"isTyping\":true}");
    assert_non_null(strstr(client_next(&w, &ann), "token_expired"));
    fake_shard_expect_nothing(s0);
    client_say(&ann, "{\"type\":\"resume\",\"lastSeq\":1}"); /* reading goes on */
    client_say(&ann, "{\"type\":\"ping\"}");
    assert_non_null(strstr(client_next(&w, &ann), "pong"));
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 2);
    assert_int_equal(ann.code, 0);
}

static void an_old_client_is_not_warned_and_sent_away_with_4002(void **state)
{
    (void)state;
    open_with_token(false);
    until_left(0);
    fake_env_advance(&w.c.env, TOKEN_GRACE_MS - 1000);
    client_expect_nothing(&w, &ann);
    assert_int_equal(ann.code, 0);
    fake_env_advance(&w.c.env, 3000);
    assert_int_equal(ann.code, 4002);
    assert_string_equal(ann.reason, "token_expired");
    fake_shard_clear(s0);
}

static void an_old_client_that_writes_too_late_is_sent_away_at_once(void **state)
{
    (void)state;
    open_with_token(false);
    until_left(0);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    assert_non_null(strstr(client_next(&w, &ann), "\"code\":\"token_expired\""));
    assert_int_equal(ann.code, 4002);
    fake_shard_expect(s0, MSG_DETACH);
}

static void a_jump_of_the_clock_is_noticed(void **state)
{
    (void)state;
    open_with_token(true);
    w.c.env.wall_us = (expires_s + 3600) * 1000000;
    fake_env_advance(&w.c.env, TOKEN_RECHECK_MS + 2000);
    assert_int_equal(ann.code, 1008);
    fake_shard_clear(s0);
}

/* ---- fresh tokens ---- */

static int refresh(const char *user, const char *roles, const char *only_room, int64_t until_s)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = slice_str(user),
                                    .roles = slice_str(roles),
                                    .only_room = slice_str(only_room),
                                    .expires_s = until_s};

    return session_refresh(ann.session, &params, SLICE_LIT("f"));
}

static void a_token_frame_goes_to_the_edge(void **state)
{
    (void)state;
    open_with_token(true);
    client_say(&ann, "{\"type\":\"token\",\"token\":\"a.b.c\",\"frameId\":\"f\"}");
    assert_string_equal(ann.token, "a.b.c/f");
    client_say(&ann, "{\"type\":\"token\",\"token\":7,\"frameId\":\"f\"}");
    assert_non_null(strstr(client_next(&w, &ann), "\"code\":\"invalid_token\""));
    assert_non_null(strstr(ann.text, "\"frameId\":\"f\""));
    client_say(&ann, "{\"type\":\"token\"}");
    assert_non_null(strstr(client_next(&w, &ann), "\"code\":\"invalid_token\""));
    fake_shard_expect_nothing(s0);
}

static void a_fresh_token_prolongs_the_session(void **state)
{
    (void)state;
    open_with_token(true);
    until_left(0);
    client_next(&w, &ann); /* the warning */
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    assert_non_null(strstr(client_next(&w, &ann), "token_expired"));
    assert_int_equal(refresh("ann", "member", "", expires_s + 3600), 0);
    assert_non_null(
        strstr(client_next(&w, &ann), "{\"type\":\"token_refreshed\",\"expiresAt\":\""));
    assert_non_null(strstr(ann.text, "\"frameId\":\"f\""));
    fake_shard_expect_nothing(s0); /* the same roles */
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_FRAME);
    fake_env_advance(&w.c.env, 2 * TOKEN_GRACE_MS);
    assert_int_equal(ann.code, 0);
    client_next(&w, &ann); /* that message has expired: no shard has settled it */
    expires_s += 3600;
    until_left(TOKEN_WARNING_MS - 2000);
    assert_non_null(strstr(client_next(&w, &ann), "token_expiring")); /* again */
}

static void new_roles_reach_the_shard(void **state)
{
    struct fake_attach a;
    const struct msg *m;

    (void)state;
    a = open_with_token(true);
    assert_int_equal(refresh("ann", "admin", "", expires_s), 0);
    client_next(&w, &ann);
    m = fake_shard_expect(s0, MSG_ROLES);
    assert_int_equal(m->ROLES.attach, a.number);
    CHECK_SLICE(m->ROLES.roles, "admin", "roles");
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    assert_int_equal(refresh("ann", "owner", "", expires_s), 0);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0); /* nobody there */
    shard_wake(s0, "r");
    fake_env_run(&w.c.env);
    m = fake_shard_expect(s0, MSG_ATTACH);
    CHECK_SLICE(m->ATTACH.roles, "owner", "roles");
}

static void somebody_elses_token_changes_nothing(void **state)
{
    (void)state;
    open_with_token(true);
    assert_int_equal(refresh("bob", "owner", "", expires_s + 3600), SESSION_OTHER);
    assert_int_equal(refresh("ann", "owner", "q", expires_s + 3600), SESSION_OTHER);
    client_expect_nothing(&w, &ann);
    fake_shard_expect_nothing(s0);
    assert_int_equal(refresh("ann", "member", "r", expires_s + 3600), 0);
    client_next(&w, &ann);
    until_left(TOKEN_WARNING_MS - 2000);
    client_expect_nothing(&w, &ann);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_native_client_is_warned_and_then_closed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(writes_end_with_the_token, setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_client_is_not_warned_and_sent_away_with_4002,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_client_that_writes_too_late_is_sent_away_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_jump_of_the_clock_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_frame_goes_to_the_edge, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fresh_token_prolongs_the_session, setup, teardown),
        cmocka_unit_test_setup_teardown(new_roles_reach_the_shard, setup, teardown),
        cmocka_unit_test_setup_teardown(somebody_elses_token_changes_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
