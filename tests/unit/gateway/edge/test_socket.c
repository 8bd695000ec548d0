/* test_socket.c - sockets: handshake, who gets in, what passes through. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/edge/socket_query.h"
#include "gateway/edge/ws_upgrade.h"
#include "gateway/ws/ws_codec.h"
#include "tests/unit/gateway/edge/world.h"

#define M "\x00\x00\x00\x00"
#define UPGRADE                                                                                \
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static struct world w;

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* Opens a socket; query begins with '?'. */
static void knock(const char *path, const char *query, const char *fields)
{
    char target[4096];

    snprintf(target, sizeof(target), "%s%s", path, query);
    world_request(&w, "GET", target, fields, NULL);
}

static void knock_as(const char *room, const char *user, const char *roles, const char *extra,
                     const char *more)
{
    char path[256], query[2600];

    snprintf(path, sizeof(path), "/ws/room/%s", room);
    snprintf(query, sizeof(query), "?token=%s%s", world_token(&w, user, roles, extra), more);
    knock(path, query, UPGRADE);
    if (w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

/* The socket is open (101) and then closed with this code and reason. */
static void expect_refused(unsigned code, const char *reason, const char *name)
{
    AUTO(blob_unref) struct blob *frame = ws_close_frame(code, slice_str(reason));
    size_t len = w.client.in.len;

    CHECK_EQ(world_status(&w), 101, name);
    CHECK(len > frame->len &&
              memcmp(w.client.in.data + len - frame->len, frame->data, frame->len) == 0,
          name);
    CHECK_EQ(fake_shard_count(w.shard), 0, name);
}

/* ---- handshake ---- */

static const struct {
    const char *name, *method, *fields;
    unsigned status;
    const char *text;
} handshakes[] = {
    {"good", "GET", UPGRADE, 101, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"},
    {"any case", "GET",
     "upgrade: WebSocket\r\nconnection: UPGRADE\r\nsec-websocket-version: "
     "13\r\nsec-websocket-key: "
     "dGhlIHNhbXBsZSBub25jZQ==\r\n",
     101, "Upgrade: websocket\r\nConnection: Upgrade\r\n"},
    {"our protocol", "GET", UPGRADE "Sec-WebSocket-Protocol: chat, fluxy.v1\r\n", 101,
     "Sec-WebSocket-Protocol: fluxy.v1\r\n"},
    {"no upgrade", "GET", "", 426, "upgrade_required"},
    {"not in Connection", "GET",
     "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
     "dGhlIHNhbXBsZSBub25jZQ==\r\n",
     426, "upgrade_required"},
    {"old version", "GET",
     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "8\r\nSec-WebSocket-Key: "
     "dGhlIHNhbXBsZSBub25jZQ==\r\n",
     426, "Sec-WebSocket-Version: 13\r\n"},
    {"no key", "GET",
     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400,
     "bad_request"},
    {"short key", "GET",
     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "13\r\nSec-WebSocket-Key: dGhl\r\n",
     400, "bad_request"},
    {"key is no base64", "GET",
     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "13\r\nSec-WebSocket-Key: "
     "dGhlIHNhbXBsZSBub25jZQ=!\r\n",
     400, "bad_request"},
    {"two keys", "GET", UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400,
     "bad_request"},
    {"a body", "GET", UPGRADE "Content-Length: 1\r\n\r\nx", 400, "bad_request"},
    {"another method", "POST", UPGRADE, 404, "not_found"},
};

static void handshakes_are_checked(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(handshakes); i++) {
        world_request(&w, handshakes[i].method, "/ws/room/r", handshakes[i].fields, NULL);
        CHECK_EQ(world_status(&w), handshakes[i].status, handshakes[i].name);
        CHECK(world_has(&w, handshakes[i].text), handshakes[i].name);
    }
    knock("/ws/room/r", "", UPGRADE);
    assert_false(world_has(&w, "Sec-WebSocket-Protocol"));
    assert_true(world_has(&w, "X-Trace-Id: "));
}

/* ---- who gets in ---- */

static void refusals_are_told_after_the_handshake(void **state)
{
    static const char *const expired =
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwidGlkIjoiZGVtbyIsImV4cCI6MX0";
    char query[256];

    (void)state;
    world_open(&w, NULL);
    knock("/ws/room/r", "", UPGRADE);
    expect_refused(1008, "invalid_token", "no token");
    knock("/ws/room/r", "?token=x", UPGRADE);
    expect_refused(1008, "invalid_token", "no token at all");
    knock("/ws/room/r?token=x&token=y", "", UPGRADE);
    expect_refused(1008, "invalid_token", "two tokens");
    knock("/ws/room/a%20b", "?token=x", UPGRADE);
    expect_refused(1008, "not_member", "no room has such a name");
    knock("/ws/room/r", "?token=x&lastSeq=soon", UPGRADE);
    expect_refused(1008, "invalid_cursor", "no cursor");
    knock("/ws/elsewhere", "?token=x", UPGRADE);
    expect_refused(1008, "not_member", "no such place");
    knock_as("r", "ada", "\"member\"", ",\"roomId\":\"q\"", "");
    expect_refused(1008, "forbidden", "pinned to another room");
    knock_as("r", "ada", "\"member\"", ",\"tid\":\"x\"", "");
    expect_refused(1008, "invalid_token", "claims twice");
    snprintf(query, sizeof(query), "?token=%s.%s", expired, "AAAA");
    knock("/ws/room/r", query, UPGRADE);
    expect_refused(1008, "invalid_token", "a forged token is not called expired");
    assert_int_equal(w.c.metrics.connections, 0);
    assert_int_equal(w.c.metrics.sockets_opened, 0);
}

static void an_expired_token_is_called_so(void **state)
{
    char path[2600];

    (void)state;
    world_open(&w, NULL);
    snprintf(path, sizeof(path), "/ws/room/r?token=%s", world_token(&w, "ada", "", ""));
    fake_env_advance(&w.c.env, 3600 * 1000 + 1000);
    knock(path, "", UPGRADE);
    world_answer_project(&w);
    expect_refused(1008, "token_expired", "expired");
}

static void a_bad_api_key_without_a_token_is_called_so(void **state)
{
    (void)state;
    world_open(&w, NULL);
    knock("/ws/room/r", "?apiKey=fc_short", UPGRADE);
    expect_refused(1008, "invalid_api_key", "malformed");
    knock("/ws/room/r", "?userId=ada&apiKey=" WORLD_KEY, UPGRADE);
    (void)world_answer(&w, CALL_KEY_LOOKUP, "", 401, "{\"error\":\"invalid_api_key\"}");
    expect_refused(1008, "invalid_api_key", "unknown");
    fake_env_advance(&w.c.env, LOOKUP_MISSING_MS + 1);
    knock("/ws/room/r", "?userId=ada&apiKey=" WORLD_KEY, UPGRADE);
    (void)world_answer(&w, CALL_KEY_LOOKUP, "", 200,
                       "{\"project\":\"demo\",\"keyId\":\"k\",\"scopes\":[]}");
    expect_refused(1008, "invalid_token", "a good key says no user");
}

static void anonymous_people_are_kept_out_where_it_is_said(void **state)
{
    (void)state;
    w.no_anonymous = true;
    world_open(&w, NULL);
    w.no_anonymous = false;
    knock_as("r", "anon_0123456789abcdef", "\"guest\"", ",\"anon\":true", "");
    expect_refused(1008, "anonymous_not_allowed", "anonymous");
}

static void origins_are_checked(void **state)
{
    static const struct api_config some = {
        .demo_project = {"", 0},
        .operator_project = {"", 0},
        .operator_key = {"", 0},
        .allowed_origins = {"https://a.example", 17},
        .rate_limit_scale = 1,
    };

    (void)state;
    world_open(&w, &some);
    knock("/ws/room/r", "?token=x", UPGRADE "Origin: https://b.example\r\n");
    expect_refused(1008, "forbidden", "origin");
    knock("/ws/room/r", "?token=x", UPGRADE "Origin: https://a.example\r\n");
    expect_refused(1008, "invalid_token", "the origin was good");
}

static void a_cluster_that_does_not_answer_means_later(void **state)
{
    char query[2600];

    (void)state;
    world_open(&w, NULL);
    snprintf(query, sizeof(query), "?token=%s", world_token(&w, "ada", "", ""));
    knock("/ws/room/r", query, UPGRADE);
    (void)world_answer(&w, CALL_PROJECT_CONFIG, "project/demo", 503,
                       "{\"error\":\"unavailable\"}");
    expect_refused(1013, "unavailable", "later");
}

static void a_draining_gateway_sends_people_on(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_connect(&w, "192.0.2.1", false);
    front_drain(w.front);
    knock("/ws/room/r", "?token=x", UPGRADE);
    expect_refused(1012, "drain", "drain");
}

/* ---- what passes through ---- */

static void attach_and_live(void)
{
    const struct msg *attach = fake_shard_expect(w.shard, MSG_ATTACH);
    struct msg attached = {.type = MSG_ATTACHED};

    attached.ATTACHED.attach = attach->ATTACH.attach;
    attached.ATTACHED.epoch = attach->ATTACH.epoch;
    attached.ATTACHED.seq = 5;
    attached.ATTACHED.generation = SLICE_LIT("g");
    fake_shard_send(w.shard, &attached);
    fake_env_run(&w.c.env);
}

static void a_socket_enters_its_room(void **state)
{
    const struct msg *attach;

    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"admin\"", ",\"name\":\"Ada\"",
             "&replay=connect&replayLimit=20&userId=mallory&v=1&lastSeq=4&generation=g");
    assert_int_equal(world_status(&w), 101);
    attach = fake_shard_expect(w.shard, MSG_ATTACH);
    CHECK_SLICE(attach->ATTACH.project, "demo", "project");
    CHECK_SLICE(attach->ATTACH.room, "lobby", "room");
    CHECK_SLICE(attach->ATTACH.user, "ada", "user");
    CHECK_SLICE(attach->ATTACH.roles, "admin", "roles");
    CHECK_SLICE(attach->ATTACH.generation, "g", "generation");
    CHECK_SLICE(attach->ATTACH.user_info, "{\"name\":\"Ada\"}", "info");
    assert_int_equal(attach->ATTACH.flags, ATTACH_NATIVE | ATTACH_HAS_SEQ | ATTACH_AS_REPLAY);
    assert_int_equal(attach->ATTACH.replay_limit, 20);
    assert_int_equal(attach->ATTACH.last_seq, 4);
    assert_int_equal(w.c.metrics.connections, 1);
    assert_int_equal(w.c.metrics.http_connections, 0); /* nothing of HTTP is left */
}

static void frames_pass_both_ways(void **state)
{
    const struct msg *frame;
    struct msg event = {.type = MSG_ROOM_EVENT};

    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"member\"", "", "");
    attach_and_live();
    world_send(&w, ""); /* forget the handshake */
    fake_sink_send(&w.client, slice_of("\x81\x90" M "{\"type\":\"ping\"}\n", 22));
    fake_env_run(&w.c.env);
    assert_true(world_has(&w, "{\"type\":\"pong\",\"ts\":"));
    fake_sink_send(&w.client,
                   slice_of("\x81\xa1" M "{\"type\":\"message\",\"content\":\"hi\"}", 39));
    fake_env_run(&w.c.env);
    frame = fake_shard_expect(w.shard, MSG_FRAME);
    CHECK_SLICE(frame->FRAME.json, "{\"type\":\"message\",\"content\":\"hi\"}", "frame");
    event.ROOM_EVENT.seq = 6;
    event.ROOM_EVENT.project = SLICE_LIT("demo");
    event.ROOM_EVENT.room = SLICE_LIT("lobby");
    event.ROOM_EVENT.json = SLICE_LIT("{\"type\":\"message\",\"seq\":6}");
    fake_shard_send(w.shard, &event);
    fake_env_run(&w.c.env);
    assert_true(world_has(&w, "\x81\x1a{\"type\":\"message\",\"seq\":6}"));
    fake_sink_send(&w.client, slice_of("\x82\x81" M "x", 7));
    fake_env_run(&w.c.env);
    assert_true(world_has(&w, "\"code\":\"unknown_event_type\""));
    stream_close(w.client.stream, false);
    fake_env_run(&w.c.env);
    assert_non_null(fake_shard_expect(w.shard, MSG_DETACH));
    assert_int_equal(w.c.metrics.connections, 0);
    assert_int_equal(w.c.metrics.closed_lost, 1);
}

