/* test_api.c - the REST endpoints: who gets in, what reaches the shard, what comes back. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "tests/unit/gateway/edge/world.h"

static struct world w;

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* As ada, a member; the project is asked for when it is not known yet. */
static void as_ada(const char *method, const char *target, const char *body)
{
    char fields[2200];

    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "ada", "\"member\"", ""));
    world_request(&w, method, target, fields, body);
    if (fake_shard_count(w.shard) && w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

/* ---- what reaches the shard ---- */

static const struct {
    const char *method, *target, *body;
    enum call_op op;
    const char *object, *params;
} passed[] = {
    {"GET", "/rooms", NULL, CALL_ROOMS_LIST, "", "{}"},
    {"GET", "/rooms?type=dm", NULL, CALL_ROOMS_LIST, "", "{\"type\":\"dm\"}"},
    {"POST", "/rooms", "{\"id\":\"r1\",\"name\":\"R\",\"type\":\"group\"}", CALL_ROOM_CREATE,
     "room/demo/r1", "{\"id\":\"r1\",\"name\":\"R\",\"type\":\"group\"}"},
    {"GET", "/rooms/r1", NULL, CALL_ROOM_GET, "room/demo/r1", "{}"},
    {"GET", "/rooms/%72%31", NULL, CALL_ROOM_GET, "room/demo/r1", "{}"},
    {"HEAD", "/rooms/r1", NULL, CALL_ROOM_GET, "room/demo/r1", "{}"},
    {"GET", "/rooms/r1/members", NULL, CALL_MEMBERS_LIST, "room/demo/r1", "{}"},
    {"POST", "/rooms/r1/members", "{\"userId\":\"bob\"}", CALL_MEMBER_ADD, "room/demo/r1",
     "{\"userId\":\"bob\"}"},
    {"DELETE", "/rooms/r1/members/bob", NULL, CALL_MEMBER_REMOVE, "room/demo/r1",
     "{\"userId\":\"bob\"}"},
    {"POST", "/messages", "{\"roomId\":\"r1\",\"content\":\"hi\"}", CALL_MESSAGE_POST,
     "room/demo/r1", "{\"roomId\":\"r1\",\"content\":\"hi\"}"},
    {"GET", "/api/messages?roomId=r1", NULL, CALL_HISTORY, "room/demo/r1", "{}"},
    {"GET", "/api/messages?roomId=r1&limit=500&beforeSeq=7&order=asc", NULL, CALL_HISTORY,
     "room/demo/r1", "{\"limit\":500,\"beforeSeq\":7,\"order\":\"asc\"}"},
    {"GET", "/api/messages?roomId=r1&before=2026-01-31T12:00:00.123Z", NULL, CALL_HISTORY,
     "room/demo/r1", "{\"before\":\"2026-01-31T12:00:00.123Z\"}"},
    {"GET", "/api/messages?roomId=r1&before=2026-01-31T12:00:00.123%2B00:00&limit=1", NULL,
     CALL_HISTORY, "room/demo/r1",
     "{\"limit\":1,\"before\":\"2026-01-31T12:00:00.123+00:00\"}"},
};

static void requests_reach_the_owner_of_the_room(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
        const char *params;

        as_ada(passed[i].method, passed[i].target, passed[i].body);
        params = world_answer(&w, passed[i].op, passed[i].object, 200, "{\"answer\":42}");
        CHECK(strcmp(params, passed[i].params) == 0, passed[i].target);
        CHECK_EQ(world_status(&w), 200, passed[i].target);
        CHECK(world_has(&w, "{\"answer\":42}") == (passed[i].method[0] != 'H'),
              passed[i].target);
        CHECK(world_has(&w, "Content-Type: application/json\r\n"), passed[i].target);
        CHECK(world_has(&w, "Cache-Control: no-store\r\n"), passed[i].target);
    }
}

