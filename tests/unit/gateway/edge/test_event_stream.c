/* test_event_stream.c - GET /rooms/{id}/stream: what is accepted, what comes, how it ends. */
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

/* more: query behind the token. */
static void ask(const char *method, const char *extra, const char *more, const char *fields)
{
    char target[3000];

    snprintf(target, sizeof(target), "/rooms/lobby/stream?token=%s%s",
             world_token(&w, "ada", "\"member\"", extra), more);
    world_request(&w, method, target, fields, NULL);
    if (w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

static struct msg_ATTACH asked; /* its slices are not valid, but for this one */
static char asked_generation[ID_MAX];

static void expect_attach(void)
{
    asked = fake_shard_expect(w.shard, MSG_ATTACH)->ATTACH;
    assert_true(asked.generation.len <= sizeof(asked_generation));
    if (asked.generation.len > 0)
        memcpy(asked_generation, asked.generation.data, asked.generation.len);
    asked.generation.data = asked_generation;
}

static void to_attach(uint64_t cursor, const char *json)
{
    struct msg msg = {.type = MSG_TO_ATTACH};

    msg.TO_ATTACH.attach = asked.attach;
    msg.TO_ATTACH.epoch = asked.epoch;
    msg.TO_ATTACH.cursor = cursor;
    msg.TO_ATTACH.json = slice_str(json);
    fake_shard_send(w.shard, &msg);
    fake_env_run(&w.c.env);
}

static void attached(uint64_t seq)
{
    struct msg msg = {.type = MSG_ATTACHED};

    msg.ATTACHED.attach = asked.attach;
    msg.ATTACHED.epoch = asked.epoch;
    msg.ATTACHED.seq = seq;
    msg.ATTACHED.generation = SLICE_LIT("g");
    fake_shard_send(w.shard, &msg);
    fake_env_run(&w.c.env);
}

static void room_event(uint64_t seq, uint32_t flags, const char *json)
{
    struct msg msg = {.type = MSG_ROOM_EVENT};

    msg.ROOM_EVENT.seq = seq;
    msg.ROOM_EVENT.flags = flags;
    msg.ROOM_EVENT.project = SLICE_LIT("demo");
    msg.ROOM_EVENT.room = SLICE_LIT("lobby");
    msg.ROOM_EVENT.json = slice_str(json);
    fake_shard_send(w.shard, &msg);
    fake_env_run(&w.c.env);
}

static void shard_close(unsigned code, const char *reason)
{
    struct msg msg = {.type = MSG_CLOSE};

    msg.CLOSE.attach = asked.attach;
    msg.CLOSE.epoch = asked.epoch;
    msg.CLOSE.code = code;
    msg.CLOSE.reason = slice_str(reason);
    fake_shard_send(w.shard, &msg);
    fake_env_run(&w.c.env);
}

/* An open stream at seq 5. */
static void open_stream(void)
{
    world_open(&w, NULL);
    ask("GET", "", "", "Accept: text/event-stream\r\n");
    expect_attach();
    to_attach(5, "{\"type\":\"history\"}");
    to_attach(0, "{\"type\":\"subscription_succeeded\"}");
    attached(5);
    assert_int_equal(world_status(&w), 200);
}

/* ---- beginning ---- */

static void a_stream_is_frames_as_events(void **state)
{
    (void)state;
    world_open(&w, NULL);
    ask("GET", "", "", "Accept: text/event-stream\r\nOrigin: https://app.example\r\n");
    assert_int_equal(w.client.in.len, 0); /* nothing before the room has answered */
    expect_attach();
    assert_int_equal(asked.flags, ATTACH_OBSERVER);
    to_attach(5, "{\"type\":\"history\"}");
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "Content-Type: text/event-stream\r\n"));
    assert_true(world_has(&w, "Cache-Control: no-store\r\n"));
    assert_true(world_has(&w, "Access-Control-Allow-Origin: *\r\n"));
    assert_true(world_has(&w, "X-Trace-Id: "));
    assert_true(world_has(&w, "Transfer-Encoding: chunked\r\n"));
    assert_true(world_has(&w, "retry: 2000\n\n"));
    assert_true(world_has(&w, "\r\nid: 5\ndata: {\"type\":\"history\"}\n\n\r\n"));
    to_attach(0, "{\"type\":\"subscription_succeeded\"}");
    attached(5);
    room_event(6, 0, "{\"type\":\"message\"}");
    room_event(0, EVENT_EPHEMERAL, "{\"type\":\"typing\"}");
    assert_true(world_has(&w, "\r\ndata: {\"type\":\"subscription_succeeded\"}\n\n"));
    assert_true(world_has(&w, "\r\nid: 6-g\ndata: {\"type\":\"message\"}\n\n"));
    assert_true(world_has(&w, "\r\ndata: {\"type\":\"typing\"}\n\n"));
    assert_int_equal(w.c.metrics.connections, 1);
    assert_int_equal(w.c.metrics.event_streams, 1);
}

