/* test_users.c - user channels, questions to all gateways, events that pass through rooms. */
#include "tests/unit/shard/host/fixture.h"

#include "common/base/limits.h"
#include "shard/host/gather.h"
#include "shard/host/user_channel.h"
#include "shard/limits.h"

static struct fx fx;

static int setup(void **state)
{
    (void)state;
    fx_init(&fx);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_deinit(&fx);
    return 0;
}

static void forget_all(void)
{
    fx_run(&fx);
    for (size_t i = 0; i < ARRAY_LEN(fx.gates); i++)
        fx_forget(&fx.gates[i]);
}

/* ---- channels ---- */

static void listen_as(struct fx_gate *g, uint64_t number, const char *room, const char *user,
                      const char *socket_id, uint32_t flags)
{
    struct msg_ATTACH msg = {.attach = number,
                             .flags = flags,
                             .project = SLICE_LIT("p"),
                             .room = slice_str(room),
                             .user = slice_str(user),
                             .socket_id = slice_str(socket_id),
                             .epoch = 1};

    user_on_attach(g->gate, &msg);
}

static void listen(struct fx_gate *g, uint64_t number, const char *socket_id)
{
    listen_as(g, number, "~ann", "ann", socket_id, 0);
}

static void leave(struct fx_gate *g, uint64_t number)
{
    struct msg_DETACH msg = {.attach = number};

    user_on_detach(g->gate, &msg);
}

static void push(const char *user, const char *name)
{
    user_push(fx.host, SLICE_LIT("p"), slice_str(user), slice_str(name),
              SLICE_LIT("{\"a\":1}"));
}

static void a_socket_is_greeted_and_live_at_once(void **state)
{
    (void)state;
    listen(&fx.gates[0], 1, "s1");
    fx_expect(&fx.gates[0], "to 1 {user_subscription_succeeded userId=ann}\nattached 1 @0\n",
              "first");
    listen_as(&fx.gates[1], 7, "~ann", "ann", "s2", ATTACH_REATTACH);
    fx_expect(&fx.gates[1], "attached 7 @0\n", "one that was here before");
    assert_int_equal(fx.metrics.user_channels, 1);
    assert_int_equal(fx.metrics.user_sockets, 2);
    leave(&fx.gates[0], 1);
    leave(&fx.gates[0], 1);
    assert_int_equal(fx.metrics.user_sockets, 1);
    leave(&fx.gates[1], 7);
    assert_int_equal(fx.metrics.user_channels, 0);
}

static void only_the_user_himself_may_listen(void **state)
{
    (void)state;
    listen_as(&fx.gates[0], 1, "~ann", "bob", "s1", 0);
    fx_expect(&fx.gates[0], "close 1 1008 forbidden\n", "another");
    listen_as(&fx.gates[0], 2, "~", "ann", "s1", 0);
    fx_expect(&fx.gates[0], "close 2 1008 forbidden\n", "nobody");
    listen_as(&fx.gates[0], 3, "~a/b", "a/b", "s1", 0);
    fx_expect(&fx.gates[0], "close 3 1008 forbidden\n", "no id");
    assert_int_equal(fx.metrics.user_sockets, 0);
}

static void a_user_has_a_bounded_number_of_sockets(void **state)
{
    (void)state;
    for (unsigned i = 0; i < USER_SOCKETS_MAX; i++)
        listen(&fx.gates[i % 2], 100 + i, "s");
    forget_all();
    listen(&fx.gates[0], 1, "s");
    fx_expect(&fx.gates[0], "close 1 1008 channel_at_capacity\n", "one too many");
    listen_as(&fx.gates[0], 2, "~ann", "ann", "s", ATTACH_REATTACH);
    fx_expect(&fx.gates[0], "attached 2 @0\n", "who was in stays in");
    listen_as(&fx.gates[0], 3, "~bob", "bob", "s", 0);
    assert_true(fx_got(&fx.gates[0], "attached 3 @0"));
}

static void each_gateway_gets_an_event_once(void **state)
{
    (void)state;
    listen(&fx.gates[0], 1, "s1");
    listen(&fx.gates[0], 2, "s2");
    listen(&fx.gates[1], 1, "s3");
    forget_all();
    push("ann", "inbox_updated");
    fx_expect(&fx.gates[0], "ephemeral {user_event userId=ann name=inbox_updated}\n", "two");
    fx_expect(&fx.gates[1], "ephemeral {user_event userId=ann name=inbox_updated}\n", "one");
    fx_expect(&fx.gates[2], "", "none");
    push("bob", "x");
    fx.gates[0].is_congested = true;
    push("ann", "y");
    fx_expect(&fx.gates[0], "", "a full link goes without");
    fx_expect(&fx.gates[1], "ephemeral {user_event userId=ann name=y}\n", "y");
    assert_int_equal(fx.metrics.ephemerals_dropped, 1);
}