static void the_caller_is_named_to_the_shard(void **state)
{
    const struct msg *call;
    char fields[2200];

    (void)state;
    world_open(&w, NULL);
    snprintf(fields, sizeof(fields), "authorization: bearer %s\r\nX-Trace-Id: trace-7\r\n",
             world_token(&w, "ada", "\"owner\",\"mod\"", ""));
    world_request(&w, "GET", "/rooms/r1", fields, NULL);
    world_answer_project(&w);
    call = fake_shard_expect(w.shard, MSG_CALL);
    CHECK_SLICE(call->CALL.user, "ada", "user");
    CHECK_SLICE(call->CALL.project, "demo", "project");
    CHECK_SLICE(call->CALL.roles, "owner,moderator", "roles");
    CHECK_SLICE(call->CALL.trace, "trace-7", "trace");
}

/* ---- what is refused here ---- */

static const struct {
    const char *method, *target, *body;
    unsigned status;
    const char *text;
} refused[] = {
    {"GET", "/nothing", NULL, 404, "not_found"},
    {"GET", "/rooms/", NULL, 404, "not_found"},
    {"PUT", "/rooms", NULL, 405, "Allow: GET, HEAD, POST, OPTIONS\r\n"},
    {"GET", "/messages", NULL, 405, "Allow: POST, OPTIONS\r\n"},
    {"GET", "/rooms/a%20b", NULL, 400, "invalid_id"},
    {"GET", "/rooms/a%2Fb", NULL, 400, "invalid_id"},
    {"GET", "/rooms/%zz", NULL, 400, "invalid_id"},
    {"DELETE", "/rooms/r/members/a.b", NULL, 400, "invalid_id"},
    {"POST", "/messages", "hello", 400, "invalid_json"},
    {"POST", "/messages", "[]", 400, "invalid_json"},
    {"POST", "/messages", "", 400, "invalid_json"},
    {"POST", "/messages", "{\"a\":1,\"a\":2}", 400, "invalid_json"},
    {"POST", "/messages", "{\"content\":\"hi\"}", 400, "invalid_id"},
    {"POST", "/messages", "{\"roomId\":7}", 400, "invalid_id"},
    {"GET", "/api/messages", NULL, 400, "invalid_id"},
    {"GET", "/api/messages?roomId=r&limit=0", NULL, 400, "invalid_limit"},
    {"GET", "/api/messages?roomId=r&limit=501", NULL, 400, "invalid_limit"},
    {"GET", "/api/messages?roomId=r&limit=-1", NULL, 400, "invalid_limit"},
    {"GET", "/api/messages?roomId=r&limit=1&limit=2", NULL, 400, "invalid_limit"},
    {"GET", "/api/messages?roomId=r&beforeSeq=x", NULL, 400, "invalid_cursor"},
    {"GET", "/api/messages?roomId=r&beforeSeq=9999999999999999", NULL, 400, "invalid_cursor"},
    {"GET", "/api/messages?roomId=r&before=yesterday", NULL, 400, "invalid_cursor"},
    {"GET", "/api/messages?roomId=r&beforeSeq=1&afterSeq=2", NULL, 400, "invalid_cursor"},
    {"GET", "/api/messages?roomId=r&order=up", NULL, 400, "bad_request"},
    {"GET", "/api/messages?roomId=r&roomId=q", NULL, 400, "invalid_id"},
};

static void nonsense_is_refused_before_it_travels(void **state)
{
    (void)state;
    world_open(&w, NULL);
    as_ada("GET", "/rooms/r1", NULL);
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r1", 200, "{}");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        as_ada(refused[i].method, refused[i].target, refused[i].body);
        CHECK_EQ(world_status(&w), refused[i].status, refused[i].target);
        CHECK(world_has(&w, refused[i].text), refused[i].target);
        CHECK(world_has(&w, "\"traceId\":\""), refused[i].target);
        CHECK_EQ(fake_shard_count(w.shard), 0, refused[i].target);
    }
}

