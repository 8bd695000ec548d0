/*
 * test_users.c - what concerns a user and not a room: his channel, sockets that
 * are ended because a shard says so, events into the rooms where he is.
 */
#include "tests/support/test.h"

#include <stdio.h>

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

enum { MANY = 2 * KICKS_PER_TURN + 10 };

static struct fake_world w;
static struct fake_client ann, bob, eve;
static struct fake_client many[MANY];
static struct fake_shard *s0 = &w.c.shards[0];

static int setup(void **state)
{
    (void)state;
    fake_world_init(&w, 1);
    return 0;
}

static int setup_two(void **state)
{
    (void)state;
    fake_world_init(&w, 2);
    return 0;
}

static void close_if_open(struct fake_client *client)
{
    if (client->stream || client->remote.in.data || client->remote.stream)
        client_close(&w, client);
    *client = (struct fake_client){0};
}

static int teardown(void **state)
{
    (void)state;
    close_if_open(&ann);
    close_if_open(&bob);
    close_if_open(&eve);
    for (int i = 0; i < MANY; i++)
        close_if_open(&many[i]);
    fake_world_deinit(&w);
    return 0;
}

/* ---- channels ---- */

static void open_channel(struct fake_client *client, const char *user)
{
    client_open(&w, client, user, NULL);
    assert_int_equal(session_enter_user_channel(client->session, SLICE_LIT("t")), 0);
}

static struct fake_attach open_live_channel(struct fake_client *client, const char *user,
                                            struct fake_shard *s)
{
    struct fake_attach a;

    open_channel(client, user);
    a = shard_expect_attach(&w, s);
    shard_attached(s, &a, 0);
    fake_env_run(&w.c.env);
    return a;
}

static void a_channel_is_attached_under_its_own_name(void **state)
{
    const struct msg *msg;
    struct fake_attach a;

    (void)state;
    open_channel(&ann, "ann");
    fake_env_run(&w.c.env);
    msg = fake_shard_expect(s0, MSG_ATTACH);
    CHECK_SLICE(msg->ATTACH.room, "~ann", "room");
    CHECK_SLICE(msg->ATTACH.user, "ann", "user");
    a = (struct fake_attach){.number = msg->ATTACH.attach, .epoch = msg->ATTACH.epoch};
    shard_to_attach(s0, &a, 0, 0, "hello");
    shard_attached(s0, &a, 0);
    client_expect(&w, &ann, "hello");
    assert_int_equal(w.c.metrics.user_channels, 1);
    assert_int_equal(w.c.metrics.rooms, 0);
    shard_room_event(s0, "~ann", 0, EVENT_EPHEMERAL, 0, "event");
    shard_room_event(s0, "~ann", 0, EVENT_EPHEMERAL, a.number, "not for this one");
    shard_room_event(s0, "~bob", 0, EVENT_EPHEMERAL, 0, "another's");
    client_expect(&w, &ann, "event");
    client_expect_nothing(&w, &ann);
    client_close(&w, &ann);
    fake_env_run(&w.c.env);
    msg = fake_shard_expect(s0, MSG_DETACH);
    CHECK_SLICE(msg->DETACH.room, "~ann", "room");
    assert_int_equal(w.c.metrics.user_channels, 0);
}

static void a_channel_only_speaks(void **state)
{
    static const char *const refused[] = {
        "{\"type\":\"message\",\"content\":\"x\"}", "{\"type\":\"typing\",\"isTyping\":true}",
        "{\"type\":\"resume\",\"lastSeq\":1}", "{\"type\":\"client_event\"}"};

    (void)state;
    open_live_channel(&ann, "ann", s0);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        client_say(&ann, refused[i]);
        client_expect(&w, &ann,
                      "{\"type\":\"error\",\"code\":\"unknown_event_type\",\"message\":"
                      "\"unknown_event_type\",\"retryable\":false}");
    }
    client_say(&ann, "{\"type\":\"ping\"}");
    assert_non_null(strstr(client_next(&w, &ann), "\"pong\""));
    fake_shard_expect_nothing(s0);
}

static void no_room_can_be_a_channel(void **state)
{
    struct enter_params enter = {.room = SLICE_LIT("~bob")};

    (void)state;
    client_open(&w, &ann, "ann", NULL);
    assert_true(session_enter(ann.session, &enter) < 0);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
}

