/*
 * test_subscribe.c - one socket in many rooms: subscribing and leaving, frames
 * that find their room, errors that end one room and not the socket, moves and
 * sleep of one room while the others go on.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

static struct fake_world w;
static struct fake_client ann, bob;
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

static int teardown(void **state)
{
    (void)state;
    client_close(&w, &ann);
    if (bob.stream || bob.remote.in.data)
        client_close(&w, &bob);
    bob = (struct fake_client){0};
    fake_world_deinit(&w);
    return 0;
}

static void open_many(struct fake_client *client, const char *user, const char *only_room)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = slice_str(user),
                                    .roles = SLICE_LIT("member"),
                                    .only_room = slice_str(only_room),
                                    .native = true,
                                    .many_rooms = true};

    client_open_as(&w, client, &params, NULL);
}

static void say_about(struct fake_client *client, const char *type, const char *room,
                      const char *more)
{
    char json[512];

    snprintf(json, sizeof(json), "{\"type\":\"%s\",\"roomId\":\"%s\"%s}", type, room, more);
    client_say(client, json);
}

static struct fake_attach subscribe(struct fake_client *client, const char *room,
                                    struct fake_shard *s, uint64_t seq)
{
    struct fake_attach a;

    say_about(client, "subscribe", room, "");
    a = shard_expect_attach(&w, s);
    shard_attached(s, &a, seq);
    fake_env_run(&w.c.env);
    return a;
}

static void expect_error(const char *code, const char *more)
{
    char want[128];

    snprintf(want, sizeof(want), "{\"type\":\"error\",\"code\":\"%s\",", code);
    client_next(&w, &ann);
    CHECK(strncmp(ann.text, want, strlen(want)) == 0, ann.text);
    CHECK(strstr(ann.text, more), ann.text);
}

/* ---- subscribing ---- */

static void each_room_is_attached_with_what_was_asked(void **state)
{
    const struct msg_ATTACH *in;

    (void)state;
    open_many(&ann, "ann", "");
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    say_about(&ann, "subscribe", "q", "");
    fake_env_run(&w.c.env);
    in = &fake_shard_expect(s0, MSG_ATTACH)->ATTACH;
    CHECK_SLICE(in->room, "q", "room");
    assert_int_equal(in->flags, ATTACH_NATIVE | ATTACH_SUBSCRIBE);
    assert_int_equal(in->replay_limit, SNAPSHOT_DEFAULT);
    say_about(&ann, "subscribe", "r",
              ",\"lastSeq\":7,\"generation\":\"g1\",\"replayLimit\":20,\"presence\":true");
    fake_env_run(&w.c.env);
    in = &fake_shard_expect(s0, MSG_ATTACH)->ATTACH;
    CHECK_SLICE(in->room, "r", "room");
    CHECK_SLICE(in->generation, "g1", "generation");
    assert_int_equal(in->flags, ATTACH_NATIVE | ATTACH_SUBSCRIBE | ATTACH_HAS_SEQ);
    assert_int_equal(in->last_seq, 7);
    assert_int_equal(in->replay_limit, 20);
    assert_int_equal(w.c.metrics.attaches, 2);
    assert_int_equal(w.c.metrics.connections, 1);
}

static void what_cannot_be_subscribed_is_refused_in_band(void **state)
{
    static const struct {
        const char *room, *more, *code, *has;
    } cases[] = {
        {"", "", "invalid_id", "\"roomId"},
        {"a b", "", "invalid_id", "\"roomId\":\"a b\""},
        {"../x", "", "invalid_id", "\"roomId\":\"../x\""},
        {"r", ",\"frameId\":\"f1\"", "already_subscribed", "\"frameId\":\"f1\""},
        {"q", ",\"lastSeq\":-1", "invalid_cursor", "\"roomId\":\"q\""},
        {"q", ",\"lastSeq\":1.5", "invalid_cursor", ""},
        {"q", ",\"lastSeq\":1e3", "invalid_cursor", ""},
        {"q", ",\"lastSeq\":\"7\"", "invalid_cursor", ""},
        {"q", ",\"lastSeq\":9007199254740992", "invalid_cursor", ""},
        {"q", ",\"lastSeq\":99999999999999999999999999", "invalid_cursor", ""},
        {"q", ",\"generation\":7", "invalid_cursor", ""},
        {"q", ",\"presence\":\"no\"", "bad_request", "presence must be"},
        {"q", ",\"replayLimit\":0", "invalid_limit", ""},
        {"q", ",\"replayLimit\":501", "invalid_limit", ""},
        {"q", ",\"replayLimit\":[]", "invalid_limit", ""},
        {"q", ",\"lastSeq\":1,\"lastSeq\":2", "invalid_json", ""},
    };

    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "r", s0, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        say_about(&ann, "subscribe", cases[i].room, cases[i].more);
        expect_error(cases[i].code, i == 0 ? "retryable" : cases[i].has);
    }
    client_say(&ann, "{\"type\":\"subscribe\"}");
    expect_error("invalid_id", "");
    client_say(&ann, "{\"type\":\"subscribe\",\"roomId\":7}");
    expect_error("invalid_id", "");
    fake_shard_expect_nothing(s0);
    assert_int_equal(w.c.metrics.attaches, 1);
    assert_int_equal(ann.code, 0);
}

