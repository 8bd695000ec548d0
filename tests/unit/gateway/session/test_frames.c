/*
 * test_frames.c - what clients say: answers given here, refusals, deadlines,
 * bounds on what is unsettled, catch-up pages.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "tests/unit/gateway/session/fake_client.h"

static struct fake_world w;
static struct fake_client ann;
static struct fake_shard *s0 = &w.c.shards[0];

static int setup(void **state)
{
    (void)state;
    fake_world_init(&w, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&w, &ann);
    fake_world_deinit(&w);
    return 0;
}

static void ping_is_answered_here_in_any_state(void **state)
{
    char want[64];

    (void)state;
    client_open(&w, &ann, "ann", "r");
    snprintf(want, sizeof(want), "{\"type\":\"pong\",\"ts\":%lld}",
             (long long)(w.c.env.wall_us / 1000));
    client_say(&ann, "{\"type\":\"ping\"}");
    client_expect(&w, &ann, want);
    fake_shard_expect(s0, MSG_ATTACH);
    fake_shard_expect_nothing(s0);
}

#define NOT_JSON                                                                               \
    "{\"type\":\"error\",\"code\":\"invalid_json\",\"message\":\"Invalid message format or "   \
    "internal error\",\"roomId\":\"r\",\"retryable\":false}"

static void frames_that_cannot_be_taken_are_refused_in_band(void **state)
{
    static const struct {
        const char *frame, *error;
    } cases[] = {
        {"nonsense", NOT_JSON},
        {"[1]", NOT_JSON},
        {"{\"type\":\"message\"", NOT_JSON},
        {"", NOT_JSON},
        {"{}", "{\"type\":\"error\",\"code\":\"unknown_event_type\",\"message\":\"unknown_"
               "event_type\",\"roomId\":\"r\",\"retryable\":false}"},
        {"{\"type\":7}", "{\"type\":\"error\",\"code\":\"unknown_event_type\",\"message\":"
                         "\"unknown_event_type\",\"roomId\":\"r\",\"retryable\":false}"},
        {"{\"type\":\"fly\",\"frameId\":\"f1\",\"clientMessageId\":\"c1\"}",
         "{\"type\":\"error\",\"code\":\"unknown_event_type\",\"message\":\"unknown_event_"
         "type\",\"roomId\":\"r\","
         "\"clientMessageId\":\"c1\",\"frameId\":\"f1\",\"retryable\":false}"},
    };

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        client_say(&ann, cases[i].frame);
        CHECK_SLICE(slice_str(client_next(&w, &ann)), cases[i].error, cases[i].frame);
    }
    fake_shard_expect_nothing(s0);
    assert_int_equal(w.c.metrics.frames_refused, ARRAY_LEN(cases));
}

static void typing_goes_out_without_a_number_the_newest_when_live(void **state)
{
    struct fake_attach a;
    const struct msg *m;

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    client_say(&ann, "{\"type\":\"typing\",\"isTyping\":false}");
    client_say(&ann, "{\"type\":\"typing\",\"isTyping\":true}");
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0);
    shard_attached(s0, &a, 1);
    fake_env_run(&w.c.env);
    CHECK_SLICE(fake_shard_expect(s0, MSG_FRAME)->FRAME.json,
                "{\"type\":\"typing\",\"isTyping\":true}", "the newest");
    fake_shard_expect_nothing(s0);
    client_say(&ann, "{\"type\":\"typing\",\"isTyping\":false}");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    fake_env_run(&w.c.env);
    m = fake_shard_expect(s0, MSG_FRAME);
    assert_int_equal(m->FRAME.n, 0);
    assert_int_equal(m->FRAME.attach, a.number);
    CHECK_SLICE(m->FRAME.json, "{\"type\":\"typing\",\"isTyping\":false}", "json");
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 1);
}

static void a_flood_is_refused_until_the_bucket_fills_again(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    for (unsigned i = 0; i < SESSION_FRAMES_PER_WINDOW; i++) {
        client_say(&ann, "{\"type\":\"ping\"}");
        assert_non_null(strstr(client_next(&w, &ann), "pong"));
    }
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":\"c1\"}");
    client_next(&w, &ann);
    assert_non_null(strstr(ann.text, "\"code\":\"rate_limit_exceeded\""));
    assert_non_null(strstr(ann.text, "\"message\":\"rate_limit_exceeded: retry in 1s\""));
    assert_non_null(strstr(ann.text, "\"clientMessageId\":\"c1\""));
    assert_non_null(strstr(ann.text, "\"retryable\":true"));
    assert_non_null(strstr(ann.text, "\"retryAfterMs\":"));
    fake_shard_expect_nothing(s0);
    fake_env_advance(&w.c.env, SESSION_FRAMES_WINDOW_MS);
    client_say(&ann, "{\"type\":\"ping\"}");
    assert_non_null(strstr(client_next(&w, &ann), "pong"));
}

/* ---- deadlines ---- */