/* How long before its end a client may have been cut off already, by how it ended. */
static void the_shard_learns_how_a_socket_ended(void **state)
{
    static const struct {
        const char *name, *frame;
        size_t len;
        uint32_t doubt_ms;
    } rows[] = {
        {"1000", "\x88\x82" M "\x03\xe8", 8, OLD_CLIENT_CLOSED_DOUBT_MS},
        {"1001", "\x88\x82" M "\x03\xe9", 8, OLD_CLIENT_CLOSED_DOUBT_MS},
        {"no code", "\x88\x80" M, 6, OLD_CLIENT_CLOSED_DOUBT_MS},
        {"4000: no pong for too long", "\x88\x82" M "\x0f\xa0", 8, OLD_CLIENT_DOUBT_MS},
        {"the connection ends", "", 0, OLD_CLIENT_DOUBT_MS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct msg *m;

        world_open(&w, NULL);
        knock_as("lobby", "ada", "\"member\"", "", "");
        attach_and_live();
        if (rows[i].len > 0)
            fake_sink_send(&w.client, slice_of(rows[i].frame, rows[i].len));
        else
            stream_close(w.client.stream, false);
        fake_env_run(&w.c.env);
        m = fake_shard_expect(w.shard, MSG_DETACH);
        CHECK_EQ(m->DETACH.doubt_ms, rows[i].doubt_ms, rows[i].name);
        if (i + 1 < ARRAY_LEN(rows))
            world_close(&w);
    }
}

/* A masked text frame of the client (with a mask of zeroes). */
static void say(const char *json)
{
    AUTO_BUF frame = BUF_INIT;
    size_t len = strlen(json);

    buf_put_char(&frame, '\x81');
    if (len < 126) {
        buf_put_char(&frame, (char)(0x80 | len));
    } else {
        buf_put_char(&frame, '\xfe');
        buf_put_char(&frame, (char)(len >> 8));
        buf_put_char(&frame, (char)len);
    }
    buf_put(&frame, M, 4);
    buf_put_str(&frame, json);
    buf_clear(&w.client.in);
    fake_sink_send(&w.client, buf_slice(&frame));
    fake_env_run(&w.c.env);
}

static void a_socket_without_a_room_subscribes(void **state)
{
    char query[2600];
    const struct msg *attach;

    (void)state;
    world_open(&w, NULL);
    snprintf(query, sizeof(query), "?token=%s&lastSeq=x",
             world_token(&w, "ada", "\"member\"", ",\"roomId\":\"lobby\""));
    knock("/ws", query, UPGRADE);
    world_answer_project(&w);
    assert_int_equal(world_status(&w), 101);
    assert_int_equal(fake_shard_count(w.shard), 0);
    assert_int_equal(w.c.metrics.connections, 1);
    say("{\"type\":\"subscribe\",\"roomId\":\"other\"}");
    assert_true(world_has(&w, "\"code\":\"forbidden\""));
    say("{\"type\":\"subscribe\",\"roomId\":\"lobby\"}");
    attach = fake_shard_expect(w.shard, MSG_ATTACH);
    CHECK_SLICE(attach->ATTACH.room, "lobby", "room");
    assert_int_equal(attach->ATTACH.flags, ATTACH_NATIVE | ATTACH_SUBSCRIBE);
}

static void say_token(const char *token, const char *frame_id)
{
    char json[2600];

    snprintf(json, sizeof(json), "{\"type\":\"token\",\"token\":\"%s\",\"frameId\":\"%s\"}",
             token, frame_id);
    say(json);
}

static void a_fresh_token_is_checked_and_taken(void **state)
{
    const struct msg *roles;

    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"member\"", "", "&v=1");
    attach_and_live();
    say_token("nonsense", "f1");
    assert_true(world_has(&w, "\"code\":\"invalid_token\""));
    assert_true(world_has(&w, "\"frameId\":\"f1\""));
    say_token(world_token(&w, "bob", "\"member\"", ""), "f2");
    assert_true(world_has(&w, "\"code\":\"forbidden\""));
    assert_true(world_has(&w, "\"frameId\":\"f2\""));
    say_token(world_token(&w, "ada", "\"member\"", ",\"roomId\":\"other\""), "f3");
    assert_true(world_has(&w, "\"code\":\"forbidden\""));
    say_token(world_token(&w, "ada", "\"admin\"", ""), "f4");
    assert_true(world_has(&w, "{\"type\":\"token_refreshed\",\"expiresAt\":\""));
    assert_true(world_has(&w, "\"frameId\":\"f4\""));
    roles = fake_shard_expect(w.shard, MSG_ROLES);
    CHECK_SLICE(roles->ROLES.roles, "admin", "roles");
    assert_int_equal(w.c.metrics.tokens_refreshed, 1);
}