static void callers_without_a_good_token_do_not_get_in(void **state)
{
    char fields[2200];

    (void)state;
    world_open(&w, NULL);
    world_request(&w, "GET", "/rooms", "", NULL);
    assert_int_equal(world_status(&w), 401);
    assert_true(world_has(&w, "\"error\":\"unauthorized\""));
    assert_true(world_has(&w, "WWW-Authenticate: Bearer\r\n"));
    world_request(&w, "GET", "/rooms", "Authorization: Basic abc\r\n", NULL);
    assert_true(world_has(&w, "\"error\":\"unauthorized\""));
    world_request(&w, "GET", "/rooms?token=x.y.z", "", NULL);
    assert_true(world_has(&w, "\"error\":\"invalid_token\""));
    assert_int_equal(fake_shard_count(w.shard), 0);

    snprintf(fields, sizeof(fields), "Authorization: Bearer %sx\r\n",
             world_token(&w, "ada", "", ""));
    world_request(&w, "GET", "/rooms", fields, NULL);
    world_answer_project(&w);
    assert_int_equal(world_status(&w), 401);
    assert_true(world_has(&w, "\"error\":\"invalid_token\""));

    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "ada", "", ",\"exp\":1"));
    world_request(&w, "GET", "/rooms", fields, NULL);
    assert_true(world_has(&w, "\"error\":\"invalid_token\"")); /* exp twice */
}

static void an_unknown_project_is_an_invalid_token(void **state)
{
    (void)state;
    world_open(&w, NULL);
    as_ada("GET", "/rooms", NULL);
    world_close(&w);

    world_open(&w, NULL);
    char fields[2200];
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "ada", "", ""));
    world_request(&w, "GET", "/rooms", fields, NULL);
    (void)world_answer(&w, CALL_PROJECT_CONFIG, "project/demo", 404,
                       "{\"error\":\"not_found\"}");
    assert_int_equal(world_status(&w), 401);
    assert_true(world_has(&w, "\"error\":\"invalid_token\""));
}

static void a_cluster_that_does_not_answer_is_unavailable(void **state)
{
    char fields[2200];

    (void)state;
    world_open(&w, NULL);
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "ada", "", ""));
    world_request(&w, "GET", "/rooms", fields, NULL);
    (void)world_answer(&w, CALL_PROJECT_CONFIG, "project/demo", 503,
                       "{\"error\":\"unavailable\"}");
    assert_int_equal(world_status(&w), 503);
    assert_true(world_has(&w, "Retry-After: 1\r\n"));
    world_request(&w, "GET", "/rooms", fields, NULL); /* a failure is not remembered */
    world_answer_project(&w);
    (void)world_answer(&w, CALL_ROOMS_LIST, "", 200, "{\"rooms\":[]}");
    assert_int_equal(world_status(&w), 200);
    world_request(&w, "GET", "/rooms", fields, NULL);
    fake_env_advance(&w.c.env, CALL_DEADLINE_MS + 1000);
    assert_int_equal(world_status(&w), 503);
    assert_true(world_has(&w, "\"error\":\"outcome_unknown\"") ||
                world_has(&w, "\"error\":\"unavailable\""));
}

static void errors_of_the_shard_get_the_trace(void **state)
{
    (void)state;
    world_open(&w, NULL);
    as_ada("POST", "/messages", "{\"roomId\":\"r\"}");
    (void)world_answer(&w, CALL_MESSAGE_POST, "room/demo/r", 403,
                       "{\"error\":\"not_member\",\"status\":403}");
    assert_int_equal(world_status(&w), 403);
    assert_true(world_has(&w, "\"error\":\"not_member\",\"status\":403,\"traceId\":\""));
}