static void a_room_socket_cannot_subscribe(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    say_about(&ann, "subscribe", "q", "");
    expect_error("unknown_event_type", "\"roomId\":\"r\"");
    say_about(&ann, "unsubscribe", "r", "");
    expect_error("unknown_event_type", "");
    assert_int_equal(w.c.metrics.attaches, 1);
}

static void a_pinned_token_subscribes_to_its_room_only(void **state)
{
    (void)state;
    open_many(&ann, "ann", "r");
    say_about(&ann, "subscribe", "q", "");
    expect_error("forbidden", "another room");
    subscribe(&ann, "r", s0, 1);
    client_expect_nothing(&w, &ann);
}

static void so_many_rooms_and_not_one_more(void **state)
{
    char room[16];

    (void)state;
    open_many(&ann, "ann", "");
    for (unsigned i = 0; i < ROOMS_PER_SOCKET_MAX; i++) {
        snprintf(room, sizeof(room), "r%u", i);
        say_about(&ann, "subscribe", room, "");
    }
    client_expect_nothing(&w, &ann);
    assert_int_equal(w.c.metrics.attaches, ROOMS_PER_SOCKET_MAX);
    say_about(&ann, "subscribe", "more", ",\"frameId\":\"f\"");
    expect_error("too_many_rooms", "\"frameId\":\"f\"");
    say_about(&ann, "unsubscribe", "r7", "");
    client_expect(&w, &ann, "{\"type\":\"unsubscribed\",\"roomId\":\"r7\"}");
    say_about(&ann, "subscribe", "more", "");
    client_expect_nothing(&w, &ann);
    assert_int_equal(w.c.metrics.attaches, ROOMS_PER_SOCKET_MAX);
    fake_shard_clear(s0);
}

/* ---- frames ---- */

static void frames_find_their_room(void **state)
{
    struct fake_attach q, r;
    const struct msg *m;

    (void)state;
    open_many(&ann, "ann", "");
    q = subscribe(&ann, "q", s0, 1);
    r = subscribe(&ann, "r", s0, 1);
    say_about(&ann, "message", "r", ",\"content\":\"x\"");
    fake_env_run(&w.c.env);
    m = fake_shard_expect(s0, MSG_FRAME);
    assert_int_equal(m->FRAME.attach, r.number);
    assert_int_equal(m->FRAME.n, 1);
    say_about(&ann, "message", "q", ",\"content\":\"x\"");
    fake_env_run(&w.c.env);
    m = fake_shard_expect(s0, MSG_FRAME);
    assert_int_equal(m->FRAME.attach, q.number);
    assert_int_equal(m->FRAME.n, 1);
    say_about(&ann, "message", "s", ",\"content\":\"x\",\"clientMessageId\":\"c1\"");
    expect_error("not_subscribed", "\"roomId\":\"s\",\"clientMessageId\":\"c1\"");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":\"c2\"}");
    expect_error("invalid_id", "\"clientMessageId\":\"c2\"");
    say_about(&ann, "fly", "q", ",\"frameId\":\"f\"");
    expect_error("unknown_event_type", "\"roomId\":\"q\",\"frameId\":\"f\"");
    client_say(&ann, "nonsense");
    expect_error("invalid_json", "");
    shard_room_event(s0, "q", 2, 0, 0, "for q");
    shard_room_event(s0, "r", 2, 0, 0, "for r");
    shard_room_event(s0, "r", 2, 0, 0, "twice");
    client_expect(&w, &ann, "for q");
    client_expect(&w, &ann, "for r");
    client_expect_nothing(&w, &ann);
}

static void who_does_not_want_presence_gets_none(void **state)
{
    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "q", s0, 1);
    say_about(&ann, "subscribe", "r", ",\"presence\":false");
    struct fake_attach r = shard_expect_attach(&w, s0);
    shard_attached(s0, &r, 1);
    fake_env_run(&w.c.env);
    shard_room_event(s0, "r", 0, EVENT_EPHEMERAL | EVENT_PRESENCE, 0, "who is in r");
    shard_room_event(s0, "q", 0, EVENT_EPHEMERAL | EVENT_PRESENCE, 0, "who is in q");
    shard_room_event(s0, "r", 0, EVENT_EPHEMERAL, 0, "typing in r");
    client_expect(&w, &ann, "who is in q");
    client_expect(&w, &ann, "typing in r");
    client_expect_nothing(&w, &ann);
}