/* What is known of the project has become too old: the shard is asked again. */
static void a_token_waits_for_what_is_known_of_the_project(void **state)
{
    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"member\"", "", "&v=1");
    attach_and_live();
    fake_env_advance(&w.c.env, LOOKUP_FOUND_MS + 1000);
    fake_shard_clear(w.shard);
    say_token(world_token(&w, "ada", "\"member\"", ""), "f1");
    assert_false(world_has(&w, "token_refreshed"));
    say_token(world_token(&w, "ada", "\"member\"", ""), "f2");
    assert_true(world_has(&w, "\"code\":\"overloaded\""));
    assert_true(world_has(&w, "\"frameId\":\"f2\""));
    world_answer_project(&w);
    assert_true(world_has(&w, "token_refreshed"));
    assert_true(world_has(&w, "\"frameId\":\"f1\""));
    fake_env_advance(&w.c.env, LOOKUP_FOUND_MS + 1000);
    fake_shard_clear(w.shard);
    say_token(world_token(&w, "ada", "\"member\"", ""), "f3");
    stream_close(w.client.stream, false); /* and nobody waits for the answer */
    fake_env_run(&w.c.env);
    world_answer_project(&w);
    assert_int_equal(w.c.metrics.tokens_refreshed, 1);
    fake_shard_clear(w.shard);
}

