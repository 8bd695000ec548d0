/*
 * test_calls.c - calls to scripted shards: one completion exactly once, retry
 * with the same key after a break or a move, deadlines, bounds.
 */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/link/calls.h"
#include "tests/unit/gateway/fake_shard.h"

static struct fake_cluster c;
static struct calls *calls;

struct outcome {
    unsigned times;
    unsigned status;
    char error[32];
    char body[64];
    uint32_t retry_after_ms;
};

static void on_done(void *arg, const struct call_reply *reply)
{
    struct outcome *out = arg;

    out->times++;
    out->status = reply->status;
    out->retry_after_ms = reply->retry_after_ms;
    snprintf(out->error, sizeof(out->error), "%s", reply->error ? reply->error : "");
    snprintf(out->body, sizeof(out->body), "%.*s", (int)reply->body.len,
             reply->body.len ? reply->body.data : "");
}

static void begin(size_t shards)
{
    fake_cluster_init(&c, shards, "secret");
    assert_int_equal(calls_new(&c.env.env, c.pool, &c.metrics, &calls), 0);
}

static int teardown(void **state)
{
    (void)state;
    calls_free(calls);
    fake_cluster_deinit(&c);
    return 0;
}

static const struct call_params post = {
    .op = CALL_MESSAGE_POST,
    .object = {"room/p/r", 8},
    .project = {"p", 1},
    .user = {"ann", 3},
    .roles = {"member", 6},
    .key = {"k1", 2},
    .params = {"{\"content\":\"hi\"}", 16},
    .trace = {"t1", 2},
};

static struct call *start(const struct call_params *params, struct outcome *out)
{
    struct call *call;

    *out = (struct outcome){0};
    assert_int_equal(calls_start(calls, params, on_done, out, &call), 0);
    assert_int_equal(out->times, 0); /* never before it has returned */
    return call;
}

static void reply(struct fake_shard *s, uint64_t call, uint32_t status, const char *body)
{
    struct msg msg = {.type = MSG_REPLY};

    msg.REPLY.call = call;
    msg.REPLY.status = status;
    msg.REPLY.body = slice_str(body);
    fake_shard_send(s, &msg);
    fake_env_run(&c.env);
}

static void a_call_is_answered_by_the_owner(void **state)
{
    struct outcome out;
    struct fake_shard *owner;
    const struct msg *m;

    (void)state;
    begin(3);
    fake_env_run(&c.env);
    owner = fake_cluster_owner(&c, 7, "room/p/r");
    start(&post, &out);
    fake_env_run(&c.env);
    m = fake_shard_expect(owner, MSG_CALL);
    assert_int_equal(m->CALL.op, CALL_MESSAGE_POST);
    CHECK_SLICE(m->CALL.object, "room/p/r", "object");
    CHECK_SLICE(m->CALL.user, "ann", "user");
    CHECK_SLICE(m->CALL.roles, "member", "roles");
    CHECK_SLICE(m->CALL.key, "k1", "key");
    CHECK_SLICE(m->CALL.params, "{\"content\":\"hi\"}", "params");
    CHECK_SLICE(m->CALL.trace, "t1", "trace");
    assert_int_equal(m->CALL.deadline_ms, CALL_DEADLINE_MS);
    reply(owner, m->CALL.call, 200, "{\"ok\":true}");
    assert_int_equal(out.times, 1);
    assert_int_equal(out.status, 200);
    assert_string_equal(out.body, "{\"ok\":true}");
    assert_string_equal(out.error, "");
    assert_int_equal(calls_pending(calls), 0);
    assert_int_equal(c.metrics.calls_MESSAGE_POST, 1);
    assert_int_equal(c.metrics.call_errors_MESSAGE_POST, 0);
}