static void http_1_0_gets_no_chunks(void **state)
{
    char request[3000];
    int len;

    (void)state;
    world_open(&w, NULL);
    world_connect(&w, "192.0.2.1", false);
    len = snprintf(request, sizeof(request),
                   "GET /rooms/lobby/stream?token=%s HTTP/1.0\r\nHost: a\r\n\r\n",
                   world_token(&w, "ada", "", ""));
    fake_sink_send(&w.client, slice_of(request, (size_t)len));
    fake_env_run(&w.c.env);
    world_answer_project(&w);
    expect_attach();
    to_attach(5, "{}");
    assert_false(world_has(&w, "chunked"));
    assert_true(world_has(&w, "retry: 2000\n\nid: 5\ndata: {}\n\n"));
}

static const struct {
    const char *query, *fields;
    uint32_t flags;
    uint64_t last_seq;
    const char *generation;
} cursors[] = {
    {"", "", 0, 0, ""},
    {"&lastSeq=7", "", ATTACH_HAS_SEQ, 7, ""},
    {"&lastSeq=7&generation=gab", "", ATTACH_HAS_SEQ, 7, "gab"},
    {"&lastEventId=8", "", ATTACH_HAS_SEQ, 8, "g1"},
    {"&lastEventId=8-gab", "", ATTACH_HAS_SEQ, 8, "gab"},
    {"&lastSeq=7&generation=gcd&lastEventId=8", "Last-Event-ID: 9-gab\r\n", ATTACH_HAS_SEQ, 9,
     "gab"},
    {"&lastEventId=8-gab", "Last-Event-ID: 9\r\n", ATTACH_HAS_SEQ, 9, "g1"},
    {"&lastEventId=junk", "Last-Event-ID: 9\r\n", ATTACH_HAS_SEQ, 9, "g1"},
    {"&v=1&replay=connect", "", ATTACH_NATIVE | ATTACH_AS_REPLAY, 0, ""},
    {"&replay=off&cache=1", "", ATTACH_NO_REPLAY | ATTACH_CACHE, 0, ""},
};

static void it_goes_on_where_the_reader_was(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
        ask("GET", "", cursors[i].query, cursors[i].fields);
        expect_attach();
        CHECK_EQ(asked.flags, cursors[i].flags | ATTACH_OBSERVER, cursors[i].query);
        CHECK_EQ(asked.last_seq, cursors[i].last_seq, cursors[i].query);
        CHECK_SLICE(asked.generation, cursors[i].generation, cursors[i].query);
        shard_close(1008, "not_member");
        fake_shard_clear(w.shard);
    }
}