static void except_is_left_out_where_he_is(void **state)
{
    const struct slice json = SLICE_LIT("{\"type\":\"user_event\"}");

    (void)state;
    listen(&fx.gates[0], 1, "s1");
    listen(&fx.gates[0], 2, "s2");
    listen(&fx.gates[1], 1, "s3");
    forget_all();
    assert_int_equal(
        user_channel_deliver(fx.host, SLICE_LIT("p"), SLICE_LIT("ann"), SLICE_LIT("s2"), json),
        2);
    fx_expect(&fx.gates[0], "ephemeral except=2 {user_event}\n", "not to s2");
    fx_expect(&fx.gates[1], "ephemeral {user_event}\n", "to s3");
    assert_int_equal(
        user_channel_deliver(fx.host, SLICE_LIT("p"), SLICE_LIT("ann"), SLICE_LIT("s3"), json),
        2);
    fx_expect(&fx.gates[1], "", "nobody is left there");
    assert_int_equal(
        user_channel_deliver(fx.host, SLICE_LIT("q"), SLICE_LIT("ann"), SLICE_LIT(""), json),
        0);
}

static void a_broken_link_takes_its_sockets_along(void **state)
{
    (void)state;
    listen(&fx.gates[0], 1, "s1");
    listen(&fx.gates[1], 1, "s2");
    fx_link_down(&fx.gates[0]);
    assert_int_equal(fx.metrics.user_sockets, 1);
    fx_link_up(&fx.gates[0]);
    listen_as(&fx.gates[0], 1, "~ann", "ann", "s1", ATTACH_REATTACH);
    forget_all();
    push("ann", "x");
    fx_expect(&fx.gates[0], "ephemeral {user_event userId=ann name=x}\n", "back");
}

static void users_move_with_the_ring(void **state)
{
    struct msg_USER_PUSH msg = {.project = SLICE_LIT("p"),
                                .user = SLICE_LIT("ann"),
                                .json = SLICE_LIT("{\"type\":\"user_event\"}")};

    (void)state;
    listen(&fx.gates[0], 1, "s1");
    listen(&fx.gates[0], 2, "s2");
    listen(&fx.gates[1], 1, "s3");
    listen_as(&fx.gates[1], 2, "~bob", "bob", "s4", 0);
    forget_all();
    fx_set_ring(&fx, false);
    fx_expect(&fx.gates[0], "moved user/p/ann\n", "once");
    assert_int_equal(fx_count(&fx.gates[1], "moved user/p/"), 2);
    assert_int_equal(fx.metrics.user_channels, 0);
    forget_all();
    listen(&fx.gates[0], 1, "s1");
    fx_expect(&fx.gates[0], "moved user/p/ann\n", "not here");
    user_on_push(fx.host, &msg);
    fx_expect(&fx.gates[0], "", "lost");
}

static void a_push_for_another_shard_s_user_takes_one_gateway(void **state)
{
    (void)state;
    fx_set_ring(&fx, false);
    forget_all();
    push("ann", "a");
    push("ann", "b");
    fx.gates[2].is_congested = true;
    push("ann", "c");
    fx_expect(&fx.gates[0],
              "push ann {user_event userId=ann name=a}\npush ann {user_event "
              "userId=ann name=c}\n",
              "in turn");
    fx_expect(&fx.gates[1], "push ann {user_event userId=ann name=b}\n", "in turn");
    fx_expect(&fx.gates[2], "", "full");
    assert_int_equal(fx.metrics.user_pushes, 3);
}

/* ---- questions to all gateways ---- */

static void call_user(struct fx_gate *g, const char *user, const char *caller,
                      const char *roles, const char *params)
{
    char object[64];
    struct msg_CALL msg = {.call = ++g->calls,
                           .op = CALL_USER_EVENT,
                           .project = SLICE_LIT("p"),
                           .user = slice_str(caller),
                           .roles = slice_str(roles),
                           .params = slice_str(params)};

    snprintf(object, sizeof(object), "user/p/%s", user);
    msg.object = slice_str(object);
    api_on_call(fx.api, g->gate, &msg);
}