static void a_second_reply_changes_nothing(void **state)
{
    struct outcome out;
    uint64_t number;

    (void)state;
    begin(1);
    fake_env_run(&c.env);
    start(&post, &out);
    fake_env_run(&c.env);
    number = fake_shard_expect(&c.shards[0], MSG_CALL)->CALL.call;
    reply(&c.shards[0], number, 200, "{}");
    reply(&c.shards[0], number, 500, "{}");
    fake_env_advance(&c.env, 2 * CALL_DEADLINE_MS);
    assert_int_equal(out.times, 1);
    assert_int_equal(out.status, 200);
}

static void calls_without_an_object_are_spread(void **state)
{
    struct call_params lookup = {.op = CALL_KEY_LOOKUP, .params = SLICE_LIT("{}")};
    struct outcome out[4];

    (void)state;
    begin(2);
    fake_env_run(&c.env);
    for (size_t i = 0; i < ARRAY_LEN(out); i++)
        start(&lookup, &out[i]);
    fake_env_run(&c.env);
    assert_int_equal(fake_shard_count(&c.shards[0]), 2);
    assert_int_equal(fake_shard_count(&c.shards[1]), 2);
}

static void a_call_without_a_key_gets_one_that_stays(void **state)
{
    struct call_params params = post;
    struct outcome out;
    char key[64];
    const struct msg *m;

    (void)state;
    begin(1);
    params.key = (struct slice){0};
    fake_env_run(&c.env);
    start(&params, &out);
    fake_env_run(&c.env);
    m = fake_shard_expect(&c.shards[0], MSG_CALL);
    assert_true(m->CALL.key.len > 2);
    snprintf(key, sizeof(key), "%.*s", (int)m->CALL.key.len, m->CALL.key.data);
    fake_shard_break(&c.shards[0]);
    fake_env_advance(&c.env, 200);
    m = fake_shard_expect(&c.shards[0], MSG_CALL);
    CHECK_SLICE(m->CALL.key, key, "the same key");
}

static void a_broken_link_is_retried_until_it_is_back(void **state)
{
    struct outcome out;
    const struct msg *m;

    (void)state;
    begin(1);
    fake_env_run(&c.env);
    start(&post, &out);
    fake_env_run(&c.env);
    fake_shard_expect(&c.shards[0], MSG_CALL);
    fake_shard_break(&c.shards[0]);
    fake_unlisten(&c.shards[0].listener);
    fake_env_advance(&c.env, 3000);
    assert_int_equal(out.times, 0);
    fake_listen(&c.env, &c.shards[0].listener);
    fake_env_advance(&c.env, LINK_RETRY_MAX_MS * 2);
    m = fake_shard_expect(&c.shards[0], MSG_CALL);
    CHECK_SLICE(m->CALL.key, "k1", "the same key");
    assert_in_range(m->CALL.deadline_ms, 1, CALL_DEADLINE_MS - 3000); /* what is left of it */
    fake_shard_expect_nothing(&c.shards[0]);
    reply(&c.shards[0], m->CALL.call, 200, "{}");
    assert_int_equal(out.times, 1);
    assert_int_equal(c.metrics.calls_retried, 1);
}

static void what_must_not_be_done_twice_is_sent_once(void **state)
{
    struct call_params once = post;
    struct outcome out;

    (void)state;
    begin(1);
    fake_env_run(&c.env);
    once.op = CALL_EVENT_TRIGGER;
    once.once = true;
    start(&once, &out);
    fake_env_run(&c.env);
    fake_shard_expect(&c.shards[0], MSG_CALL);
    fake_shard_break(&c.shards[0]);
    fake_env_advance(&c.env, 500);
    assert_int_equal(out.times, 1);
    assert_string_equal(out.error, "outcome_unknown");
    fake_shard_expect_nothing(&c.shards[0]);
    /* What has not gone out waits for a link as ever. */
    fake_shard_break(&c.shards[0]);
    fake_env_run(&c.env);
    start(&once, &out);
    fake_env_advance(&c.env, 500);
    reply(&c.shards[0], fake_shard_expect(&c.shards[0], MSG_CALL)->CALL.call, 200, "{}");
    assert_int_equal(out.status, 200);
    assert_int_equal(c.metrics.calls_pending, 0);
}