/* What is given up is missing for the shard: frames behind it say so, until one is settled. */
static void frames_behind_one_that_was_given_up_say_so(void **state)
{
    struct fake_attach a;
    const struct msg *m;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    for (unsigned n = 1; n <= 2; n++) {
        client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
        fake_env_run(&w.c.env);
        m = fake_shard_expect(s0, MSG_FRAME);
        assert_int_equal(m->FRAME.n, n);
        assert_int_equal(m->FRAME.flags, 0);
    }
    shard_to_attach(s0, &a, 1, 0, "ack 1");
    client_expect(&w, &ann, "ack 1");
    fake_env_advance(&w.c.env, WRITE_DEADLINE_MS + 2 * SESSION_SWEEP_MS);
    assert_non_null(strstr(client_next(&w, &ann), "outcome_unknown"));
    for (unsigned n = 3; n <= 4; n++) {
        client_say(&ann, "{\"type\":\"message\",\"content\":\"y\"}");
        fake_env_run(&w.c.env);
        m = fake_shard_expect(s0, MSG_FRAME);
        assert_int_equal(m->FRAME.n, n);
        assert_int_equal(m->FRAME.flags, FRAME_GAP); /* 2 is missing */
    }
    shard_to_attach(s0, &a, 3, 0, "ack 3");
    client_expect(&w, &ann, "ack 3");
    client_say(&ann, "{\"type\":\"message\",\"content\":\"z\"}");
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.flags, 0);
}

/* What did not count of a token stream is told to every later owner of the room. */
static void text_that_was_refused_or_given_up_is_told_to_the_next_owner(void **state)
{
    static const char refusal[] = "{\"type\":\"error\",\"code\":\"stream_not_open\"}";
    struct fake_attach a;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    for (unsigned n = 1; n <= 3; n++) {
        client_say(&ann, "{\"type\":\"stream\",\"op\":\"delta\",\"content\":\"x\"}");
        fake_env_run(&w.c.env);
        fake_shard_expect(s0, MSG_FRAME);
    }
    shard_to_attach(s0, &a, 1, 0, "");
    shard_moved(s0, "room/p/r");
    fake_env_advance(&w.c.env, 2000);
    assert_int_equal(fake_shard_expect(s0, MSG_ATTACH)->ATTACH.gap_n, 0);
    a.epoch++;
    shard_to_attach(s0, &a, 2, 0, refusal);
    client_expect(&w, &ann, refusal);
    shard_to_attach(s0, &a, 3, 0, ""); /* something else, which was taken */
    for (unsigned times = 0; times < 2; times++) {
        shard_moved(s0, "room/p/r");
        fake_env_advance(&w.c.env, 2000);
        assert_int_equal(fake_shard_expect(s0, MSG_ATTACH)->ATTACH.gap_n, 3);
    }
    client_say(&ann, "{\"type\":\"message\",\"content\":\"y\"}"); /* waits for an owner */
    fake_env_advance(&w.c.env, WRITE_DEADLINE_MS + 2 * SESSION_SWEEP_MS);
    assert_non_null(strstr(client_next(&w, &ann), "unavailable"));
    shard_moved(s0, "room/p/r");
    fake_env_advance(&w.c.env, 2000);
    assert_int_equal(fake_shard_expect(s0, MSG_ATTACH)->ATTACH.gap_n, 4);
}