static void bytes_behind_the_handshake_count(void **state)
{
    char request[3000];
    int len;

    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"member\"", "", ""); /* the project is known from here on */
    fake_shard_clear(w.shard);
    len = snprintf(request, sizeof(request),
                   "GET /ws/room/r?token=%s HTTP/1.1\r\nHost: a\r\n" UPGRADE "\r\n",
                   world_token(&w, "bob", "\"member\"", ""));
    memcpy(request + len, "\x81\x8f" M "{\"type\":\"ping\"}", 21);
    world_connect(&w, "192.0.2.1", false);
    fake_sink_send(&w.client, slice_of(request, (size_t)len + 21));
    fake_env_run(&w.c.env);
    assert_true(world_has(&w, "{\"type\":\"pong\",\"ts\":"));
}

static void a_shard_closes_the_socket(void **state)
{
    const struct msg *attach;
    struct msg close = {.type = MSG_CLOSE};

    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"member\"", "", "");
    attach = fake_shard_expect(w.shard, MSG_ATTACH);
    close.CLOSE.attach = attach->ATTACH.attach;
    close.CLOSE.epoch = attach->ATTACH.epoch;
    close.CLOSE.code = 1008;
    close.CLOSE.reason = SLICE_LIT("not_member");
    fake_shard_send(w.shard, &close);
    fake_env_run(&w.c.env);
    fake_shard_clear(w.shard);
    expect_refused(1008, "not_member", "closed");
    fake_sink_send(&w.client, slice_of("\x88\x80" M, 6));
    fake_env_run(&w.c.env);
    assert_true(w.client.closed);
    assert_int_equal(w.c.metrics.closed_1008, 1);
}