static void a_channel_follows_its_owner(void **state)
{
    struct fake_shard *first, *second;
    struct fake_attach a;

    (void)state;
    first = fake_cluster_owner(&w.c, 3, "user/p/ann");
    second = first == &w.c.shards[0] ? &w.c.shards[1] : &w.c.shards[0];
    open_live_channel(&ann, "ann", first);
    shard_moved(first, "user/p/ann");
    fake_cluster_set_ring(&w.c, fake_cluster_bit(&w.c, second));
    a = shard_expect_attach(&w, second);
    CHECK_EQ(a.flags & ATTACH_REATTACH, ATTACH_REATTACH, "is known already");
    shard_attached(second, &a, 0);
    fake_env_run(&w.c.env);
    shard_room_event(second, "~ann", 0, EVENT_EPHEMERAL, 0, "there");
    client_expect(&w, &ann, "there");
    fake_shard_break(second);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, second);
    CHECK_EQ(a.flags & ATTACH_REATTACH, ATTACH_REATTACH, "after a broken link");
    assert_int_equal(ann.code, 0);
}

/* ---- kicks ---- */

static void open_token(struct fake_client *client, const char *project, const char *user,
                       const char *token_id, int64_t issued_s)
{
    struct session_params params = {.project = slice_str(project),
                                    .user = slice_str(user),
                                    .roles = SLICE_LIT("member"),
                                    .token_id = slice_str(token_id),
                                    .issued_s = issued_s};
    struct enter_params enter = {.room = SLICE_LIT("r"), .replay_limit = 50};

    client_open_as(&w, client, &params, &enter);
}

static void kick(const struct msg_KICK *criteria)
{
    struct msg msg = {.type = MSG_KICK, .KICK = *criteria};

    msg.KICK.number = 7;
    msg.KICK.project = SLICE_LIT("p");
    msg.KICK.code = 4001;
    msg.KICK.reason = SLICE_LIT("why");
    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
    fake_shard_send(s0, &msg);
    fake_env_run(&w.c.env);
}

/* The answer, past the DETACHes of those who went. */
static void expect_kicked(unsigned user_sockets, unsigned room_sockets, const char *name)
{
    const struct msg *msg;

    for (unsigned i = 0; i < user_sockets + room_sockets; i++)
        (void)fake_shard_expect(s0, MSG_DETACH);
    msg = fake_shard_expect(s0, MSG_KICKED);
    CHECK_EQ(msg->KICKED.number, 7, name);
    CHECK_EQ(msg->KICKED.user_sockets, user_sockets, name);
    CHECK_EQ(msg->KICKED.room_sockets, room_sockets, name);
}

static void the_sockets_of_a_user_are_ended(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    open_live_channel(&eve, "ann", s0);
    client_open_live(&w, &bob, "bob", "r", s0, 1);
    open_token(&many[0], "q", "ann", "", 0);
    kick(&(struct msg_KICK){.user = SLICE_LIT("ann")});
    expect_kicked(1, 1, "a room and a channel");
    CHECK_EQ(ann.code, 4001, "room socket");
    assert_string_equal(ann.reason, "why");
    CHECK_EQ(eve.code, 4001, "channel");
    CHECK_EQ(bob.code, 0, "another user");
    CHECK_EQ(many[0].code, 0, "a user of the same name in another project");
    kick(&(struct msg_KICK){.user = SLICE_LIT("ann")});
    expect_kicked(0, 0, "nobody is left");
    kick(&(struct msg_KICK){.user = SLICE_LIT("nobody")});
    expect_kicked(0, 0, "nobody of that name");
    assert_int_equal(w.c.metrics.kicked, 2);
}

static void the_sockets_of_a_token_are_ended(void **state)
{
    (void)state;
    open_token(&ann, "p", "ann", "token-1", 1000);
    open_token(&bob, "p", "ann", "token-2", 1000);
    open_token(&eve, "p", "eve", "", 1000);
    kick(&(struct msg_KICK){.token_id = SLICE_LIT("token-1")});
    expect_kicked(0, 1, "that token");
    CHECK_EQ(ann.code, 4001, "that token");
    CHECK_EQ(bob.code, 0, "another token of the user");
    CHECK_EQ(eve.code, 0, "a token without id");
    kick(&(struct msg_KICK){.user = SLICE_LIT("eve"), .token_id = SLICE_LIT("token-2")});
    expect_kicked(0, 0, "all that is given must fit");
}

static void sockets_of_old_tokens_are_ended(void **state)
{
    (void)state;
    open_token(&ann, "p", "ann", "", 999);
    open_token(&bob, "p", "bob", "", 1000);
    open_token(&eve, "p", "eve", "", 0);
    kick(&(struct msg_KICK){.issued_before_s = 1000});
    expect_kicked(0, 2, "of the whole project");
    CHECK_EQ(ann.code, 4001, "older");
    CHECK_EQ(bob.code, 0, "not older");
    CHECK_EQ(eve.code, 4001, "does not say when");
    kick(&(struct msg_KICK){.user = SLICE_LIT("bob"), .issued_before_s = 1001});
    expect_kicked(0, 1, "of one user");
}