static void a_token_for_one_room_is_good_for_that_room_only(void **state)
{
    static const struct {
        const char *method, *target, *body;
    } others[] = {
        {"GET", "/rooms/other", NULL},
        {"GET", "/rooms/other/members", NULL},
        {"POST", "/rooms", "{\"id\":\"other\",\"name\":\"x\"}"},
        {"POST", "/messages", "{\"roomId\":\"other\",\"content\":\"x\"}"},
        {"GET", "/api/messages?roomId=other", NULL},
    };
    const struct msg *call;
    char fields[2200];

    (void)state;
    world_open(&w, NULL);
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, "ada", "\"guest\"", ",\"roomId\":\"mine\""));
    world_request(&w, "GET", "/rooms/mine", fields, NULL);
    world_answer_project(&w);
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/mine", 200, "{}");
    assert_int_equal(world_status(&w), 200);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        world_request(&w, others[i].method, others[i].target, fields, others[i].body);
        CHECK_EQ(world_status(&w), 403, others[i].target);
        CHECK_EQ(fake_shard_count(w.shard), 0, others[i].target);
    }
    world_request(&w, "GET", "/rooms", fields, NULL);
    call = fake_shard_expect(w.shard, MSG_CALL);
    assert_int_equal(call->CALL.op, CALL_ROOMS_LIST);
    CHECK_SLICE(call->CALL.params, "{\"roomId\":\"mine\"}", "asks for that room alone");
}

static void a_room_without_a_valid_id_gets_one(void **state)
{
    const struct msg *call;

    (void)state;
    world_open(&w, NULL);
    as_ada("POST", "/rooms", "{\"id\":\"not valid\",\"name\":\"R\"}");
    call = fake_shard_expect(w.shard, MSG_CALL);
    assert_int_equal(call->CALL.op, CALL_ROOM_CREATE);
    assert_int_equal(call->CALL.object.len, strlen("room/demo/") + 36);
    assert_non_null(
        memmem(call->CALL.params.data, call->CALL.params.len, call->CALL.object.data + 10, 36));
}

static void problem_json_is_sent_to_who_accepts_it(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_request(&w, "GET", "/rooms", "Accept: text/html, application/problem+json;q=0.9\r\n",
                  NULL);
    assert_true(world_has(&w, "Content-Type: application/problem+json\r\n"));
    world_request(&w, "GET", "/rooms", "Accept: */*\r\n", NULL);
    assert_true(world_has(&w, "Content-Type: application/json\r\n"));
}

static void media_types_are_checked(void **state)
{
    static const struct {
        const char *type;
        unsigned status;
    } types[] = {{"application/json", 0},
                 {"application/json; charset=utf-8", 0},
                 {"text/plain", 0},
                 {"text/xml", 415}};
    char fields[2300];

    (void)state;
    world_open(&w, NULL);
    as_ada("GET", "/rooms/r", NULL);
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r", 200, "{}");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\nContent-Type: %s\r\n",
                 world_token(&w, "ada", "", ""), types[i].type);
        world_request(&w, "POST", "/messages", fields, "{\"roomId\":\"r\"}");
        CHECK_EQ(world_status(&w), types[i].status, types[i].type);
        fake_shard_clear(w.shard);
    }
}

/* ---- CORS ---- */

static void origins_are_answered(void **state)
{
    static const struct api_config some = {
        .demo_project = {"", 0},
        .operator_project = {"", 0},
        .operator_key = {"", 0},
        .allowed_origins = {"https://a.example, https://b.example", 36},
        .rate_limit_scale = 1,
    };

    (void)state;
    world_open(&w, &some);
    world_request(&w, "GET", "/health", "Origin: https://b.example\r\n", NULL);
    assert_true(world_has(&w, "Access-Control-Allow-Origin: https://b.example\r\n"));
    assert_true(world_has(&w, "Vary: Origin\r\n"));
    world_request(&w, "GET", "/health", "Origin: https://c.example\r\n", NULL);
    assert_false(world_has(&w, "Access-Control-Allow-Origin"));
    world_request(&w, "OPTIONS", "/messages", "Origin: https://a.example\r\n", NULL);
    assert_int_equal(world_status(&w), 204);
    assert_true(world_has(&w, "Access-Control-Allow-Methods: POST, OPTIONS\r\n"));
    assert_true(world_has(&w, "Access-Control-Allow-Headers: Content-Type, Authorization, "));
    assert_false(world_has(&w, "Content-Length"));
    world_request(&w, "OPTIONS", "*", "", NULL);
    assert_int_equal(world_status(&w), 204);
    world_request(&w, "GET", "/demo", "", NULL);
    assert_int_equal(world_status(&w), 404);
    world_request(&w, "POST", "/demo/session", "", "{\"userId\":\"ada\"}");
    assert_int_equal(world_status(&w), 404);
    world_request(&w, "GET", "/", "", NULL);
    assert_true(world_has(&w, "\"service\":\"fluxychat\""));
}