/* 256,000 UTF-16 units are allowed; a text just over them is answered, a frame over the byte
 * bound closes. */
static void too_long_a_text_is_answered_and_far_too_long_closes(void **state)
{
    AUTO_BUF frame = BUF_INIT;
    const size_t len = FRAME_MAX_UTF16 + 1;
    AUTO(blob_unref) struct blob *close = ws_close_frame(1009, slice_of(NULL, 0));

    (void)state;
    world_open(&w, NULL);
    knock_as("lobby", "ada", "\"member\"", "", "");
    attach_and_live();
    buf_put(&frame, "\x81\xff\0\0\0\0\0", 7);
    buf_put_char(&frame, (char)(len >> 16));
    buf_put_char(&frame, (char)(len >> 8));
    buf_put_char(&frame, (char)len);
    buf_put(&frame, M, 4);
    for (size_t i = 0; i < len; i++)
        buf_put_char(&frame, 'x');
    fake_sink_send(&w.client, buf_slice(&frame));
    fake_env_run(&w.c.env);
    assert_true(world_has(&w, "\"code\":\"payload_too_large\""));
    assert_true(world_has(&w, "\"roomId\":\"lobby\""));
    assert_int_equal(fake_shard_count(w.shard), 0);
    fake_sink_send(&w.client,
                   slice_of("\x81\xff\0\0\0\0\0\x0b\xb8\x01" M "x", 15)); /* 768,001 bytes */
    fake_env_run(&w.c.env);
    assert_true(
        w.client.in.len > close->len &&
        memcmp(w.client.in.data + w.client.in.len - close->len, close->data, close->len) == 0);
    assert_int_equal(w.c.metrics.closed_protocol, 1);
}

