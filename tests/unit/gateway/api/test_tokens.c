/* test_tokens.c - who gets which token: signin, anonymous users, members of a project, scopes
 * of keys, signatures for channels. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/codec.h"
#include "gateway/auth/anonymous.h"
#include "tests/unit/gateway/edge/world.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define KEY_FIELD "X-Fluxy-Api-Key: " WORLD_KEY "\r\n"
#define KEY_OF(project, scopes)                                                                \
    "{\"project\":\"" project "\",\"keyId\":\"k\",\"scopes\":" scopes "}"

static struct world w;

/* The operator has a project of his own. */
static const struct api_config with_operator = {
    .operator_project = {"op", 2},
    .allowed_origins = {"*", 1},
    .rate_limit_scale = 1,
};

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

static void post_with_key(const char *path, const char *body, const char *key_answer)
{
    world_request(&w, "POST", path, KEY_FIELD, body);
    if (w.c.metrics.calls_KEY_LOOKUP == 0)
        (void)world_answer(&w, CALL_KEY_LOOKUP, "", 200, key_answer);
    if (w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

static void post_as(const char *roles, const char *path, const char *body)
{
    char fields[2300];

    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "root", roles, ""));
    world_request(&w, "POST", path, fields, body);
    if (w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

static void signin_says_where_the_user_channel_is(void **state)
{
    (void)state;
    world_open(&w, NULL);
    post_with_key("/auth/signin", "{\"userId\":\"ada\"}", KEY_OF("demo", "[]"));
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(
        &w, "\"signin\":true,\"userId\":\"ada\",\"projectId\":\"demo\",\"userChannel\":"
            "{\"websocketPath\":\"/ws/user/ada\",\"eventsPath\":\"/users/ada/events\"}}"));
}

/* The user id in the answer. */
static void user_id(char ret[22])
{
    const char *at = memmem(w.client.in.data, w.client.in.len, "\"userId\":\"anon_", 15);

    assert_non_null(at);
    memcpy(ret, at + 10, 21);
    ret[21] = '\0';
    for (int i = 5; i < 21; i++)
        assert_non_null(strchr("0123456789abcdef", ret[i]));
}

static void one_anonymous_id_is_one_user(void **state)
{
    char first[22], again[22], other[22];

    (void)state;
    world_open(&w, NULL);
    post_with_key("/tokens/anonymous", "{\"anonId\":\"browser-1\",\"displayName\":\"Guest 1\"}",
                  KEY_OF("demo", "[]"));
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "\"roles\":[\"guest\"],\"anon\":true}}"));
    assert_true(world_has(&w, "\"anonId\":\"browser-1\""));
    user_id(first);
    post_with_key("/tokens/anonymous", "{\"anonId\":\"browser-1\",\"ttlSeconds\":5}", "");
    assert_true(world_has(&w, "\"expiresIn\":60,"));
    user_id(again);
    assert_string_equal(first, again);
    post_with_key("/tokens/anonymous", "{\"anonId\":\"browser-2\"}", "");
    user_id(other);
    assert_string_not_equal(first, other);
    /* What others see of somebody does not make them him. */
    snprintf(again, sizeof(again), "%s", first);
    world_request(&w, "POST", "/tokens/anonymous", KEY_FIELD, "{\"anonId\":\"\"}");
    user_id(other);
    assert_string_not_equal(first, other);
}

static void an_anonymous_user_belongs_to_one_project(void **state)
{
    static const uint8_t random[ANONYMOUS_RANDOM] = {1, 2, 3};
    struct anonymous a, b, c, d;

    (void)state;
    anonymous_make(SLICE_LIT("p"), SLICE_LIT("x"), random, &a);
    anonymous_make(SLICE_LIT("q"), SLICE_LIT("x"), random, &b);
    assert_string_not_equal(a.user, b.user);
    anonymous_make(SLICE_LIT("p"), slice_of(NULL, 0), random, &c);
    assert_string_equal(c.id, "01020300000000000000000000000000");
    anonymous_make(SLICE_LIT("p"), slice_str(c.id), random, &d);
    assert_string_equal(c.user, d.user);
    anonymous_make(SLICE_LIT("p"), slice_str(a.user), random, &d);
    assert_string_not_equal(a.user, d.user);
}

static void anonymous_errors_carry_the_word_twice(void **state)
{
    (void)state;
    world_open(&w, NULL);
    post_with_key("/tokens/anonymous", "{\"anonId\":\"a b\"}", KEY_OF("demo", "[]"));
    assert_int_equal(world_status(&w), 400);
    assert_true(world_has(&w, "\"error\":\"invalid_id\""));
    assert_true(world_has(&w, "\"code\":\"invalid_id\"}"));
    world_request(&w, "POST", "/tokens/anonymous", "", "{}");
    assert_int_equal(world_status(&w), 401);
    assert_true(world_has(&w, "\"code\":\"invalid_api_key\"}"));
}