static const struct {
    const char *name, *method, *extra, *query, *fields;
    unsigned status;
    const char *text;
} refusals[] = {
    {"json only", "GET", "", "", "Accept: application/json\r\n", 406, "not_acceptable"},
    {"not this", "GET", "", "", "Accept: text/event-stream;q=0, application/json\r\n", 406, ""},
    {"nor this", "GET", "", "", "Accept: */*; q=0.000\r\n", 406, ""},
    {"pinned", "GET", ",\"roomId\":\"other\"", "", "", 403, "forbidden"},
    {"cursor", "GET", "", "&lastSeq=-1", "", 400, "invalid_cursor"},
    {"event id", "GET", "", "&lastEventId=", "", 400, "invalid_cursor"},
    {"header", "GET", "", "", "Last-Event-ID: abc\r\n", 400, "invalid_cursor"},
    {"huge", "GET", "", "", "Last-Event-ID: 9007199254740992\r\n", 400, "invalid_cursor"},
    {"no generation", "GET", "", "", "Last-Event-ID: 1-\r\n", 400, "invalid_cursor"},
    {"no number", "GET", "", "", "Last-Event-ID: -g1\r\n", 400, "invalid_cursor"},
    {"two", "GET", "", "", "Last-Event-ID: 1\r\nLast-Event-ID: 1\r\n", 400, "invalid_cursor"},
    {"head", "HEAD", "", "", "", 405, "Allow: GET, OPTIONS"},
    {"post", "POST", "", "", "", 405, "method_not_allowed"},
    {"token", "GET", "", "", "Authorization: Bearer x\r\n", 401, "invalid_token"},
};

static void what_makes_no_stream_is_answered(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        ask(refusals[i].method, refusals[i].extra, refusals[i].query, refusals[i].fields);
        CHECK_EQ(world_status(&w), refusals[i].status, refusals[i].name);
        CHECK(world_has(&w, refusals[i].text), refusals[i].name);
        CHECK_EQ(fake_shard_count(w.shard), 0, refusals[i].name);
    }
    world_request(&w, "GET", "/rooms/lobby/stream", "", NULL);
    assert_int_equal(world_status(&w), 401);
    world_request(&w, "GET", "/rooms/a%20b/stream?token=x", "", NULL);
    assert_int_equal(world_status(&w), 400);
}

static void pages_of_other_origins_get_none(void **state)
{
    static const struct api_config some = {.demo_project = {"", 0},
                                           .operator_project = {"", 0},
                                           .operator_key = {"", 0},
                                           .allowed_origins = {"https://a.example", 17},
                                           .rate_limit_scale = 1};

    (void)state;
    world_open(&w, &some);
    ask("GET", "", "", "Origin: https://b.example\r\n");
    assert_int_equal(world_status(&w), 403);
    assert_false(world_has(&w, "Access-Control-Allow-Origin"));
    ask("GET", "", "", "Origin: https://a.example\r\n");
    expect_attach();
    to_attach(1, "{}");
    assert_true(world_has(&w, "Access-Control-Allow-Origin: https://a.example\r\n"));
}

static void many_ways_to_accept(void **state)
{
    static const char two_lines[] = "Accept: application/json\r\n"
                                    "Accept: text/html , text/event-stream ; charset=utf-8\r\n";
    static const char *const fields[] = {"", "Accept: */*\r\n", "Accept: text/*\r\n",
                                         "Accept: Text/Event-Stream;q=0.1\r\n", two_lines};

    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        ask("GET", "", "", fields[i]);
        expect_attach();
        fake_shard_clear(w.shard);
    }
}

/* ---- before the first frame ---- */

static const struct {
    unsigned code;
    const char *reason;
    unsigned status;
    const char *error;
} ends[] = {
    {1008, "not_member", 403, "\"error\":\"forbidden\""},
    {1008, "channel_at_capacity", 403, "\"error\":\"forbidden\""},
    {1013, "unavailable", 503, "\"error\":\"unavailable\""},
    {1013, "overloaded", 503, "\"error\":\"overloaded\""},
};

static void who_may_not_enter_gets_an_answer(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        ask("GET", "", "", "");
        expect_attach();
        shard_close(ends[i].code, ends[i].reason);
        CHECK_EQ(world_status(&w), ends[i].status, ends[i].reason);
        CHECK(world_has(&w, ends[i].error), ends[i].reason);
        CHECK(world_has(&w, "Access-Control-Allow-Origin: *\r\n"), ends[i].reason);
        fake_shard_clear(w.shard);
    }
    ask("GET", "", "", "");
    fake_env_advance(&w.c.env, ATTACH_DEADLINE_MS + 1000);
    assert_int_equal(world_status(&w), 503);
    assert_int_equal(w.c.metrics.event_streams, 0);
    fake_shard_clear(w.shard);
}

/* ---- ending ---- */

