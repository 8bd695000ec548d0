/* test_events.c - POST /events to many rooms, and calls about the sockets of a user: what
 * reaches the shards, and how their answers are put together. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "tests/unit/gateway/edge/world.h"

static struct world w;

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

static void as(const char *user, const char *roles, const char *extra, const char *method,
               const char *target, const char *body)
{
    char fields[2200];

    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n",
             world_token(&w, user, roles, extra));
    world_request(&w, method, target, fields, body);
    if (fake_shard_count(w.shard) && w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

static void post_events(const char *body)
{
    as("ada", "\"member\"", "", "POST", "/events", body);
}

static void begin(void)
{
    world_open(&w, NULL);
    as("ada", "\"member\"", "", "GET", "/rooms/r1", NULL);
    (void)world_answer(&w, CALL_ROOM_GET, "room/demo/r1", 200, "{}");
}

static void an_event_goes_to_every_room_and_the_answers_are_merged(void **state)
{
    const char *params;

    (void)state;
    begin();
    post_events("{\"roomIds\":[\"a\",\"b\",\"a\",\"c\"],\"name\":\"n\",\"data\":{\"x\":1},"
                "\"excludeSocketId\":\"s\",\"userId\":\"eve\"}");
    CHECK_EQ(fake_shard_count(w.shard), 3, "each room once");
    params = world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/a", 200, "{\"ok\":true}");
    assert_string_equal(params,
                        "{\"name\":\"n\",\"data\":{\"x\":1},\"excludeSocketId\":\"s\"}");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/b", 403,
                       "{\"error\":\"forbidden\",\"status\":403}");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/c", 200, "{\"ok\":true}");
    CHECK_EQ(world_status(&w), 200, "some were reached");
    assert_true(world_has(&w,
                          "{\"ok\":true,\"triggered\":[\"a\",\"c\"],\"failed\":[{\"roomId\":"
                          "\"b\",\"error\":\"forbidden\"}]}"));
}

static void only_when_all_fail_it_is_an_error(void **state)
{
    (void)state;
    begin();
    post_events("{\"roomIds\":[\"a\",\"b\"],\"event\":{\"type\":\"agentRun\"}}");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/a", 403, "{\"error\":\"forbidden\"}");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/b", 503,
                       "{\"error\":\"unavailable\"}");
    CHECK_EQ(world_status(&w), 403, "the first");
    assert_true(world_has(&w, "\"error\":\"forbidden\""));
    post_events("{\"roomIds\":[\"a\"],\"name\":\"n\"}");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/a", 500, "nonsense");
    CHECK_EQ(world_status(&w), 503, "an answer without a word");
}

static void so_many_calls_are_under_way_at_a_time(void **state)
{
    AUTO_BUF body = BUF_INIT;

    (void)state;
    begin();
    buf_put_str(&body, "{\"name\":\"n\",\"roomIds\":[");
    for (int i = 0; i < EVENT_ROOMS_MAX; i++)
        buf_printf(&body, "%s\"r%d\"", i ? "," : "", i);
    buf_put_str(&body, "]}");
    buf_put_char(&body, '\0');
    post_events(body.data);
    for (int i = 0; i < EVENT_ROOMS_MAX; i++) {
        char object[32];

        CHECK_EQ(fake_shard_count(w.shard), MIN(EVENT_CALLS_AT_ONCE, EVENT_ROOMS_MAX - i),
                 "under way");
        snprintf(object, sizeof(object), "room/demo/r%d", i);
        (void)world_answer(&w, CALL_EVENT_TRIGGER, object, 200, "{\"ok\":true}");
    }
    CHECK_EQ(world_status(&w), 200, "all");
    assert_true(world_has(&w, "\"r98\",\"r99\"]}"));
}

static void rooms_that_do_not_answer_fail_together(void **state)
{
    AUTO_BUF body = BUF_INIT;

    (void)state;
    begin();
    buf_put_str(&body, "{\"name\":\"n\",\"roomIds\":[\"first\"");
    for (int i = 0; i < 2 * EVENT_CALLS_AT_ONCE; i++)
        buf_printf(&body, ",\"r%d\"", i);
    buf_put_str(&body, "]}");
    buf_put_char(&body, '\0');
    post_events(body.data);
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/first", 200, "{\"ok\":true}");
    fake_env_advance(&w.c.env, CALL_DEADLINE_MS);
    CHECK_EQ(world_status(&w), 200, "after one deadline, not one after the other");
    assert_true(world_has(&w,
                          "\"triggered\":[\"first\"],\"failed\":[{\"roomId\":\"r0\",\"error\":"
                          "\"outcome_unknown\"}"));
    assert_true(world_has(&w, "{\"roomId\":\"r31\",\"error\":\"unavailable\"}"));
}

static void a_broken_link_leaves_the_outcome_unknown(void **state)
{
    (void)state;
    begin();
    post_events("{\"roomIds\":[\"a\"],\"name\":\"n\"}");
    (void)fake_shard_expect(w.shard, MSG_CALL);
    fake_shard_break(w.shard);
    fake_env_advance(&w.c.env, 300);
    CHECK_EQ(world_status(&w), 503, "at once");
    assert_true(world_has(&w, "outcome_unknown"));
    fake_shard_expect_nothing(w.shard); /* not sent again */
}

