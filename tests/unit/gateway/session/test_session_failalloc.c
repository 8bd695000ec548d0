/*
 * test_session_failalloc.c - opening a session, entering a room and talking; opening links
 * and making a call: with every allocation failing in turn.
 */
#include "tests/support/test.h"

#include <errno.h>

#include "gateway/link/calls.h"
#include "gateway/session/kick.h"
#include "gateway/session/session.h"
#include "tests/support/failalloc.h"
#include "tests/unit/gateway/fake_shard.h"

static struct fake_cluster c;

/* ---- a stream that takes everything and allocates nothing ---- */

static int sink_write(struct stream *s, struct blob *blob)
{
    (void)s;
    (void)blob;
    return 0;
}

static void sink_pause(struct stream *s, bool paused)
{
    (void)s;
    (void)paused;
}

static void sink_close(struct stream *s, bool flush)
{
    (void)s;
    (void)flush;
}

static const struct stream_ops sink_ops = {
    .write = sink_write, .pause = sink_pause, .close = sink_close};

/* ---- the edge ---- */

static bool is_open;

static void on_close(void *owner, unsigned code, struct slice reason)
{
    (void)owner;
    (void)reason;
    if (code != 4001) { /* not kicked */
        assert_int_equal(code, 1013);
        assert_true(failalloc_has_failed());
    }
    is_open = false;
}

static void on_pause(void *owner, bool paused)
{
    (void)owner;
    (void)paused;
}

static const struct session_events events = {.on_close = on_close, .on_pause = on_pause};

static const char *const of_one_room[] = {
    "{\"type\":\"message\",\"content\":\"x\"}",
    "{\"type\":\"message\",\"content\":\"y\"}",
    "{\"type\":\"ping\"}",
    "nonsense",
    NULL,
};

static const char *const of_many_rooms[] = {
    "{\"type\":\"subscribe\",\"roomId\":\"r\",\"frameId\":\"f\"}",
    "{\"type\":\"subscribe\",\"roomId\":\"q\",\"lastSeq\":7,\"generation\":\"g\"}",
    "{\"type\":\"message\",\"roomId\":\"r\",\"content\":\"x\"}",
    "{\"type\":\"subscribe\",\"roomId\":\"r\"}",
    "{\"type\":\"unsubscribe\",\"roomId\":\"r\"}",
    "{\"type\":\"message\",\"roomId\":\"q\",\"content\":\"x\"}",
    NULL,
};

static void talk(struct session *s, const char *const *frames)
{
    for (; *frames && is_open; frames++)
        session_on_text(s, slice_str(*frames));
}

/* A fresh token with other words in it. */
static void refresh(struct session *s)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .roles = SLICE_LIT("admin"),
                                    .token_id = SLICE_LIT("another id")};
    int r = is_open ? session_refresh(s, &params, SLICE_LIT("f")) : 0;

    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
}

static int open_and_enter(struct sessions *all, struct stream *stream, bool many_rooms)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .roles = SLICE_LIT("member"),
                                    .user_info = SLICE_LIT("{}"),
                                    .token_id = SLICE_LIT("id"),
                                    .many_rooms = many_rooms};
    struct enter_params enter = {
        .room = SLICE_LIT("r"), .generation = SLICE_LIT("g"), .trace = SLICE_LIT("t")};
    struct session_sink sink = {.framing = FRAMING_WEBSOCKET, .stream = stream};
    struct session *s;
    int r;

    r = session_open(all, &params, &sink, &events, NULL, &s);
    if (r < 0)
        return r;
    is_open = true;
    r = many_rooms ? 0 : session_enter(s, &enter);
    if (r == 0)
        talk(s, many_rooms ? of_many_rooms : of_one_room);
    if (r == 0)
        refresh(s);
    if (is_open)
        session_close(s);
    is_open = false;
    return r;
}