static void leaving_a_room_settles_what_was_under_way(void **state)
{
    struct fake_attach q, r;

    (void)state;
    open_many(&ann, "ann", "");
    q = subscribe(&ann, "q", s0, 1);
    r = subscribe(&ann, "r", s0, 1);
    say_about(&ann, "message", "r", ",\"content\":\"x\",\"clientMessageId\":\"c1\"");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_FRAME);
    say_about(&ann, "unsubscribe", "r", ",\"frameId\":\"f\"");
    expect_error("outcome_unknown", "\"roomId\":\"r\",\"clientMessageId\":\"c1\"");
    client_expect(&w, &ann, "{\"type\":\"unsubscribed\",\"roomId\":\"r\",\"frameId\":\"f\"}");
    assert_int_equal(fake_shard_expect(s0, MSG_DETACH)->DETACH.attach, r.number);
    shard_room_event(s0, "r", 2, 0, 0, "for r");
    shard_to_attach(s0, &r, 1, 0, "late ack");
    shard_room_event(s0, "q", 2, 0, 0, "for q");
    client_expect(&w, &ann, "for q");
    client_expect_nothing(&w, &ann);
    say_about(&ann, "unsubscribe", "r", "");
    expect_error("not_subscribed", "\"roomId\":\"r\"");
    client_say(&ann, "{\"type\":\"unsubscribe\"}");
    expect_error("invalid_id", "");
    r = subscribe(&ann, "r", s0, 5); /* a new attach, not the old one */
    assert_int_not_equal(r.number, q.number);
    shard_room_event(s0, "r", 6, 0, 0, "again");
    client_expect(&w, &ann, "again");
}

/* ---- a room ends, the socket stays ---- */

static void a_refusal_ends_one_room(void **state)
{
    struct fake_attach a;

    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "q", s0, 1);
    say_about(&ann, "subscribe", "r", ",\"frameId\":\"f1\"");
    a = shard_expect_attach(&w, s0);
    shard_close(s0, &a, 1008, "not_member");
    client_expect(&w, &ann,
                  "{\"type\":\"error\",\"code\":\"not_member\",\"message\":\"not_member\","
                  "\"roomId\":\"r\",\"frameId\":\"f1\",\"retryable\":false,"
                  "\"unsubscribed\":true}");
    fake_env_run(&w.c.env);
    assert_int_equal(ann.code, 0);
    assert_int_equal(w.c.metrics.attaches, 1);
    fake_shard_clear(s0);
    shard_room_event(s0, "q", 2, 0, 0, "for q");
    client_expect(&w, &ann, "for q");
    say_about(&ann, "subscribe", "r", ""); /* it may knock again */
    a = shard_expect_attach(&w, s0);
    shard_close(s0, &a, 1013, "overloaded");
    expect_error("overloaded", "\"retryable\":true,\"unsubscribed\":true");
}

static void a_room_that_nobody_serves_ends_alone(void **state)
{
    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "q", s0, 1);
    say_about(&ann, "subscribe", "r", ",\"frameId\":\"f1\"");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_ATTACH);
    fake_env_advance(&w.c.env, ATTACH_DEADLINE_MS + 2 * SESSION_SWEEP_MS);
    expect_error("unavailable", "\"roomId\":\"r\",\"frameId\":\"f1\"");
    assert_int_equal(ann.code, 0);
    assert_int_equal(w.c.metrics.attach_timeouts, 1);
}

static void a_terminated_client_loses_the_socket(void **state)
{
    struct fake_attach a;

    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "q", s0, 1);
    a = subscribe(&ann, "r", s0, 1);
    shard_close(s0, &a, 4001, "terminated");
    fake_env_run(&w.c.env);
    assert_int_equal(ann.code, 4001);
    assert_int_equal(w.c.metrics.attaches, 0);
    fake_shard_expect(s0, MSG_DETACH);
    fake_shard_expect(s0, MSG_DETACH);
}

/* ---- bounds ---- */

static void all_rooms_together_are_bounded(void **state)
{
    static char big[SESSION_UNSETTLED_MAX / 4];
    static const char *const rooms[] = {"r0", "r1", "r2"};
    struct fake_attach a[3];

    (void)state;
    open_many(&ann, "ann", "");
    for (unsigned i = 0; i < 3; i++)
        a[i] = subscribe(&ann, rooms[i], s0, 1);
    for (unsigned i = 0; i < 5; i++) { /* two in each room: none is over its own limit */
        int len = snprintf(big, sizeof(big), "{\"type\":\"message\",\"roomId\":\"%s\",\"x\":\"",
                           rooms[i / 2]);

        assert_false(ann.is_paused);
        memset(big + len, 'x', sizeof(big) - (size_t)len - 3);
        memcpy(big + sizeof(big) - 3, "\"}", 3);
        client_say(&ann, big);
    }
    assert_true(ann.is_paused);
    shard_to_attach(s0, &a[0], 1, 0, "");
    fake_env_run(&w.c.env);
    assert_true(ann.is_paused); /* not for a little */
    say_about(&ann, "unsubscribe", "r1", "");
    assert_false(ann.is_paused);
    fake_env_run(&w.c.env);
    fake_shard_clear(s0);
}

