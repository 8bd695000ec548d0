/* test_session_failalloc.c - opening a session, entering a room and talking, with every
 * allocation failing in turn. */
#include "tests/support/test.h"

#include <errno.h>

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

static const struct stream_ops sink_ops = {sink_write, sink_pause, sink_close};

/* ---- the edge ---- */

static bool is_open;

static void on_close(void *owner, unsigned code, struct slice reason)
{
    (void)owner;
    (void)reason;
    assert_int_equal(code, 1013);
    assert_true(failalloc_has_failed());
    is_open = false;
}

static void on_pause(void *owner, bool paused)
{
    (void)owner;
    (void)paused;
}

static const struct session_events events = {on_close, on_pause};

static void talk(struct session *s)
{
    static const char *const frames[] = {
        "{\"type\":\"message\",\"content\":\"x\"}",
        "{\"type\":\"message\",\"content\":\"y\"}",
        "{\"type\":\"ping\"}",
        "nonsense",
    };

    for (size_t i = 0; i < ARRAY_LEN(frames) && is_open; i++)
        session_on_text(s, slice_str(frames[i]));
}

static int open_and_enter(struct sessions *all, struct stream *stream)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = SLICE_LIT("ann"),
                                    .roles = SLICE_LIT("member"),
                                    .user_info = SLICE_LIT("{}")};
    struct enter_params enter = {
        .room = SLICE_LIT("r"), .generation = SLICE_LIT("g"), .trace = SLICE_LIT("t")};
    struct session *s;
    int r;

    r = session_open(all, &params, stream, &events, NULL, &s);
    if (r < 0)
        return r;
    is_open = true;
    r = session_enter(s, &enter);
    if (r == 0)
        talk(s);
    if (is_open)
        session_close(s);
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
    r = open_and_enter(all, &stream);
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    r = open_and_enter(all, &stream); /* one failure spoils nothing for the next */
    assert_true(r == 0 || (r == -ENOMEM && failalloc_has_failed()));
    assert_int_equal(sessions_count(all), 0);
    sessions_free(all);
    env_end_turn(&c.env.env);
    assert_int_equal(c.metrics.connections, 0);
    assert_int_equal(c.metrics.attaches, 0);
    assert_int_equal(c.metrics.rooms, 0);
}

static void a_session_survives_every_failing_allocation(void **state)
{
    (void)state;
    fake_cluster_init(&c, 1, "");
    assert_true(failalloc_run(one_life, NULL) > 15);
    fake_cluster_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_survives_every_failing_allocation)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