/* ---- tokens ---- */

static void mint(const char *fields, const char *body)
{
    world_request(&w, "POST", "/auth/token", fields, body);
}

static void minted_tokens_are_good(void **state)
{
    char fields[2300];
    const char *quote, *token;
    size_t len;

    (void)state;
    world_open(&w, NULL);
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n",
         "{\"userId\":\"ada\",\"roles\":[\"mod\",\"king\"],\"ttlSeconds\":5}");
    (void)world_answer(&w, CALL_KEY_LOOKUP, "", 200,
                       "{\"project\":\"demo\",\"keyId\":\"k\",\"scopes\":[]}");
    world_answer_project(&w);
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "\"expiresIn\":60,\"claims\":{\"sub\":\"ada\",\"tid\":\"demo\","
                              "\"roles\":[\"moderator\"]}}"));
    assert_true(world_has(
        &w, "RateLimit-Policy: \"token\";q=30;w=60\r\nRateLimit: \"token\";r=29\r\n"));
    token = memmem(w.client.in.data, w.client.in.len, "\"token\":\"", 9);
    assert_non_null(token);
    token += 9;
    quote = memchr(token, '"', (size_t)(w.client.in.data + w.client.in.len - token));
    assert_non_null(quote);
    len = (size_t)(quote - token);
    snprintf(fields, sizeof(fields), "Authorization: Bearer %.*s\r\n", (int)len, token);
    world_request(&w, "GET", "/rooms/r", fields, NULL);
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r", 200, "{}");
    assert_int_equal(world_status(&w), 200);

    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n",
         "{\"userId\":\"ada\",\"ttlSeconds\":1000000}"); /* all known by now */
    assert_true(world_has(&w, "\"expiresIn\":86400,"));
    assert_true(world_has(&w, "\"roles\":[\"member\"]"));
    world_request(&w, "POST", "/auth/token?apiKey=" WORLD_KEY, "", "{\"userId\":\"ada\"}");
    assert_true(world_has(&w, "\"expiresIn\":3600,"));
}

static void bad_mint_requests_are_refused(void **state)
{
    (void)state;
    world_open(&w, NULL);
    mint("", "{\"userId\":\"ada\"}");
    assert_int_equal(world_status(&w), 401);
    mint("X-Fluxy-Api-Key: fc_short\r\n", "{\"userId\":\"ada\"}");
    assert_int_equal(world_status(&w), 401);
    assert_true(world_has(&w, "\"error\":\"invalid_api_key\""));
    assert_int_equal(fake_shard_count(w.shard), 0);
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"ada\"}");
    (void)world_answer(&w, CALL_KEY_LOOKUP, "", 401, "{\"error\":\"invalid_api_key\"}");
    assert_int_equal(world_status(&w), 401);
    fake_env_advance(&w.c.env, LOOKUP_MISSING_MS + 1);
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"a b\"}");
    (void)world_answer(&w, CALL_KEY_LOOKUP, "", 200,
                       "{\"project\":\"demo\",\"keyId\":\"k\",\"scopes\":[]}");
    world_answer_project(&w);
    assert_int_equal(world_status(&w), 400);
    assert_true(world_has(&w, "\"error\":\"invalid_id\""));
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"ada\",\"roles\":\"owner\"}");
    assert_int_equal(world_status(&w), 400);
}