/* ---- moves, sleep ---- */

/* A room that is this shard's. */
static void name_room_of(const struct fake_shard *shard, char ret[16])
{
    char object[32];

    for (unsigned i = 0;; i++) {
        snprintf(ret, 16, "r%u", i);
        snprintf(object, sizeof(object), "room/p/%s", ret);
        if (fake_cluster_owner(&w.c, 3, object) == shard)
            break;
    }
}

static void rooms_move_one_by_one(void **state)
{
    struct fake_shard *from = &w.c.shards[0], *to = &w.c.shards[1];
    struct fake_attach a;
    char room[16], other[16];

    (void)state;
    open_many(&ann, "ann", "");
    name_room_of(from, room);
    subscribe(&ann, room, from, 5);
    name_room_of(to, other);
    subscribe(&ann, other, to, 9);
    fake_cluster_set_ring(&w.c, 2); /* the first shard leaves */
    fake_env_run(&w.c.env);
    a = shard_expect_attach(&w, to);
    assert_int_equal(a.flags, ATTACH_NATIVE | ATTACH_REATTACH);
    assert_int_equal(a.last_seq, 5);
    fake_shard_expect_nothing(to); /* the other one stays where it is */
    say_about(&ann, "message", room, ",\"content\":\"x\"");
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(to); /* kept */
    shard_attached(to, &a, 5);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(to, MSG_FRAME)->FRAME.attach, a.number);
    client_expect_nothing(&w, &ann);
    fake_shard_clear(from);
}

static void one_room_sleeps_and_wakes(void **state)
{
    struct fake_attach r;

    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "q", s0, 1);
    subscribe(&ann, "r", s0, 4);
    shard_sleep(s0, "r");
    fake_env_run(&w.c.env);
    say_about(&ann, "message", "q", ",\"content\":\"x\"");
    fake_env_run(&w.c.env);
    fake_shard_expect(s0, MSG_FRAME);
    fake_shard_expect_nothing(s0);
    say_about(&ann, "message", "r", ",\"content\":\"x\"");
    r = shard_expect_attach(&w, s0);
    assert_int_equal(r.flags, ATTACH_NATIVE | ATTACH_REATTACH);
    assert_int_equal(r.last_seq, 4);
    shard_attached(s0, &r, 4);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.attach, r.number);
}

/* Its queue is one: who is slow is so for each room that has something to say. */
static void a_slow_socket_is_behind_in_the_rooms_that_flood(void **state)
{
    static char big[SOCKET_QUEUE_SOFT];
    uint64_t seq = 1;

    (void)state;
    open_many(&ann, "ann", "");
    subscribe(&ann, "q", s0, 1);
    subscribe(&ann, "r", s0, 1);
    open_many(&bob, "bob", "");
    subscribe(&bob, "q", s0, 1);
    memset(big, 'x', sizeof(big) - 1);
    fake_stream_hold(ann.stream, true);
    while (seq < 20) {
        shard_room_event(s0, "q", ++seq, 0, 0, big);
        shard_room_event(s0, "q", 0, EVENT_EPHEMERAL, 0, "typing");
        fake_env_run(&w.c.env);
        assert_true(ann.stream->queued_bytes <= SOCKET_QUEUE_BEHIND + 2 * sizeof(big));
    }
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    assert_true(w.c.metrics.slow_dropped > 0);
    assert_int_equal(ann.code, 0);
    assert_int_equal(bob.code, 0);
    shard_room_event(s0, "r", 2, 0, 0, "quiet until now");
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.sockets_behind, 2);
    fake_shard_clear(s0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_room_is_attached_with_what_was_asked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_subscribed_is_refused_in_band, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_room_socket_cannot_subscribe, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pinned_token_subscribes_to_its_room_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(so_many_rooms_and_not_one_more, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_find_their_room, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_want_presence_gets_none, setup, teardown),
        cmocka_unit_test_setup_teardown(leaving_a_room_settles_what_was_under_way, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_refusal_ends_one_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_room_that_nobody_serves_ends_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_terminated_client_loses_the_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(all_rooms_together_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(rooms_move_one_by_one, setup_two, teardown),
        cmocka_unit_test_setup_teardown(one_room_sleeps_and_wakes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_socket_is_behind_in_the_rooms_that_flood, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