static void kicked(struct fx_gate *g, uint64_t number, uint32_t user_sockets,
                   uint32_t room_sockets)
{
    struct msg_KICKED msg = {
        .number = number, .user_sockets = user_sockets, .room_sockets = room_sockets};

    gather_on_kicked(g->gate, &msg);
}

static void rooms_done(struct fx_gate *g, uint64_t number, const char *rooms)
{
    struct msg_USER_ROOMS_DONE msg = {.number = number, .rooms = slice_str(rooms)};

    gather_on_user_rooms(g->gate, &msg);
}

static void connections_are_closed_on_every_gateway(void **state)
{
    struct fx_gate *g = &fx.gates[2];

    (void)state;
    fx_call(g, CALL_CONNECTIONS_CLOSE, NULL, "ann", "", "{\"userId\":\"ann\"}");
    for (size_t i = 0; i < ARRAY_LEN(fx.gates); i++)
        fx_expect(&fx.gates[i], "kick 1 user=ann 4001 connections_closed\n", "asked");
    kicked(&fx.gates[0], 1, 1, 2);
    kicked(&fx.gates[0], 1, 9, 9); /* a second answer does not count */
    kicked(&fx.gates[1], 99, 9, 9);
    kicked(&fx.gates[1], 1, 0, 3);
    fx_run(&fx);
    fx_expect(g, "", "one has not answered");
    kicked(g, 1, 4, 0);
    fx_run(&fx);
    fx_expect(g,
              "reply 1 200 {\"ok\":true,\"userId\":\"ann\",\"closed\":{\"userChannel\":5,"
              "\"roomSockets\":5}}\n",
              "summed");
    assert_int_equal(fx.metrics.gathers_partial, 0);
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
    struct fx_gate *g = &fx.gates[2];

    (void)state;
    fx_call(g, CALL_CONNECTIONS_CLOSE, NULL, "root", "admin", "{\"userId\":\"ann\"}");
    kicked(&fx.gates[0], 1, 0, 1);
    fx_link_down(&fx.gates[1]);
    fx_run(&fx);
    assert_false(fx_got(g, "reply"));
    fake_env_advance(&fx.fake, GATHER_MS);
    assert_true(fx_got(g, "reply 1 200 {\"ok\":true,\"userId\":\"ann\",\"closed\":"
                          "{\"userChannel\":0,\"roomSockets\":1}}"));
    assert_int_equal(fx.metrics.gathers_partial, 1);
    kicked(g, 1, 7, 7); /* too late */
    /* With its link down a gateway is not asked, and is missing in the answer. */
    fx_forget(g);
    fx_call(g, CALL_CONNECTIONS_CLOSE, NULL, "ann", "", "{\"userId\":\"ann\"}");
    kicked(&fx.gates[0], 2, 0, 0);
    kicked(g, 2, 0, 0);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 2 200"));
    assert_int_equal(fx.metrics.gathers_partial, 2);
}

static void only_oneself_and_admins(void **state)
{
    struct fx_gate *g = &fx.gates[2];

    (void)state;
    fx_call(g, CALL_CONNECTIONS_CLOSE, NULL, "bob", "member,moderator", "{\"userId\":\"ann\"}");
    assert_true(fx_got(g, "reply 1 403 {\"error\":\"forbidden\""));
    fx_call(g, CALL_CONNECTIONS_CLOSE, NULL, "bob", "", "{}");
    assert_true(fx_got(g, "reply 2 400 {\"error\":\"invalid_id\""));
    call_user(g, "ann", "bob", "member", "{\"name\":\"x\"}");
    assert_true(fx_got(g, "reply 3 403 {\"error\":\"forbidden\""));
    call_user(g, "ann", "bob", "owner", "{\"name\":\"x\"}");
    assert_true(fx_got(g, "reply 4 200"));
    fx_set_ring(&fx, false);
    call_user(g, "ann", "ann", "", "{\"name\":\"x\"}");
    assert_true(fx_got(g, "reply 5 421"));
}