static void the_reader_goes(void **state)
{
    (void)state;
    open_stream();
    stream_close(w.client.stream, false);
    fake_env_run(&w.c.env);
    fake_shard_expect(w.shard, MSG_DETACH);
    assert_int_equal(w.c.metrics.connections, 0);
    assert_int_equal(w.c.metrics.event_streams, 0);
    assert_int_equal(w.c.metrics.http_connections, 0);
}

static void the_end_is_told(void **state)
{
    (void)state;
    open_stream();
    shard_close(1008, "not_member");
    assert_true(
        world_has(&w, "data: {\"type\":\"close\",\"reason\":\"not_member\"}\n\n\r\n0\r\n\r\n"));
    assert_int_equal(w.c.metrics.event_streams, 0);
    fake_shard_clear(w.shard);
}

static void a_stream_ends_with_its_token(void **state)
{
    (void)state;
    open_stream();
    fake_env_advance(&w.c.env, 3600 * 1000 - 2000);
    assert_false(world_has(&w, "\"close\""));
    fake_env_advance(&w.c.env, 4000); /* without a grace: it cannot take a fresh one */
    assert_true(world_has(&w, "data: {\"type\":\"close\",\"reason\":\"token_expired\"}\n\n"));
    fake_shard_clear(w.shard);
}

static void a_drain_ends_streams(void **state)
{
    (void)state;
    open_stream();
    front_drain(w.front);
    sessions_depart(w.sessions, 1, 10000);
    assert_int_equal(sessions_depart_some(w.sessions, 0), 0);
    fake_env_run(&w.c.env);
    assert_false(world_has(&w, "goaway"));
    assert_true(world_has(&w, "\ndata: {\"type\":\"close\",\"reason\":\"drain\"}\n\n"));
    buf_put_char(&w.client.in, '\0');
    assert_false(buf_failed(&w.client.in));
    assert_non_null(strstr(strstr((char *)w.client.in.data, "retry: ") + 1, "retry: "));
    assert_true(w.client.closed);
    assert_int_equal(w.c.metrics.http_connections, 0);
    ask("GET", "", "", "");
    assert_int_equal(world_status(&w), 503);
    fake_shard_clear(w.shard);
}

static void a_shutdown_with_readers_is_clean(void **state)
{
    (void)state;
    open_stream();
    ask("GET", "", "", ""); /* the first reader is gone; this one waits */
    fake_shard_clear(w.shard);
}

/* ---- in between ---- */

static void a_silent_stream_beats(void **state)
{
    (void)state;
    open_stream();
    fake_env_advance(&w.c.env, EVENT_STREAM_BEAT_MS - 1000);
    assert_false(world_has(&w, "heartbeat"));
    fake_env_advance(&w.c.env, 3000);
    assert_true(world_has(&w, "\r\n: heartbeat\n\n\r\n"));
    buf_clear(&w.client.in);
    fake_env_advance(&w.c.env, EVENT_STREAM_BEAT_MS);
    assert_true(world_has(&w, "heartbeat"));
}

static void a_move_is_not_noticed(void **state)
{
    (void)state;
    open_stream();
    buf_clear(&w.client.in);
    fake_shard_break(w.shard);
    fake_env_advance(&w.c.env, 500);
    expect_attach();
    assert_int_equal(asked.flags, ATTACH_REATTACH | ATTACH_OBSERVER);
    assert_int_equal(asked.last_seq, 5);
    to_attach(6, "{\"n\":6}");
    attached(6);
    room_event(6, 0, "{\"n\":6}");
    room_event(7, 0, "{\"n\":7}");
    assert_true(world_has(&w, "id: 6-g\ndata: {\"n\":6}\n\n"));
    assert_true(world_has(&w, "id: 7-g\ndata: {\"n\":7}\n\n"));
    assert_ptr_equal(memmem(w.client.in.data, w.client.in.len, "id: 6", 5),
                     memmem(w.client.in.data, w.client.in.len, "id: ", 4));
}