static void a_move_is_looked_up_again(void **state)
{
    struct outcome out;
    struct fake_shard *old_owner, *new_owner;
    uint64_t number;
    unsigned rest;

    (void)state;
    begin(2);
    fake_env_run(&c.env);
    old_owner = fake_cluster_owner(&c, 3, "room/p/r");
    rest = 3 & ~fake_cluster_bit(&c, old_owner);
    start(&post, &out);
    fake_env_run(&c.env);
    number = fake_shard_expect(old_owner, MSG_CALL)->CALL.call;
    reply(old_owner, number, 421, "");
    assert_int_equal(out.times, 0);
    assert_true(c.stale > 0);

    fake_env_advance(
        &c.env, 1000); /* by our ring it is still the same owner: with pauses that double */
    assert_in_range(fake_shard_count(old_owner), 1, 7);

    fake_cluster_set_ring(&c, rest);
    new_owner = fake_cluster_owner(&c, rest, "room/p/r");
    while (fake_shard_count(old_owner) > 0)
        reply(old_owner, fake_shard_expect(old_owner, MSG_CALL)->CALL.call, 421, "");
    fake_env_advance(&c.env, 1500);
    assert_int_equal(fake_shard_expect(new_owner, MSG_CALL)->CALL.call, number);
    reply(new_owner, number, 201, "{}");
    assert_int_equal(out.times, 1);
    assert_int_equal(out.status, 201);
}

/* The last owner may still have the room; when it has not, the new one is asked at once. */
static void the_last_owner_of_a_room_is_asked_first(void **state)
{
    struct outcome out;
    struct fake_shard *from, *to;
    uint64_t number;

    (void)state;
    begin(2);
    fake_env_run(&c.env);
    from = fake_cluster_owner(&c, 3, "room/p/r");
    to = fake_cluster_owner(&c, 3 & ~fake_cluster_bit(&c, from), "room/p/r");
    fake_cluster_drain(&c, 3, fake_cluster_bit(&c, from));
    fake_env_run(&c.env);
    start(&post, &out);
    fake_env_run(&c.env);
    number = fake_shard_expect(from, MSG_CALL)->CALL.call;
    reply(from, number, 421, "");
    assert_int_equal(fake_shard_expect(to, MSG_CALL)->CALL.call, number);
    reply(to, number, 421, ""); /* the rings differ: now it takes its time */
    fake_shard_expect_nothing(from);
    fake_shard_expect_nothing(to);
    fake_env_advance(&c.env, 2 * MOVED_RETRY_MIN_MS);
    fake_shard_expect_nothing(from);
    assert_int_equal(fake_shard_expect(to, MSG_CALL)->CALL.call, number);
    reply(to, number, 200, "{}");
    assert_int_equal(out.status, 200);
}

static void nobody_there_is_unavailable_at_the_deadline(void **state)
{
    struct outcome out;

    (void)state;
    begin(1);
    fake_unlisten(&c.shards[0].listener);
    fake_env_run(&c.env);
    start(&post, &out);
    fake_env_advance(&c.env, CALL_DEADLINE_MS - 1);
    assert_int_equal(out.times, 0);
    fake_env_advance(&c.env, 1);
    assert_int_equal(out.times, 1);
    assert_int_equal(out.status, 503);
    assert_string_equal(out.error, "unavailable");
    assert_true(out.retry_after_ms > 0);
}

static void no_answer_is_an_unknown_outcome_only_for_a_change(void **state)
{
    struct call_params read = post, edit = post;
    struct outcome write_out, read_out, edit_out;

    (void)state;
    begin(1);
    fake_env_run(&c.env);
    read.op = CALL_HISTORY;
    start(&post, &write_out);
    start(&read, &read_out);
    edit.op = CALL_MESSAGE_EDIT;
    start(&edit, &edit_out);
    fake_env_advance(&c.env, CALL_DEADLINE_MS);
    assert_string_equal(write_out.error, "outcome_unknown");
    assert_string_equal(edit_out.error, "outcome_unknown");
    assert_string_equal(read_out.error, "unavailable");
    assert_int_equal(c.metrics.calls_expired, 3);
    assert_int_equal(c.metrics.call_errors_HISTORY, 1);
}