static void an_event_for_a_user_reaches_his_channel_and_his_rooms(void **state)
{
    struct fx_gate *g = &fx.gates[2];

    (void)state;
    listen(&fx.gates[0], 1, "s1");
    listen(&fx.gates[1], 1, "s2");
    forget_all();
    call_user(g, "ann", "ann", "", "{\"name\":\"n\",\"data\":5,\"excludeSocketId\":\"s1\"}");
    fx_expect(&fx.gates[0], "", "excluded");
    fx_expect(&fx.gates[1], "ephemeral {user_event userId=ann name=n}\n", "given");
    fx_expect(g,
              "reply 1 200 {\"ok\":true,\"userId\":\"ann\",\"delivered\":{\"userChannel\":1,"
              "\"rooms\":0}}\n",
              "counted");
    call_user(g, "ann", "ann", "", "{\"name\":\"n\",\"fanoutRooms\":[\"a\",\"b\"]}");
    assert_true(fx_got(&fx.gates[0], "rooms 1 user=ann a,b\n"));
    rooms_done(&fx.gates[0], 1, "a");
    rooms_done(&fx.gates[1], 1, "b,a");
    rooms_done(g, 1, "");
    fx_run(&fx);
    assert_true(fx_got(g, "\"delivered\":{\"userChannel\":2,\"rooms\":2}"));
    forget_all();
    call_user(g, "ann", "ann", "", "{\"name\":\"n\",\"fanoutRooms\":true}");
    assert_true(fx_got(&fx.gates[0], "rooms 2 user=ann \n"));
    forget_all();
    call_user(g, "ann", "ann", "", "{\"name\":\"n\",\"fanoutRooms\":false}");
    assert_false(fx_got(&fx.gates[0], "rooms"));
}

static void one_socket_is_terminated_by_a_moderator(void **state)
{
    struct fx_gate *g = &fx.gates[2];
    static const char one[] = "{\"socketId\":\"sock\"}";

    (void)state;
    fx_call(g, CALL_CONNECTION_TERMINATE, "g", "bob", "", one);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 1 403 {\"error\":\"forbidden\""));
    fx_call(g, CALL_CONNECTION_TERMINATE, "g", "ann", "", one);
    fx_run(&fx);
    assert_true(fx_got(g, "kick 1 room=g socket=sock 4001 terminated\n"));
    kicked(&fx.gates[0], 1, 0, 0);
    kicked(&fx.gates[1], 1, 0, 1);
    kicked(g, 1, 0, 0);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 2 200 {\"ok\":true}"));
    fx_call(g, CALL_CONNECTION_TERMINATE, "g", "zoe", "moderator",
            "{\"socketId\":\"sock\",\"reason\":\"why\"}");
    fx_run(&fx);
    assert_true(fx_got(g, "kick 2 room=g socket=sock 4001 why\n"));
    for (size_t i = 0; i < ARRAY_LEN(fx.gates); i++)
        kicked(&fx.gates[i], 2, 0, 0);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 3 404 {\"error\":\"not_found\""));
    fx_call(g, CALL_CONNECTION_TERMINATE, "g", "ann", "", one);
    fx_run(&fx);
    fake_env_advance(&fx.fake, GATHER_MS);
    assert_true(fx_got(g, "reply 4 503 {\"error\":\"unavailable\""));
}

static void a_revocation_names_what_it_revokes(void **state)
{
    struct kick kick = {.project = SLICE_LIT("p"),
                        .token_id = SLICE_LIT("t1"),
                        .issued_before_s = 77,
                        .code = 1008,
                        .reason = SLICE_LIT("invalid_token")};
    unsigned i;

    (void)state;
    assert_int_equal(gather_kick(fx.host, &kick, NULL, NULL, NULL), 0);
    fx_expect(&fx.gates[0], "kick 1 token=t1 before=77 1008 invalid_token\n", "asked");
    for (i = 1; i < GATHERS_MAX; i++)
        assert_int_equal(gather_kick(fx.host, &kick, NULL, NULL, NULL), 0);
    assert_int_equal(gather_kick(fx.host, &kick, NULL, NULL, NULL), GATHER_OVERLOADED);
    fake_env_advance(&fx.fake, GATHER_MS);
    assert_int_equal(gather_kick(fx.host, &kick, NULL, NULL, NULL), 0);
}

/* ---- events through a room ---- */

#define EVENT "{\"type\":\"client_event\",\"eventName\":\"client-x\",\"frameId\":\"f\"}"