static void anonymous_tokens_can_be_switched_off(void **state)
{
    char fields[2300];

    (void)state;
    w.no_anonymous = true;
    world_open(&w, NULL);
    w.no_anonymous = false;
    world_request(&w, "POST", "/tokens/anonymous", KEY_FIELD, "{}");
    assert_int_equal(world_status(&w), 403);
    assert_true(world_has(&w, "\"code\":\"anonymous_not_allowed\"}"));
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "anon_0123456789abcdef", "\"guest\"", ",\"anon\":true"));
    world_request(&w, "GET", "/rooms", fields, NULL);
    world_answer_project(&w);
    assert_int_equal(world_status(&w), 403);
    assert_true(world_has(&w, "\"error\":\"anonymous_not_allowed\""));
}

static void scopes_narrow_what_a_key_hands_out(void **state)
{
    static const struct {
        const char *key, *body;
        unsigned status;
    } cases[] = {
        {KEY_OF("demo", "[]"), "{\"userId\":\"a\",\"roles\":[\"owner\"]}", 200},
        {KEY_OF("demo", "[\"*\"]"), "{\"userId\":\"a\",\"roles\":[\"admin\"]}", 200},
        {KEY_OF("demo", "[\"mint:*\"]"), "{\"userId\":\"a\",\"roles\":[\"mod\"]}", 200},
        {KEY_OF("demo", "[\"mint:member\",\"mint:mod\"]"),
         "{\"userId\":\"a\",\"roles\":[\"moderator\"]}", 200},
        {KEY_OF("demo", "[\"mint:member\"]"), "{\"userId\":\"a\",\"roles\":[\"moderator\"]}",
         403},
        {KEY_OF("demo", "[\"mint:guest\"]"), "{\"userId\":\"a\"}", 403},
        {KEY_OF("demo", "[\"mint:guest\"]"), "{\"userId\":\"a\",\"roles\":[\"guest\"]}", 200},
        {KEY_OF("demo", "[\"webhooks\"]"), "{\"userId\":\"a\",\"roles\":[\"owner\"]}", 200},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        world_open(&w, &with_operator);
        post_with_key("/auth/token", cases[i].body, cases[i].key);
        CHECK_EQ(world_status(&w), cases[i].status, cases[i].key);
        if (i + 1 < ARRAY_LEN(cases))
            world_close(&w);
    }
}

static void the_operators_key_hands_out_any_role(void **state)
{
    (void)state;
    world_open(&w, NULL); /* the operator's project is demo */
    post_with_key("/auth/token", "{\"userId\":\"a\",\"roles\":[\"owner\"]}",
                  KEY_OF("demo", "[\"mint:member\"]"));
    assert_int_equal(world_status(&w), 200);
}

static void admins_mint_for_members_of_their_project(void **state)
{
    (void)state;
    world_open(&w, &with_operator);
    post_as("\"admin\"", "/admin/member-token", "{\"userId\":\"bob\",\"ttlSeconds\":120}");
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "\"sub\":\"bob\",\"tid\":\"demo\",\"roles\":[\"member\"]"));
    assert_true(world_has(&w, "\"expiresIn\":120"));
    post_as("\"owner\"", "/admin/member-token",
            "{\"userId\":\"bob\",\"roles\":[\"bot\",\"guest\"],\"projectId\":\"demo\"}");
    assert_true(world_has(&w, "\"roles\":[\"guest\",\"bot\"]"));
    for (const char *const *role = (const char *const[]){"owner", "admin", "mod", NULL}; *role;
         role++) {
        char body[64];

        snprintf(body, sizeof(body), "{\"userId\":\"bob\",\"roles\":[\"%s\"]}", *role);
        post_as("\"admin\"", "/admin/member-token", body);
        CHECK_EQ(world_status(&w), 403, *role);
    }
    post_as("\"member\"", "/admin/member-token", "{\"userId\":\"bob\"}");
    assert_int_equal(world_status(&w), 403);
    post_as("\"moderator\"", "/admin/member-token", "{\"userId\":\"bob\"}");
    assert_int_equal(world_status(&w), 403);
    post_as("\"admin\"", "/admin/member-token", "{\"userId\":\"bob\",\"projectId\":\"other\"}");
    assert_int_equal(world_status(&w), 403);
    post_as("\"admin\"", "/admin/member-token", "{\"userId\":\"b b\"}");
    assert_int_equal(world_status(&w), 400);
    world_request(&w, "POST", "/admin/member-token", "", "{\"userId\":\"bob\"}");
    assert_int_equal(world_status(&w), 401);
}