static void a_pinned_token_reaches_its_room_only(void **state)
{
    static const char pinned[] = ",\"roomId\":\"a\"";

    (void)state;
    begin();
    as("ada", "\"guest\"", pinned, "POST", "/events",
       "{\"roomIds\":[\"b\",\"a\"],\"name\":\"n\"}");
    CHECK_EQ(fake_shard_count(w.shard), 1, "one room");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/a", 200, "{\"ok\":true}");
    assert_true(world_has(&w, "\"triggered\":[\"a\"],\"failed\":[{\"roomId\":\"b\",\"error\":"
                              "\"forbidden\"}]"));
    as("ada", "\"guest\"", pinned, "POST", "/users/ada/events", "{\"name\":\"n\"}");
    CHECK_EQ(world_status(&w), 403, "not the user");
    as("ada", "\"guest\"", pinned, "DELETE", "/users/ada/connections", NULL);
    CHECK_EQ(world_status(&w), 403, "not the user");
    fake_shard_expect_nothing(w.shard);
}

static const struct {
    const char *method, *target, *body;
    enum call_op op;
    const char *object, *params;
} passed[] = {
    {"POST", "/users/bob/events", "{\"name\":\"n\"}", CALL_USER_EVENT, "user/demo/bob",
     "{\"name\":\"n\"}"},
    {"DELETE", "/users/bob/connections", NULL, CALL_CONNECTIONS_CLOSE, "",
     "{\"userId\":\"bob\"}"},
    {"POST", "/rooms/r/terminate-connection", "{\"socketId\":\"s\"}", CALL_CONNECTION_TERMINATE,
     "room/demo/r", "{\"socketId\":\"s\"}"},
};

static void calls_about_users_reach_their_owners(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
        const char *params;

        as("ada", "\"admin\"", "", passed[i].method, passed[i].target, passed[i].body);
        params = world_answer(&w, passed[i].op, passed[i].object, 200, "{\"answer\":42}");
        CHECK(strcmp(params, passed[i].params) == 0, passed[i].target);
        CHECK_EQ(world_status(&w), 200, passed[i].target);
        CHECK(world_has(&w, "{\"answer\":42}"), passed[i].target);
    }
}

static void a_caller_has_so_many_events_a_minute(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < EVENTS_PER_MINUTE / EVENT_BROADCAST_COST; i++) {
        as("ada", "\"admin\"", "", "DELETE", "/users/bob/connections", NULL);
        (void)world_answer(&w, CALL_CONNECTIONS_CLOSE, "", 200, "{}");
    }
    post_events("{\"roomIds\":[\"a\"],\"name\":\"n\"}");
    CHECK_EQ(world_status(&w), 429, "too many");
    assert_true(world_has(&w, "rate_limit_exceeded"));
    assert_true(world_has(&w, "Retry-After: "));
    as("ada", "\"admin\"", "", "POST", "/users/bob/events", "{\"name\":\"n\"}");
    CHECK_EQ(world_status(&w), 429, "too many");
    fake_shard_expect_nothing(w.shard);
    as("bob", "\"member\"", "", "POST", "/events", "{\"roomIds\":[\"a\"],\"name\":\"n\"}");
    (void)world_answer(&w, CALL_EVENT_TRIGGER, "room/demo/a", 200, "{}");
    CHECK_EQ(world_status(&w), 200, "another caller");
}

static void a_shutdown_with_events_under_way_is_clean(void **state)
{
    (void)state;
    begin();
    post_events("{\"roomIds\":[\"a\",\"b\"],\"name\":\"n\"}");
    (void)fake_shard_expect(w.shard, MSG_CALL);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
    const struct CMUnitTest tests[] = {
        T(an_event_goes_to_every_room_and_the_answers_are_merged),
        T(only_when_all_fail_it_is_an_error),
        T(so_many_calls_are_under_way_at_a_time),
        T(rooms_that_do_not_answer_fail_together),
        T(a_broken_link_leaves_the_outcome_unknown),
        T(a_pinned_token_reaches_its_room_only),
        T(calls_about_users_reach_their_owners),
        T(a_caller_has_so_many_events_a_minute),
        T(a_shutdown_with_events_under_way_is_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