static void one_socket_of_a_room_is_ended(void **state)
{
    const struct msg *msg;
    char socket_id[64];
    struct slice id;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    fake_env_run(&w.c.env);
    msg = fake_shard_expect(s0, MSG_ATTACH);
    snprintf(socket_id, sizeof(socket_id), "%.*s", (int)msg->ATTACH.socket_id.len,
             msg->ATTACH.socket_id.data);
    id = slice_str(socket_id);
    client_open(&w, &bob, "ann", "r");
    kick(&(struct msg_KICK){.room = SLICE_LIT("elsewhere"), .socket_id = id});
    expect_kicked(0, 0, "another room");
    kick(&(struct msg_KICK){.room = SLICE_LIT("r"), .socket_id = SLICE_LIT("x")});
    expect_kicked(0, 0, "another id");
    kick(&(struct msg_KICK){.room = SLICE_LIT("r"), .socket_id = id});
    expect_kicked(0, 1, "that socket");
    CHECK_EQ(ann.code, 4001, "that socket");
    CHECK_EQ(bob.code, 0, "the other one");
}

static void many_are_ended_over_several_turns(void **state)
{
    struct msg msg = {.type = MSG_KICK,
                      .KICK = {.number = 9,
                               .project = SLICE_LIT("p"),
                               .user = SLICE_LIT("ann"),
                               .code = 4001,
                               .reason = SLICE_LIT("why")}};
    const struct msg *answer;

    (void)state;
    for (int i = 0; i < MANY; i++)
        client_open(&w, &many[i], "ann", "r");
    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
    client_close(&w, &many[0]); /* one goes by itself, before it is its turn */
    fake_shard_clear(s0);
    fake_shard_send(s0, &msg);
    msg.KICK.number = 10;
    fake_shard_send(s0, &msg);
    fake_env_run(&w.c.env);
    for (int i = 1; i < MANY; i++)
        CHECK_EQ(many[i].code, 4001, "ended");
    assert_int_equal(w.c.metrics.kicked, MANY - 1);
    while (fake_shard_count(s0) > 2)
        (void)fake_shard_expect(s0, MSG_DETACH);
    answer = fake_shard_expect(s0, MSG_KICKED);
    CHECK_EQ(answer->KICKED.number, 9, "in order");
    answer = fake_shard_expect(s0, MSG_KICKED);
    CHECK_EQ(answer->KICKED.number, 10, "in order");
}

static void break_link(struct timer *timer, void *arg)
{
    (void)timer;
    fake_shard_break(arg);
}

static void a_kick_outlives_its_link(void **state)
{
    struct timer between; /* runs between the first sockets and the last */
    struct msg msg = {.type = MSG_KICK,
                      .KICK = {.project = SLICE_LIT("p"),
                               .user = SLICE_LIT("ann"),
                               .code = 4001,
                               .reason = SLICE_LIT("why")}};

    (void)state;
    for (int i = 0; i < MANY; i++)
        client_open(&w, &many[i], "ann", "r");
    fake_env_run(&w.c.env);
    fake_shard_send(s0, &msg);
    timer_init(&between, break_link, s0);
    assert_int_equal(env_timer(&w.c.env.env, &between, 0), 0);
    fake_env_run(&w.c.env);
    assert_null(s0->stream);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(many[i].code, 4001, "ended");
}

/* ---- events into rooms ---- */

static void user_rooms(const char *rooms, const char *except)
{
    struct msg msg = {.type = MSG_USER_ROOMS,
                      .USER_ROOMS = {.number = 3,
                                     .project = SLICE_LIT("p"),
                                     .user = SLICE_LIT("ann"),
                                     .rooms = slice_str(rooms),
                                     .except = slice_str(except),
                                     .json = SLICE_LIT("\"name\":\"n\"}")}};

    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
    fake_shard_send(s0, &msg);
    fake_env_run(&w.c.env);
}

static void expect_done(const char *rooms)
{
    const struct msg *msg = fake_shard_expect(s0, MSG_USER_ROOMS_DONE);

    CHECK_EQ(msg->USER_ROOMS_DONE.number, 3, rooms);
    CHECK_SLICE(msg->USER_ROOMS_DONE.rooms, rooms, "rooms");
}