static void a_slow_reader_loses_ephemerals_and_is_caught_up(void **state)
{
    static char big[SOCKET_QUEUE_SOFT / 2];
    uint64_t seq = 5;

    (void)state;
    open_stream();
    fake_shard_clear(w.shard);
    memset(big, 'x', sizeof(big) - 1);
    stream_pause(w.client.stream, true);
    while (seq < 30) {
        room_event(++seq, 0, big);
        room_event(0, EVENT_EPHEMERAL, "{\"type\":\"typing\"}");
    }
    assert_true(w.c.metrics.slow_dropped > 0);
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    assert_int_equal(w.c.metrics.event_streams, 1);
    fake_shard_expect_nothing(w.shard);
    stream_pause(w.client.stream, false);
    fake_env_run(&w.c.env);
    expect_attach();
    assert_int_equal(asked.flags, ATTACH_REATTACH | ATTACH_OBSERVER | ATTACH_BEHIND);
    assert_true(asked.last_seq < 30);
    assert_false(world_has(&w, "id: 30-g"));
    to_attach(30, "{\"n\":30}");
    attached(30);
    assert_true(world_has(&w, "id: 30-g\ndata: {\"n\":30}\n\n"));
    assert_int_equal(w.c.metrics.sockets_behind, 0);
    assert_int_equal(w.c.metrics.slow_closed, 0);
}

/* Nothing is taken at all: the connection itself gives up (HTTP_WRITE_TIMEOUT_MS). */
static void a_reader_who_takes_nothing_loses_the_stream(void **state)
{
    static char big[SOCKET_QUEUE_SOFT / 2];
    uint64_t seq = 5;

    (void)state;
    open_stream();
    memset(big, 'x', sizeof(big) - 1);
    stream_pause(w.client.stream, true);
    while (w.c.metrics.sockets_behind == 0 && seq < 30)
        room_event(++seq, 0, big);
    assert_int_equal(w.c.metrics.sockets_behind, 1);
    fake_env_advance(&w.c.env, BEHIND_STALL_MS + 1000);
    assert_int_equal(w.c.metrics.event_streams, 0);
    assert_int_equal(w.c.metrics.sockets_behind, 0);
    fake_shard_clear(w.shard);
}

static void sockets_and_streams_share_a_room(void **state)
{
    (void)state;
    open_stream();
    room_event(6, EVENT_NATIVE_ONLY, "{\"n\":6}");
    room_event(7, 0, "{\"n\":7}");
    assert_false(world_has(&w, "{\"n\":6}"));
    assert_true(world_has(&w, "id: 7-g\ndata: {\"n\":7}\n\n"));
    /* What it says is not read. */
    fake_sink_send(&w.client, SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    fake_env_run(&w.c.env);
    room_event(8, 0, "{\"n\":8}");
    assert_true(world_has(&w, "id: 8-g\ndata: {\"n\":8}\n\n"));
    assert_false(world_has(&w, "302"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_stream_is_frames_as_events, teardown),
        cmocka_unit_test_teardown(http_1_0_gets_no_chunks, teardown),
        cmocka_unit_test_teardown(it_goes_on_where_the_reader_was, teardown),
        cmocka_unit_test_teardown(what_makes_no_stream_is_answered, teardown),
        cmocka_unit_test_teardown(pages_of_other_origins_get_none, teardown),
        cmocka_unit_test_teardown(many_ways_to_accept, teardown),
        cmocka_unit_test_teardown(who_may_not_enter_gets_an_answer, teardown),
        cmocka_unit_test_teardown(the_reader_goes, teardown),
        cmocka_unit_test_teardown(the_end_is_told, teardown),
        cmocka_unit_test_teardown(a_stream_ends_with_its_token, teardown),
        cmocka_unit_test_teardown(a_drain_ends_streams, teardown),
        cmocka_unit_test_teardown(a_shutdown_with_readers_is_clean, teardown),
        cmocka_unit_test_teardown(a_silent_stream_beats, teardown),
        cmocka_unit_test_teardown(a_move_is_not_noticed, teardown),
        cmocka_unit_test_teardown(a_slow_reader_loses_ephemerals_and_is_caught_up, teardown),
        cmocka_unit_test_teardown(sockets_and_streams_share_a_room, teardown),
        cmocka_unit_test_teardown(a_reader_who_takes_nothing_loses_the_stream, teardown),
        cmocka_unit_test_teardown(sockets_and_streams_share_a_room, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