static void the_operator_names_the_project_to_make_admins(void **state)
{
    (void)state;
    world_open(&w, NULL); /* the operator's project is demo */
    post_as("\"admin\"", "/admin/member-token", "{\"userId\":\"b\",\"roles\":[\"admin\"]}");
    assert_int_equal(world_status(&w), 403);
    post_as("\"admin\"", "/admin/member-token",
            "{\"userId\":\"b\",\"roles\":[\"admin\"],\"projectId\":\"demo\"}");
    assert_int_equal(world_status(&w), 200);
    post_as("\"admin\"", "/admin/member-token",
            "{\"userId\":\"b\",\"roles\":[\"admin\"],\"projectId\":\"other\"}");
    (void)world_answer(&w, CALL_PROJECT_CONFIG, "project/other", 404,
                       "{\"error\":\"not_found\"}");
    assert_int_equal(world_status(&w), 401);
}

/* ---- channels ---- */

static void expect_mac(const char *text)
{
    unsigned char key[32], mac[32];
    char auth[96], hex[65];
    unsigned len = sizeof(key);

    HMAC(EVP_sha256(), WORLD_SECRET, sizeof(WORLD_SECRET) - 1,
         (const unsigned char *)"fluxychat channel auth", 22, key, &len);
    HMAC(EVP_sha256(), key, sizeof(key), (const unsigned char *)text, strlen(text), mac, &len);
    hex_encode(mac, sizeof(mac), hex);
    snprintf(auth, sizeof(auth), "\"auth\":\"demo:%s\"", hex);
    CHECK(world_has(&w, auth), text);
}

static void a_channel_is_signed_for_who_may_read_its_room(void **state)
{
    (void)state;
    world_open(&w, NULL);
    post_as("\"member\"", "/auth/channel",
            "{\"socket_id\":\"12.34\",\"channel_name\":\"presence-r\","
            "\"channel_data\":\"{\\\"user_id\\\":1}\"}");
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r", 200, "{\"room\":{}}");
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "{\"ok\":true,\"auth\":\"demo:"));
    assert_true(world_has(&w, "\"channelName\":\"presence-r\",\"roomId\":\"r\",\"socketId\":"
                              "\"12.34\""));
    expect_mac("12.34:presence-r:{\"user_id\":1}");
    post_as("\"member\"", "/auth/channel", "{\"socketId\":\"s-1\",\"roomId\":\"r\"}");
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r", 200, "{\"room\":{}}");
    expect_mac("s-1:r");
    post_as("\"member\"", "/auth/channel", "{\"socketId\":\"s-1\",\"roomId\":\"r\"}");
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r", 403, "{\"error\":\"forbidden\"}");
    assert_int_equal(world_status(&w), 403);
    assert_false(world_has(&w, "\"auth\""));
}

static void bad_channels_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{}",
        "{\"roomId\":\"r\"}",
        "{\"socketId\":\"a:b\",\"roomId\":\"r\"}",
        "{\"socketId\":\"a\"}",
        "{\"socketId\":\"a\",\"roomId\":\"r\",\"channel_name\":\"private-q\"}",
        "{\"socketId\":\"a\",\"channel_name\":\"private-\"}",
        "{\"socketId\":\"a\",\"channel_name\":\"a b\"}",
        "{\"socketId\":\"a\",\"roomId\":\"r\",\"channel_data\":{}}",
        "{\"socketId\":7,\"roomId\":\"r\"}",
    };

    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        post_as("\"member\"", "/auth/channel", bodies[i]);
        if (i == 5) { /* a room may be called so */
            CHECK_EQ(fake_shard_count(w.shard), 1, bodies[i]);
            fake_shard_clear(w.shard);
            continue;
        }
        CHECK_EQ(world_status(&w), 400, bodies[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(signin_says_where_the_user_channel_is, teardown),
        cmocka_unit_test_teardown(one_anonymous_id_is_one_user, teardown),
        cmocka_unit_test(an_anonymous_user_belongs_to_one_project),
        cmocka_unit_test_teardown(anonymous_errors_carry_the_word_twice, teardown),
        cmocka_unit_test_teardown(anonymous_tokens_can_be_switched_off, teardown),
        cmocka_unit_test_teardown(scopes_narrow_what_a_key_hands_out, teardown),
        cmocka_unit_test_teardown(the_operators_key_hands_out_any_role, teardown),
        cmocka_unit_test_teardown(admins_mint_for_members_of_their_project, teardown),
        cmocka_unit_test_teardown(the_operator_names_the_project_to_make_admins, teardown),
        cmocka_unit_test_teardown(a_channel_is_signed_for_who_may_read_its_room, teardown),
        cmocka_unit_test_teardown(bad_channels_are_refused, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