#define FRAME_IN(room) "{\"type\":\"user_event\",\"roomId\":\"" room "\",\"name\":\"n\"}"

static void events_reach_the_user_s_sockets_in_rooms(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "one", s0, 1);
    client_open_live(&w, &eve, "ann", "two", s0, 1);
    client_open_live(&w, &bob, "bob", "one", s0, 1);
    open_live_channel(&many[0], "ann", s0);
    client_open_live(&w, &many[1], "ann", "one", s0, 1);
    user_rooms("", "");
    client_expect(&w, &ann, FRAME_IN("one"));
    client_expect(&w, &many[1], FRAME_IN("one"));
    client_expect(&w, &eve, FRAME_IN("two"));
    client_expect_nothing(&w, &bob);
    client_expect_nothing(&w, &many[0]);
    expect_done("one,two");
    user_rooms("nowhere,two", "");
    client_expect(&w, &eve, FRAME_IN("two"));
    client_expect_nothing(&w, &ann);
    expect_done("two");
    user_rooms("nowhere,tw", "");
    client_expect_nothing(&w, &eve);
    expect_done("");
}

static void events_reach_sleeping_rooms_and_no_socket_that_is_not_in(void **state)
{
    const struct msg *msg;
    char socket_id[64];

    (void)state;
    client_open(&w, &eve, "ann", "r"); /* has not been let in */
    fake_env_run(&w.c.env);
    (void)fake_shard_expect(s0, MSG_ATTACH);
    user_rooms("", "");
    client_expect_nothing(&w, &eve);
    expect_done("");
    client_close(&w, &eve);
    client_open(&w, &ann, "ann", "r");
    fake_env_run(&w.c.env);
    (void)fake_shard_expect(s0, MSG_DETACH);
    msg = fake_shard_expect(s0, MSG_ATTACH);
    snprintf(socket_id, sizeof(socket_id), "%.*s", (int)msg->ATTACH.socket_id.len,
             msg->ATTACH.socket_id.data);
    shard_attached(
        s0, &(struct fake_attach){.number = msg->ATTACH.attach, .epoch = msg->ATTACH.epoch}, 1);
    fake_env_run(&w.c.env);
    shard_sleep(s0, "r");
    user_rooms("", "");
    client_expect(&w, &ann, FRAME_IN("r"));
    expect_done("r");
    user_rooms("", socket_id);
    client_expect_nothing(&w, &ann);
    expect_done("");
}

static void pushes_are_passed_on_to_the_owner_once(void **state)
{
    struct fake_shard *owner, *other;
    const struct msg *got;
    struct msg msg = {.type = MSG_USER_PUSH,
                      .USER_PUSH = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .json = SLICE_LIT("{}")}};

    (void)state;
    owner = fake_cluster_owner(&w.c, 3, "user/p/ann");
    other = owner == &w.c.shards[0] ? &w.c.shards[1] : &w.c.shards[0];
    fake_shard_send(other, &msg);
    fake_env_run(&w.c.env);
    got = fake_shard_expect(owner, MSG_USER_PUSH);
    CHECK_SLICE(got->USER_PUSH.project, "p", "project");
    CHECK_SLICE(got->USER_PUSH.user, "ann", "user");
    CHECK_SLICE(got->USER_PUSH.json, "{}", "json");
    fake_shard_expect_nothing(owner);
    fake_shard_expect_nothing(other);
    assert_int_equal(w.c.metrics.pushes_passed, 1);
    msg.USER_PUSH.user = SLICE_LIT("a/b");
    fake_shard_send(other, &msg);
    msg.USER_PUSH.user = SLICE_LIT("ann");
    owner->is_deaf = true;
    fake_shard_break(owner);
    fake_env_run(&w.c.env);
    fake_shard_send(other, &msg);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(other);
    assert_int_equal(w.c.metrics.pushes_lost, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T2(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown)
    const struct CMUnitTest tests[] = {
        T(a_channel_is_attached_under_its_own_name),
        T(a_channel_only_speaks),
        T(no_room_can_be_a_channel),
        T2(a_channel_follows_its_owner),
        T(the_sockets_of_a_user_are_ended),
        T(the_sockets_of_a_token_are_ended),
        T(sockets_of_old_tokens_are_ended),
        T(one_socket_of_a_room_is_ended),
        T(many_are_ended_over_several_turns),
        T(a_kick_outlives_its_link),
        T(events_reach_the_user_s_sockets_in_rooms),
        T(events_reach_sleeping_rooms_and_no_socket_that_is_not_in),
        T2(pushes_are_passed_on_to_the_owner_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
