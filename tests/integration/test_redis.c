/* test_redis.c - the Redis connection against a real server that is killed, paused and emptied.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/net/redis.h"
#include "tests/support/redis_server.h"
#include "tests/support/test.h"
#include "tests/unit/net/net_fixture.h"

struct client {
    struct redis *redis;
    int ups, downs;
    struct buf messages;
};

struct answer {
    int count, r;
    long long integer;
    char text[64];
};

static struct net_fixture f;
static struct redis_server server;

static int setup(void **state)
{
    (void)state;
    net_setup(&f, 0);
    redis_server_start(&server, "s3cret");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_server_kill(&server);
    net_teardown(&f);
    return 0;
}

static void on_up(void *owner)
{
    ((struct client *)owner)->ups++;
}

static void on_down(void *owner)
{
    ((struct client *)owner)->downs++;
}

static void on_message(void *owner, struct slice payload)
{
    struct client *c = owner;

    buf_put_slice(&c->messages, payload);
    buf_put_char(&c->messages, ';');
}

static const struct redis_events client_events = {on_up, on_down, on_message};

static void open_client(struct client *c, const char *url, const char *channel)
{
    struct redis_target target;
    char error[REDIS_ERROR_TEXT];

    *c = (struct client){0};
    assert_int_equal(redis_target_parse(url, &target, error), 0);
    assert_int_equal(redis_new(f.loop, &target, channel, &client_events, c, &c->redis), 0);
    redis_target_deinit(&target);
    assert_int_equal(c->ups, 0);
}

static void close_client(struct client *c)
{
    redis_free(c->redis);
    buf_deinit(&c->messages);
    net_turn(&f);
}

static void on_answer(void *arg, int r, const struct redisReply *reply)
{
    struct answer *a = arg;

    a->count++;
    a->r = r;
    if (!reply)
        return;
    a->integer = reply->integer;
    if (reply->str)
        snprintf(a->text, sizeof(a->text), "%s", reply->str);
}

static int send2(struct client *c, const char *verb, const char *key, struct answer *a)
{
    struct slice args[2] = {slice_str(verb), slice_str(key)};

    return redis_command(c->redis, args, 2, on_answer, a);
}

static void commands_are_answered_in_order(void **state)
{
    struct client c;
    struct answer answers[300] = {0};

    (void)state;
    open_client(&c, server.url, NULL);
    assert_int_equal(send2(&c, "INCR", "n", &answers[0]), -ENOTCONN);
    NET_UNTIL(&f, c.ups == 1);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        assert_int_equal(send2(&c, "INCR", "n", &answers[i]), 0);
    assert_int_equal(answers[0].count, 0);
    NET_UNTIL(&f, answers[ARRAY_LEN(answers) - 1].count == 1);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].r, 0);
        assert_int_equal(answers[i].integer, (long long)i + 1);
    }
    close_client(&c);
}

static void error_replies_are_replies(void **state)
{
    struct client c;
    struct answer a = {0};

    (void)state;
    open_client(&c, server.url, NULL);
    NET_UNTIL(&f, c.ups == 1);
    assert_int_equal(send2(&c, "NONSENSE", "x", &a), 0);
    NET_UNTIL(&f, a.count == 1);
    assert_int_equal(a.r, 0);
    assert_non_null(strstr(a.text, "ERR"));
    assert_true(redis_is_up(c.redis));
    close_client(&c);
}

static void databases_are_separate(void **state)
{
    struct client zero, two;
    struct answer a = {0}, b = {0};
    char url[128];

    (void)state;
    snprintf(url, sizeof(url), "%s/2", server.url);
    open_client(&zero, server.url, NULL);
    open_client(&two, url, NULL);
    NET_UNTIL(&f, zero.ups == 1 && two.ups == 1);
    assert_int_equal(send2(&zero, "INCR", "n", &a), 0);
    NET_UNTIL(&f, a.count == 1);
    assert_int_equal(send2(&two, "INCR", "n", &b), 0);
    NET_UNTIL(&f, b.count == 1);
    assert_int_equal(a.integer, 1);
    assert_int_equal(b.integer, 1);
    close_client(&zero);
    close_client(&two);
}

static void wrong_password_never_comes_up(void **state)
{
    struct client c;
    char url[64];
    uint64_t end = net_clock_ms() + 500;

    (void)state;
    snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", server.port);
    open_client(&c, url, NULL);
    while (net_clock_ms() < end)
        net_turn(&f);
    assert_int_equal(c.ups, 0);
    close_client(&c);
}

static void killed_server_is_found_again(void **state)
{
    struct client c;
    struct answer a = {0}, b = {0};

    (void)state;
    open_client(&c, server.url, NULL);
    NET_UNTIL(&f, c.ups == 1);
    redis_server_pause(&server, 1);
    assert_int_equal(send2(&c, "INCR", "n", &a), 0);
    net_turn(&f);
    redis_server_kill(&server);
    NET_UNTIL(&f, a.count == 1 && c.downs == 1);
    assert_int_equal(a.r, -ECONNRESET);
    assert_int_equal(send2(&c, "INCR", "n", &b), -ENOTCONN);
    redis_server_restart(&server);
    NET_UNTIL(&f, c.ups == 2);
    assert_int_equal(send2(&c, "INCR", "n", &b), 0);
    NET_UNTIL(&f, b.count == 1);
    assert_int_equal(b.integer, 1); /* it has forgotten */
    close_client(&c);
}