static void a_client_that_leaves_while_it_is_let_in(void **state)
{
    char query[2600];

    (void)state;
    world_open(&w, NULL);
    snprintf(query, sizeof(query), "?token=%s", world_token(&w, "ada", "", ""));
    knock("/ws/room/r", query, UPGRADE);
    stream_close(w.client.stream, false);
    fake_env_run(&w.c.env);
    world_answer_project(&w);
    assert_int_equal(w.c.metrics.connections, 0);
    fake_shard_expect_nothing(w.shard);
}

static void a_shutdown_with_people_at_the_door_is_clean(void **state)
{
    char query[2600];

    (void)state;
    world_open(&w, NULL);
    snprintf(query, sizeof(query), "?token=%s", world_token(&w, "ada", "", ""));
    knock("/ws/room/r", query, UPGRADE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_shard_learns_how_a_socket_ended, teardown),
        cmocka_unit_test_teardown(handshakes_are_checked, teardown),
        cmocka_unit_test_teardown(refusals_are_told_after_the_handshake, teardown),
        cmocka_unit_test_teardown(an_expired_token_is_called_so, teardown),
        cmocka_unit_test_teardown(a_bad_api_key_without_a_token_is_called_so, teardown),
        cmocka_unit_test_teardown(anonymous_people_are_kept_out_where_it_is_said, teardown),
        cmocka_unit_test_teardown(origins_are_checked, teardown),
        cmocka_unit_test_teardown(a_cluster_that_does_not_answer_means_later, teardown),
        cmocka_unit_test_teardown(a_draining_gateway_sends_people_on, teardown),
        cmocka_unit_test_teardown(a_socket_enters_its_room, teardown),
        cmocka_unit_test_teardown(frames_pass_both_ways, teardown),
        cmocka_unit_test_teardown(a_socket_without_a_room_subscribes, teardown),
        cmocka_unit_test_teardown(a_fresh_token_is_checked_and_taken, teardown),
        cmocka_unit_test_teardown(a_token_waits_for_what_is_known_of_the_project, teardown),
        cmocka_unit_test_teardown(bytes_behind_the_handshake_count, teardown),
        cmocka_unit_test_teardown(a_shard_closes_the_socket, teardown),
        cmocka_unit_test_teardown(too_long_a_text_is_answered_and_far_too_long_closes,
                                  teardown),
        cmocka_unit_test_teardown(a_client_that_leaves_while_it_is_let_in, teardown),
        cmocka_unit_test_teardown(a_shutdown_with_people_at_the_door_is_clean, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