static void a_sent_frame_without_an_answer_has_an_unknown_outcome(void **state)
{
    struct fake_attach a;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":\"c1\","
                     "\"frameId\":\"f1\"}");
    fake_env_advance(&w.c.env, WRITE_DEADLINE_MS - 100);
    client_expect_nothing(&w, &ann);
    fake_env_advance(&w.c.env, 2 * SESSION_SWEEP_MS);
    client_expect(&w, &ann,
                  "{\"type\":\"error\",\"code\":\"outcome_unknown\",\"message\":\"outcome_"
                  "unknown\",\"roomId\":\"r\","
                  "\"clientMessageId\":\"c1\",\"frameId\":\"f1\",\"retryable\":true}");
    assert_int_equal(w.c.metrics.frames_expired, 1);
    shard_to_attach(s0, &a, 1, 0, "late ack"); /* good news are passed on all the same */
    client_expect(&w, &ann, "late ack");

    fake_shard_clear(s0);
    fake_shard_break(s0);
    fake_env_advance(&w.c.env, 200);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 1);
    fake_env_run(&w.c.env);
    fake_shard_expect_nothing(s0); /* it was dropped from the queue */
}

static void a_frame_that_was_never_sent_was_not_done(void **state)
{
    struct fake_attach a;

    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    fake_shard_break(s0);
    fake_unlisten(&s0->listener);
    fake_env_run(&w.c.env);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"1\",\"clientMessageId\":\"c1\"}");
    fake_env_advance(&w.c.env, 5000);
    client_say(&ann, "{\"type\":\"message\",\"content\":\"2\",\"clientMessageId\":\"c2\"}");
    fake_env_advance(&w.c.env, WRITE_DEADLINE_MS - 5000 + 2 * SESSION_SWEEP_MS);
    client_next(&w, &ann);
    assert_non_null(strstr(ann.text, "\"code\":\"unavailable\""));
    assert_non_null(strstr(ann.text, "\"clientMessageId\":\"c1\""));
    client_expect_nothing(&w, &ann);

    fake_listen(&w.c.env, &s0->listener);
    fake_env_advance(&w.c.env, 2 * LINK_RETRY_MAX_MS);
    a = shard_expect_attach(&w, s0);
    shard_attached(s0, &a, 1);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 1); /* numbers have no gap */
}

/* ---- bounds ---- */

static void too_many_unsettled_frames_stop_the_reading(void **state)
{
    struct fake_attach a;
    unsigned said = 0;

    (void)state;
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    while (!ann.is_paused && said < 2 * UNACKED_MAX_FRAMES) {
        client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
        said++;
    }
    assert_int_equal(said, UNACKED_MAX_FRAMES + 1);
    shard_to_attach(s0, &a, said - UNACKED_MAX_FRAMES / 2 - 1, 0, "");
    fake_env_run(&w.c.env);
    assert_true(ann.is_paused); /* not for one frame */
    shard_to_attach(s0, &a, said - UNACKED_MAX_FRAMES / 2, 0, "");
    fake_env_run(&w.c.env);
    assert_false(ann.is_paused);
    assert_int_equal(w.c.metrics.paused, 1);
}

static void too_many_unsettled_bytes_stop_the_reading(void **state)
{
    static char big[UNACKED_MAX_BYTES / 4 + 100];
    struct fake_attach a;
    unsigned said = 0;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    memcpy(big, "{\"type\":\"message\",\"content\":\"", 29);
    memcpy(big + sizeof(big) - 3, "\"}", 3);
    a = client_open_live(&w, &ann, "ann", "r", s0, 1);
    while (!ann.is_paused && said < 10) {
        client_say(&ann, big);
        said++;
    }
    assert_int_equal(said, 4);
    shard_to_attach(s0, &a, 3, 0, "");
    fake_env_run(&w.c.env);
    assert_false(ann.is_paused);
}