static void minting_is_limited_by_address_and_key(void **state)
{
    static const char request[] =
        "POST /auth/token HTTP/1.1\r\nHost: a\r\nX-Fluxy-Api-Key: " WORLD_KEY
        "\r\nContent-Length: 16\r\n\r\n{\"userId\":\"ada\"}";

    (void)state;
    world_open(&w, NULL);
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"ada\"}");
    (void)world_answer(&w, CALL_KEY_LOOKUP, "", 200,
                       "{\"project\":\"demo\",\"keyId\":\"k\",\"scopes\":[]}");
    world_answer_project(&w);
    for (int i = 1; i < TOKENS_PER_MINUTE; i++) {
        mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"ada\"}");
        assert_int_equal(world_status(&w), 200);
    }
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"ada\"}");
    assert_int_equal(world_status(&w), 429);
    assert_true(world_has(&w, "\"error\":\"rate_limit_exceeded\""));
    assert_true(world_has(&w, "Retry-After: 2\r\n"));
    world_connect(&w, "192.0.2.2", false); /* somebody else */
    world_send(&w, request);
    assert_int_equal(world_status(&w), 200);
    fake_env_advance(&w.c.env, 2000);
    world_connect(&w, "192.0.2.1", false);
    world_send(&w, request);
    assert_int_equal(world_status(&w), 200);
}

static void guessing_keys_is_limited_by_address(void **state)
{
    char fields[128];

    (void)state;
    world_open(&w, NULL);
    for (int i = 0; i < TOKENS_PER_MINUTE; i++) {
        snprintf(fields, sizeof(fields), "X-Fluxy-Api-Key: fc_%032x\r\n", i);
        mint(fields, "{\"userId\":\"ada\"}");
        (void)world_answer(&w, CALL_KEY_LOOKUP, "", 401, "{\"error\":\"invalid_api_key\"}");
        assert_int_equal(world_status(&w), 401);
    }
    mint("X-Fluxy-Api-Key: " WORLD_KEY "\r\n", "{\"userId\":\"ada\"}");
    assert_int_equal(world_status(&w), 429);
    assert_int_equal(fake_shard_count(w.shard), 0);
}

static void behind_a_trusted_proxy_the_client_counts(void **state)
{
    char request[512];

    (void)state;
    world_open(&w, NULL);
    for (int i = 0; i < 2 * TOKENS_PER_MINUTE; i++) {
        int len = snprintf(request, sizeof(request),
                           "POST /demo/session HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: "
                           "203.0.113.%d, 10.1.1.1\r\n"
                           "Content-Length: 16\r\n\r\n{\"userId\":\"ada\"}",
                           i);

        assert_true(len > 0);
        world_connect(&w, "10.0.0.1", true);
        world_send(&w, request);
        if (i == 0)
            world_answer_project(&w);
        assert_int_equal(world_status(&w), 200);
    }
    world_connect(&w, "192.0.2.1", false); /* not trusted: the header is only noise */
    for (int i = 0; i <= TOKENS_PER_MINUTE; i++)
        world_send(&w, request);
    assert_int_equal(world_status(&w), 429);
}

static void the_operator_mints_for_any_project(void **state)
{
    (void)state;
    world_open(&w, NULL);
    mint("Authorization: Bearer " WORLD_OPERATOR_KEY "\r\n",
         "{\"userId\":\"root\",\"roles\":[\"owner\"]}");
    world_answer_project(&w);
    assert_true(world_has(&w, "\"tid\":\"demo\",\"roles\":[\"owner\"]"));
    mint("Authorization: Bearer " WORLD_OPERATOR_KEY "\r\nX-Project-Id: other\r\n",
         "{\"userId\":\"root\"}");
    (void)world_answer(&w, CALL_PROJECT_CONFIG, "project/other", 404,
                       "{\"error\":\"not_found\"}");
    assert_int_equal(world_status(&w), 401);
    mint("Authorization: Bearer " WORLD_OPERATOR_KEY "\r\nX-Project-Id: a b\r\n",
         "{\"userId\":\"root\"}");
    assert_int_equal(world_status(&w), 400);
    mint("Authorization: Bearer op_0123456789abcdee\r\n", "{\"userId\":\"root\"}");
    assert_int_equal(world_status(&w), 401);
}