static void attach_all(void)
{
    FX_ATTACH(&fx.gates[0], .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx.gates[0], .number = 2, .room = "g", .user = "cid", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fake_env_advance(&fx.fake, 2000);
    forget_all();
}

static void a_client_event_goes_to_the_others(void **state)
{
    (void)state;
    attach_all();
    fx_frame(&fx.gates[0], 1, 1, 0, EVENT);
    fx_expect(&fx.gates[0], "ephemeral except=1 {client_event userId=ann}\nto 1 done=1\n",
              "not to the sender, and settled");
    fx_expect(&fx.gates[1], "ephemeral {client_event userId=ann}\n", "to the others");
}

static void a_client_event_is_never_given_twice(void **state)
{
    (void)state;
    attach_all();
    fx_frame(&fx.gates[0], 1, 1, FRAME_RESENT, EVENT);
    fx_expect(&fx.gates[0], "to 1 done=1 {error frameId=f code=outcome_unknown retryable=1}\n",
              "perhaps given");
    fx_expect(&fx.gates[1], "", "not again");
}

#define AT_WORK                                                                                \
    "{\"type\":\"agentTyping\",\"agentId\":\"helper\",\"isTyping\":true,\"frameId\":\"f\"}"

static void an_agent_at_work_is_shown_to_the_others(void **state)
{
    (void)state;
    attach_all();
    fx_frame(&fx.gates[0], 1, 1, 0, AT_WORK);
    fx_expect(&fx.gates[0],
              "ephemeral except=1 {agentTyping userId=ann isTyping=1}\nto 1 done=1\n",
              "not to the sender, and settled");
    fx_expect(&fx.gates[1], "ephemeral {agentTyping userId=ann isTyping=1}\n", "to the others");
    fx_frame(&fx.gates[0], 1, 2, FRAME_RESENT, AT_WORK);
    fx_expect(&fx.gates[1], "ephemeral {agentTyping userId=ann isTyping=1}\n",
              "again after a move");
    for (uint64_t n = 3; n <= AGENT_SIGNALS_PER_MINUTE; n++)
        fx_frame(&fx.gates[0], 1, n, 0, AT_WORK);
    forget_all();
    fx_frame(&fx.gates[0], 1, AGENT_SIGNALS_PER_MINUTE + 1, 0, AT_WORK);
    assert_true(fx_got(&fx.gates[0], "{error frameId=f code=rate_limit_exceeded retryable=1"));
    fx_expect(&fx.gates[1], "", "held back");
    fx_frame(&fx.gates[0], 1, AGENT_SIGNALS_PER_MINUTE + 2, 0, EVENT);
    assert_true(fx_got(&fx.gates[1], "client_event userId=ann"));
}

static void client_events_are_limited_by_user(void **state)
{
    (void)state;
    attach_all();
    for (uint64_t n = 1; n <= CLIENT_EVENTS_PER_MINUTE; n++)
        fx_frame(&fx.gates[0], 1, n, 0, EVENT);
    assert_int_equal(fx_count(&fx.gates[1], "client_event"), CLIENT_EVENTS_PER_MINUTE);
    forget_all();
    fx_frame(&fx.gates[0], 1, CLIENT_EVENTS_PER_MINUTE + 1, 0, EVENT);
    assert_true(fx_got(&fx.gates[0], "{error frameId=f code=rate_limit_exceeded retryable=1"));
    fx_expect(&fx.gates[1], "", "held back");
    fx_frame(&fx.gates[1], 1, 1, 0, EVENT);
    assert_true(fx_got(&fx.gates[0], "ephemeral {client_event userId=bob}\n"));
    fx_say(&fx.gates[0], 1, CLIENT_EVENTS_PER_MINUTE + 2, "messages are counted apart", NULL);
    fx_run(&fx);
    assert_true(fx_got(&fx.gates[1], "content=messages are counted apart"));
    fake_env_advance(&fx.fake, 60000 / CLIENT_EVENTS_PER_MINUTE);
    forget_all();
    fx_frame(&fx.gates[0], 1, CLIENT_EVENTS_PER_MINUTE + 3, 0, EVENT);
    assert_true(fx_got(&fx.gates[1], "client_event userId=ann"));
}

static void events_wait_until_a_woken_room_is_whole_again(void **state)
{
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx.gates[1].is_slow = true;
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_REATTACH);
    fx_run(&fx); /* gateway 1 has not answered the wake */
    fx_frame(g, 1, 1, 0, EVENT);
    assert_true(fx_got(g, "to 1 done=1\n"));
    fx_call(&fx.gates[2], CALL_EVENT_TRIGGER, "g", "ann", "", "{\"name\":\"x\"}");
    assert_false(fx_got(g, "server_event"));
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    fx_run(&fx);
    assert_false(fx_got(&fx.gates[1], "client_event"));
    fx_awake(&fx.gates[1]);
    assert_int_equal(fx_count(&fx.gates[1], "ephemeral {client_event userId=ann}\n"
                                            "ephemeral {server_event userId=ann name=x}\n"),
                     1);
    forget_all();
    fx_frame(g, 1, 2, 0, EVENT);
    assert_true(fx_got(&fx.gates[1], "client_event userId=ann"));
}