static void a_cancelled_call_is_never_answered(void **state)
{
    struct outcome out;
    struct call *call;
    uint64_t number;

    (void)state;
    begin(1);
    fake_env_run(&c.env);
    call = start(&post, &out);
    fake_env_run(&c.env);
    number = fake_shard_expect(&c.shards[0], MSG_CALL)->CALL.call;
    call_cancel(call);
    reply(&c.shards[0], number, 200, "{}");
    fake_env_advance(&c.env, 2 * CALL_DEADLINE_MS);
    assert_int_equal(out.times, 0);
    assert_int_equal(calls_pending(calls), 0);
}

static void more_than_may_be_pending_are_refused(void **state)
{
    struct call_params read = {.op = CALL_HISTORY, .object = SLICE_LIT("room/p/r")};
    struct outcome out = {0};
    struct call *call;

    (void)state;
    begin(1);
    for (unsigned i = 0; i < CALLS_IN_FLIGHT_MAX; i++)
        assert_int_equal(calls_start(calls, &read, on_done, &out, &call), 0);
    assert_int_equal(calls_start(calls, &read, on_done, &out, &call), CALLS_OVERLOADED);
    assert_int_equal(c.metrics.calls_overloaded, 1);
    fake_unlisten(&c.shards[0].listener);
    fake_env_advance(&c.env, CALL_DEADLINE_MS);
    assert_int_equal(out.times, CALLS_IN_FLIGHT_MAX);
    assert_int_equal(calls_start(calls, &read, on_done, &out, &call), 0);
}

/* A completion starts the next call and cancels another one. */
static struct call *to_cancel;

static void on_done_restart(void *arg, const struct call_reply *in)
{
    struct call *call;

    on_done(arg, in);
    call_cancel(to_cancel);
    to_cancel = NULL;
    if (((struct outcome *)arg)->times < 3)
        assert_int_equal(calls_start(calls, &post, on_done_restart, arg, &call), 0);
}

static void a_completion_may_start_and_cancel_calls(void **state)
{
    struct outcome out = {0}, other;
    struct call *call;

    (void)state;
    begin(1);
    fake_env_run(&c.env);
    assert_int_equal(calls_start(calls, &post, on_done_restart, &out, &call), 0);
    to_cancel = start(&post, &other);
    fake_env_advance(&c.env, 4 * CALL_DEADLINE_MS);
    assert_int_equal(out.times, 3);
    assert_int_equal(other.times, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_call_is_answered_by_the_owner, teardown),
        cmocka_unit_test_teardown(a_second_reply_changes_nothing, teardown),
        cmocka_unit_test_teardown(calls_without_an_object_are_spread, teardown),
        cmocka_unit_test_teardown(a_call_without_a_key_gets_one_that_stays, teardown),
        cmocka_unit_test_teardown(a_broken_link_is_retried_until_it_is_back, teardown),
        cmocka_unit_test_teardown(what_must_not_be_done_twice_is_sent_once, teardown),
        cmocka_unit_test_teardown(a_move_is_looked_up_again, teardown),
        cmocka_unit_test_teardown(the_last_owner_of_a_room_is_asked_first, teardown),
        cmocka_unit_test_teardown(nobody_there_is_unavailable_at_the_deadline, teardown),
        cmocka_unit_test_teardown(no_answer_is_an_unknown_outcome_only_for_a_change, teardown),
        cmocka_unit_test_teardown(a_cancelled_call_is_never_answered, teardown),
        cmocka_unit_test_teardown(more_than_may_be_pending_are_refused, teardown),
        cmocka_unit_test_teardown(a_completion_may_start_and_cancel_calls, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