/* The deadline frees the queue, too: a shard that never answers does not stop the reading for
 * ever. */
static void reading_goes_on_after_the_deadline(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    for (unsigned i = 0; i <= UNACKED_MAX_FRAMES; i++)
        client_say(&ann, "{\"type\":\"message\",\"content\":\"x\"}");
    assert_true(ann.is_paused);
    fake_env_advance(&w.c.env, WRITE_DEADLINE_MS + 2 * SESSION_SWEEP_MS);
    assert_false(ann.is_paused);
    assert_int_equal(w.c.metrics.frames_expired, UNACKED_MAX_FRAMES + 1);
}

static void frames_wait_for_a_full_link_and_keep_their_order(void **state)
{
    static char big[FRAME_MAX_BYTES];
    uint64_t n = 0;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    memcpy(big, "{\"type\":\"message\",\"content\":\"", 29);
    memcpy(big + sizeof(big) - 3, "\"}", 3);
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    for (int i = 0; i < 4; i++)
        client_say(&ann, big);
    fake_env_run(&w.c.env);
    while (fake_shard_count(s0) > 0)
        assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, ++n);
    assert_int_equal(n, 4);
}

/* ---- pages ---- */

static void the_next_page_is_asked_for_when_the_socket_has_drained(void **state)
{
    static char page[SOCKET_QUEUE_SOFT + 1000];
    struct fake_attach a;
    struct msg paged = {.type = MSG_PAGED};

    (void)state;
    client_open(&w, &ann, "ann", "r");
    a = shard_expect_attach(&w, s0);
    paged.PAGED.attach = a.number;
    paged.PAGED.epoch = a.epoch;

    shard_to_attach(s0, &a, 0, 1, "small page");
    fake_shard_send(s0, &paged);
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_MORE)->MORE.attach, a.number);

    fake_stream_hold(ann.stream, true);
    memset(page, 'x', sizeof(page) - 1);
    shard_to_attach(s0, &a, 0, 2, page);
    fake_shard_send(s0, &paged);
    fake_env_advance(&w.c.env, 3000);
    fake_shard_expect_nothing(s0);
    fake_stream_hold(ann.stream, false);
    fake_env_advance(&w.c.env, 2 * SESSION_SWEEP_MS);
    fake_shard_expect(s0, MSG_MORE);
    fake_env_advance(&w.c.env, 3000);
    fake_shard_expect_nothing(s0); /* once per page */
}

static void resume_is_numbered_and_kept_like_a_message(void **state)
{
    (void)state;
    client_open_live(&w, &ann, "ann", "r", s0, 1);
    client_say(&ann, "{\"type\":\"resume\",\"lastSeq\":3}");
    fake_env_run(&w.c.env);
    assert_int_equal(fake_shard_expect(s0, MSG_FRAME)->FRAME.n, 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ping_is_answered_here_in_any_state),
        T(frames_that_cannot_be_taken_are_refused_in_band),
        T(typing_goes_out_without_a_number_the_newest_when_live),
        T(a_flood_is_refused_until_the_bucket_fills_again),
        T(frames_behind_one_that_was_given_up_say_so),
        T(text_that_was_refused_or_given_up_is_told_to_the_next_owner),
        T(a_sent_frame_without_an_answer_has_an_unknown_outcome),
        T(a_frame_that_was_never_sent_was_not_done),
        T(too_many_unsettled_frames_stop_the_reading),
        T(too_many_unsettled_bytes_stop_the_reading),
        T(reading_goes_on_after_the_deadline),
        T(frames_wait_for_a_full_link_and_keep_their_order),
        T(the_next_page_is_asked_for_when_the_socket_has_drained),
        T(resume_is_numbered_and_kept_like_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