static void the_demo_lets_members_in(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_request(&w, "POST", "/demo/session", "",
                  "{\"userId\":\"ada\",\"roles\":[\"owner\"]}");
    world_answer_project(&w);
    assert_true(world_has(&w, "\"roles\":[\"member\"]"));
    world_request(&w, "GET", "/demo", "", NULL);
    assert_true(world_has(&w, "Content-Type: text/html"));
    assert_true(world_has(&w, "<!doctype html>"));
    world_request(&w, "GET", "/demo/demo.js", "", NULL);
    assert_true(world_has(&w, "Content-Type: text/javascript"));
    world_request(&w, "GET", "/demo/demo.css", "", NULL);
    assert_true(world_has(&w, "Content-Type: text/css"));
    world_request(&w, "GET", "/", "", NULL);
    assert_true(world_has(&w, "Location: /demo\r\n"));
}

static void health_is_what_readiness_says(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_request(&w, "GET", "/health", "", NULL);
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "{\"ok\":true,\"ts\":"));
    assert_true(world_has(&w, "\"shards\":1"));
    w.ready = false;
    world_request(&w, "HEAD", "/health", "", NULL);
    assert_int_equal(world_status(&w), 503);
    assert_false(world_has(&w, "\"ok\""));
}

static void refusals_of_the_parser_are_json(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_connect(&w, "192.0.2.1", false);
    world_send(&w, "GET / HTTP/1.1\r\nX: y\r\n\r\n");
    assert_int_equal(world_status(&w), 400);
    assert_true(world_has(&w, "\"error\":\"bad_request\""));
    assert_true(world_has(&w, "\"detail\":\"Host is missing\""));
    assert_true(world_has(&w, "Connection: close\r\n"));
    world_connect(&w, "192.0.2.1", false);
    world_send(&w, "GET / HTTP/3.0\r\n\r\n");
    assert_true(world_has(&w, "\"error\":\"http_version_not_supported\""));
}

static void a_shutdown_with_requests_under_way_is_clean(void **state)
{
    (void)state;
    world_open(&w, NULL);
    as_ada("GET", "/rooms", NULL); /* the call is under way */
    world_request(&w, "GET", "/rooms", "Authorization: Bearer x\r\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(requests_reach_the_owner_of_the_room, teardown),
        cmocka_unit_test_teardown(the_caller_is_named_to_the_shard, teardown),
        cmocka_unit_test_teardown(nonsense_is_refused_before_it_travels, teardown),
        cmocka_unit_test_teardown(callers_without_a_good_token_do_not_get_in, teardown),
        cmocka_unit_test_teardown(an_unknown_project_is_an_invalid_token, teardown),
        cmocka_unit_test_teardown(a_cluster_that_does_not_answer_is_unavailable, teardown),
        cmocka_unit_test_teardown(errors_of_the_shard_get_the_trace, teardown),
        cmocka_unit_test_teardown(a_token_for_one_room_is_good_for_that_room_only, teardown),
        cmocka_unit_test_teardown(a_room_without_a_valid_id_gets_one, teardown),
        cmocka_unit_test_teardown(problem_json_is_sent_to_who_accepts_it, teardown),
        cmocka_unit_test_teardown(media_types_are_checked, teardown),
        cmocka_unit_test_teardown(origins_are_answered, teardown),
        cmocka_unit_test_teardown(minted_tokens_are_good, teardown),
        cmocka_unit_test_teardown(bad_mint_requests_are_refused, teardown),
        cmocka_unit_test_teardown(minting_is_limited_by_address_and_key, teardown),
        cmocka_unit_test_teardown(guessing_keys_is_limited_by_address, teardown),
        cmocka_unit_test_teardown(behind_a_trusted_proxy_the_client_counts, teardown),
        cmocka_unit_test_teardown(the_operator_mints_for_any_project, teardown),
        cmocka_unit_test_teardown(the_demo_lets_members_in, teardown),
        cmocka_unit_test_teardown(health_is_what_readiness_says, teardown),
        cmocka_unit_test_teardown(refusals_of_the_parser_are_json, teardown),
        cmocka_unit_test_teardown(a_shutdown_with_requests_under_way_is_clean, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