/* A revocation is not lost for want of memory. */
static int listen_until_kicked(struct sessions *all, struct stream *stream)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .roles = SLICE_LIT("member"),
                                    .token_id = SLICE_LIT("id")};
    struct session_sink sink = {.framing = FRAMING_WEBSOCKET, .stream = stream};
    struct msg_KICK kick = {.project = SLICE_LIT("p"),
                            .user = SLICE_LIT("ann"),
                            .token_id = SLICE_LIT("id"),
                            .code = 4001,
                            .reason = SLICE_LIT("why")};
    struct session *s;
    int r = session_open(all, &params, &sink, &events, NULL, &s);

    if (r < 0)
        return r;
    is_open = true;
    r = session_enter_user_channel(s, SLICE_LIT("t"));
    if (r == 0)
        kick_on_message(all, NULL, &kick);
    else
        session_close(s);
    assert_true(r < 0 || !is_open);
    is_open = false;
    return r;
}

static void one_life(void *arg)
{
    struct stream stream = {.ops = &sink_ops};
    struct sessions_config config = {0};
    struct sessions *all;
    int r;

    (void)arg;
    r = sessions_new(&c.env.env, c.pool, &c.metrics, &config, &all);
    if (r < 0) {
        assert_int_equal(r, -ENOMEM);
        env_end_turn(&c.env.env);
        return;
    }
    r = open_and_enter(all, &stream, false);
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    r = open_and_enter(all, &stream, true);
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    r = open_and_enter(all, &stream, false); /* one failure spoils nothing for the next */
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    r = listen_until_kicked(all, &stream);
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    assert_int_equal(sessions_count(all), 0);
    sessions_free(all);
    env_end_turn(&c.env.env);
    assert_int_equal(c.metrics.connections, 0);
    assert_int_equal(c.metrics.attaches, 0);
    assert_int_equal(c.metrics.rooms, 0);
    assert_int_equal(c.metrics.user_channels, 0);
}

static void a_session_survives_every_failing_allocation(void **state)
{
    (void)state;
    fake_cluster_init(&c, 1, "");
    assert_true(failalloc_run(one_life, NULL) > 15);
    fake_cluster_deinit(&c);
}

/* ---- links and calls ---- */

static void ignore_reply(void *arg, const struct call_reply *reply)
{
    (void)arg;
    (void)reply;
}

static void ignore_evidence(void *owner, struct slice node_id, enum link_evidence evidence)
{
    (void)owner;
    (void)node_id;
    (void)evidence;
}

static void call_once(struct link_pool *pool)
{
    struct call_params params = {
        .op = CALL_HISTORY, .object = SLICE_LIT("room/p/r"), .params = SLICE_LIT("{}")};
    struct calls *calls;
    struct call *call;
    int r;

    if (calls_new(&c.env.env, pool, &c.metrics, &calls) < 0)
        return;
    r = calls_start(calls, &params, ignore_reply, NULL, &call);
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    assert_int_equal(calls_pending(calls), r == 0);
    calls_free(calls);
}

static void one_pool(void *arg)
{
    static const struct link_pool_hooks hooks = {.on_evidence = ignore_evidence};
    struct link_pool_config config = {
        .node_id = SLICE_LIT("g"), .incarnation = 1, .secret = SLICE_LIT("s")};
    struct link_pool *pool;
    int r;

    r = link_pool_new(&c.env.env, &c.metrics, &config, &hooks, NULL, &pool);
    if (r == 0) {
        r = link_pool_set_ring(pool, arg);
        assert_true(r == 0 || failalloc_has_failed());
        r = link_pool_set_ring(pool, arg); /* what was missed is made up for */
        assert_true(r == 0 || failalloc_has_failed());
        call_once(pool);
        link_pool_free(pool);
    }
    env_end_turn(&c.env.env);
    assert_int_equal(c.metrics.calls_pending, 0);
}

static void links_and_calls_survive_every_failing_allocation(void **state)
{
    struct ring_member members[2] = {
        {.id = SLICE_LIT("a"), .address = SLICE_LIT("a:1"), .incarnation = 1, .weight = 1},
        {.id = SLICE_LIT("b"), .address = SLICE_LIT("b:1"), .incarnation = 1, .weight = 1}};
    struct ring *ring;

    (void)state;
    fake_cluster_init(&c, 1, "");
    assert_int_equal(ring_new(1, members, 2, &ring), 0);
    assert_true(failalloc_run(one_pool, ring) > 10);
    ring_unref(ring);
    fake_cluster_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_survives_every_failing_allocation),
        cmocka_unit_test(links_and_calls_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