static void who_may_not_write_may_not_send_events(void **state)
{
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    FX_ATTACH(g, .number = 1, .room = "c", .user = "bob", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "c", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fake_env_advance(&fx.fake, 2000);
    forget_all();
    fx_frame(g, 1, 1, 0, EVENT);
    fx_expect(g, "to 1 done=1 {error frameId=f code=forbidden retryable=0}\n",
              "an announcement room");
    fx_call(g, CALL_EVENT_TRIGGER, "c", "bob", "", "{\"name\":\"x\"}");
    fx_run(&fx);
    assert_true(fx_got(g, "reply 1 403 {\"error\":\"forbidden\""));
    fx_frame(&fx.gates[1], 1, 1, 0, EVENT);
    assert_true(fx_got(g, "client_event userId=ann"));
}

static void events_over_rest_reach_the_room(void **state)
{
    struct fx_gate *g = &fx.gates[2];

    (void)state;
    attach_all();
    fx_call(g, CALL_EVENT_TRIGGER, "g", "ann", "", "{\"name\":\"x\"}");
    fx_run(&fx);
    fx_expect(&fx.gates[0], "ephemeral {server_event userId=ann name=x}\n", "by a member");
    fx_expect(g, "reply 1 200 {\"ok\":true}\n", "done");
    fx_call(g, CALL_EVENT_TRIGGER, "g", "zoe", "", "{\"name\":\"x\"}");
    fx_call(g, CALL_EVENT_TRIGGER, "nope", "ann", "admin", "{\"name\":\"x\"}");
    fx_call(g, CALL_EVENT_TRIGGER, "pub", "zoe", "", "{\"name\":\"x\"}");
    fx_run(&fx);
    for (int i = 2; i <= 4; i++) {
        char want[64];

        snprintf(want, sizeof(want), "reply %d 403 {\"error\":\"forbidden\"", i);
        CHECK(fx_got(g, want), want);
    }
    fx_call(
        g, CALL_EVENT_TRIGGER, "g", "zoe", "admin",
        "{\"event\":{\"type\":\"tool_call\",\"userId\":\"ann\"},\"excludeSocketId\":\"no\"}");
    fx_run(&fx);
    assert_true(fx_got(&fx.gates[0], "ephemeral {tool_call userId=zoe"));
    fx_call(g, CALL_EVENT_TRIGGER, "g", "ann", "", "{\"event\":{\"type\":\"message\"}}");
    fx_call(g, CALL_EVENT_TRIGGER, "g", "ann", "", "{}");
    fx_run(&fx);
    assert_true(fx_got(g, "reply 6 400 {\"error\":\"invalid_type\""));
    assert_true(fx_got(g, "reply 7 400 {\"error\":\"invalid_event_name\""));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_socket_is_greeted_and_live_at_once),
        T(only_the_user_himself_may_listen),
        T(a_user_has_a_bounded_number_of_sockets),
        T(each_gateway_gets_an_event_once),
        T(except_is_left_out_where_he_is),
        T(a_broken_link_takes_its_sockets_along),
        T(users_move_with_the_ring),
        T(a_push_for_another_shard_s_user_takes_one_gateway),
        T(connections_are_closed_on_every_gateway),
        T(who_does_not_answer_is_not_waited_for),
        T(only_oneself_and_admins),
        T(an_event_for_a_user_reaches_his_channel_and_his_rooms),
        T(one_socket_is_terminated_by_a_moderator),
        T(a_revocation_names_what_it_revokes),
        T(a_client_event_goes_to_the_others),
        T(a_client_event_is_never_given_twice),
        T(an_agent_at_work_is_shown_to_the_others),
        T(client_events_are_limited_by_user),
        T(events_wait_until_a_woken_room_is_whole_again),
        T(who_may_not_write_may_not_send_events),
        T(events_over_rest_reach_the_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