static void silent_server_runs_into_the_deadline(void **state)
{
    struct client c;
    struct answer a = {0};
    uint64_t begin;

    (void)state;
    open_client(&c, server.url, NULL);
    NET_UNTIL(&f, c.ups == 1);
    redis_server_pause(&server, 1);
    begin = net_clock_ms();
    assert_int_equal(send2(&c, "INCR", "n", &a), 0);
    NET_UNTIL(&f, a.count == 1);
    assert_int_equal(a.r, -ETIMEDOUT);
    assert_in_range(net_clock_ms() - begin, REDIS_COMMAND_MS - 50, 3 * REDIS_COMMAND_MS);
    redis_server_pause(&server, 0);
    NET_UNTIL(&f, c.ups == 2);
    close_client(&c);
}

static void free_it(void *arg, int r, const struct redisReply *reply)
{
    struct client *c = arg;

    (void)r;
    (void)reply;
    redis_free(TAKE(c->redis));
}

static void freeing_inside_an_answer_is_safe(void **state)
{
    struct client c;
    struct slice args[1] = {SLICE_LIT("PING")};
    struct answer a = {0};

    (void)state;
    open_client(&c, server.url, NULL);
    NET_UNTIL(&f, c.ups == 1);
    assert_int_equal(redis_command(c.redis, args, 1, free_it, &c), 0);
    assert_int_equal(redis_command(c.redis, args, 1, on_answer, &a), 0);
    NET_UNTIL(&f, !c.redis);
    net_turn(&f);
    assert_int_equal(a.count, 0);
    assert_int_equal(c.downs, 0);
}

static void subscriber_hears_and_comes_back(void **state)
{
    struct client sub, c;
    struct slice args[3] = {SLICE_LIT("PUBLISH"), SLICE_LIT("news"), SLICE_LIT("one")};
    struct answer a = {0};

    (void)state;
    open_client(&sub, server.url, "news");
    open_client(&c, server.url, NULL);
    NET_UNTIL(&f, sub.ups == 1 && c.ups == 1);
    assert_int_equal(redis_command(c.redis, args, 3, on_answer, &a), 0);
    NET_UNTIL(&f, sub.messages.len == 4);
    assert_int_equal(a.integer, 1);
    redis_server_kill(&server);
    redis_server_restart(&server);
    NET_UNTIL(&f, sub.ups == 2 && c.ups == 2);
    args[2] = SLICE_LIT("two");
    assert_int_equal(redis_command(c.redis, args, 3, on_answer, &a), 0);
    NET_UNTIL(&f, sub.messages.len == 8);
    CHECK_SLICE(buf_slice(&sub.messages), "one;two;", "messages");
    close_client(&sub);
    close_client(&c);
}

/* A server that vanishes without a word while nothing is asked of it. */
static void subscriber_notices_silence(void **state)
{
    struct client sub;
    uint64_t end = net_clock_ms() + REDIS_PING_MS * 2 + REDIS_COMMAND_MS * 2;

    (void)state;
    open_client(&sub, server.url, "news");
    NET_UNTIL(&f, sub.ups == 1);
    redis_server_pause(&server, 1);
    while (sub.downs == 0 && net_clock_ms() < end)
        net_turn(&f);
    assert_int_equal(sub.downs, 1);
    redis_server_pause(&server, 0);
    NET_UNTIL(&f, sub.ups == 2);
    close_client(&sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(commands_are_answered_in_order),   T(error_replies_are_replies),
        T(databases_are_separate),           T(wrong_password_never_comes_up),
        T(killed_server_is_found_again),     T(silent_server_runs_into_the_deadline),
        T(freeing_inside_an_answer_is_safe), T(subscriber_hears_and_comes_back),
        T(subscriber_notices_silence),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
