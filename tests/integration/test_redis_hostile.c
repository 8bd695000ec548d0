/*
 * test_redis_hostile.c - a server that greets like Redis and then answers whatever
 * the test says: half replies, endless ones, nonsense, refusals. Each command is
 * answered once all the same, and the connection comes back.
 */
#include <errno.h>
#include <hiredis/hiredis.h>

#include "common/base/limits.h"
#include "common/net/redis.h"
#include "tests/support/test.h"
#include "tests/unit/net/net_fixture.h"

static struct net_fixture f;
static struct redis *redis;
static int ups, downs;
static const char *answer; /* what the server says to a command; NULL: nothing */
static size_t flood;       /* and that often */

static void on_up(void *owner)
{
    (void)owner;
    ups++;
}

static void on_down(void *owner)
{
    (void)owner;
    downs++;
}

static const struct redis_events events = {.on_up = on_up, .on_down = on_down};

static void serve(struct peer *peer, struct slice bytes)
{
    if (memmem(bytes.data, bytes.len, "PING", 4)) {
        peer_send(peer, "+PONG\r\n");
        return;
    }
    for (size_t i = 0; answer && peer->stream && i < flood; i++)
        peer_send(peer, answer);
}

static int setup(void **state)
{
    struct redis_target target;
    char url[ADDR_TEXT_MAX + 16], error[REDIS_ERROR_TEXT];

    (void)state;
    net_setup(&f, 0);
    ups = downs = 0;
    answer = NULL;
    flood = 1;
    for (size_t i = 0; i < NET_PEERS; i++)
        f.servers[i].on_bytes = serve;
    snprintf(url, sizeof(url), "redis://%s", f.address);
    assert_int_equal(redis_target_parse(url, &target, error), 0);
    assert_int_equal(redis_new(f.loop, &target, NULL, &events, NULL, &redis), 0);
    redis_target_deinit(&target);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_free(redis);
    net_turn(&f);
    net_teardown(&f);
    return 0;
}

struct got {
    int count, r;
    bool is_error;
};

static void on_answer(void *arg, int r, const struct redisReply *reply)
{
    struct got *got = arg;

    got->count++;
    got->r = r;
    got->is_error = reply && reply->type == REDIS_REPLY_ERROR;
}

static struct got ask(void)
{
    struct slice args[1] = {SLICE_LIT("DBSIZE")};
    struct got got = {0};

    NET_UNTIL(&f, redis_is_up(redis));
    assert_int_equal(redis_command(redis, args, 1, on_answer, &got), 0);
    NET_UNTIL(&f, got.count > 0);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    assert_int_equal(got.count, 1);
    return got;
}

struct nonsense {
    const char *what, *answer;
    size_t flood;
    int r; /* what the command gets */
};

static const struct nonsense nonsenses[] = {
    {"no answer", NULL, 1, -ETIMEDOUT},
    {"half a number", ":12", 1, -ETIMEDOUT},
    {"half a string", "$100\r\nabc", 1, -ETIMEDOUT},
    {"half an array", "*3\r\n:1\r\n", 1, -ETIMEDOUT},
    {"no RESP", "HTTP/1.1 400 Bad Request\r\n\r\n", 1, -EBADMSG},
    {"bytes", "\xff\xfe\xfd\r\n", 1, -EBADMSG},
    {"an array of a milliard", "*1000000000\r\n:1\r\n", 1, -EBADMSG},
    {"a negative array", "*-7\r\n", 1, -EBADMSG},
    {"a string of negative length", "$-7\r\n", 1, -EBADMSG},
    {"a number that is none", "*x\r\n", 1, -EBADMSG},
    {"arrays in arrays", "*2\r\n", 20, -EBADMSG},
    {"an array that never ends, of long strings",
     "*4000\r\n$200\r\n"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxx"
     "\r\n",
     1, -ETIMEDOUT},
};

static void nonsense_costs_the_connection_and_it_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nonsenses); i++) {
        struct got got;

        answer = nonsenses[i].answer;
        flood = nonsenses[i].flood;
        got = ask();
        CHECK_EQ(got.r, nonsenses[i].r, nonsenses[i].what);
        CHECK_EQ(downs, (int)i + 1, nonsenses[i].what);
    }
    answer = ":1\r\n";
    flood = 1;
    CHECK_EQ(ask().r, 0, "afterwards");
}

/* An answer may not be longer than REDIS_REPLY_MAX, also when hiredis has taken its parts in.
 */
static void an_endless_reply_is_cut(void **state)
{
    static char line[200000] = "$190000\r\n";
    struct slice args[1] = {SLICE_LIT("DBSIZE")};
    struct got got = {0};
    struct peer *server;
    uint64_t begin;

    (void)state;
    memset(line + 9, 'x', 190000);
    memcpy(line + 9 + 190000, "\r\n", 3);
    NET_UNTIL(&f, redis_is_up(redis));
    server = &f.servers[f.accepted - 1];
    answer = "*4096\r\n";
    begin = net_clock_ms();
    assert_int_equal(redis_command(redis, args, 1, on_answer, &got), 0);
    NET_UNTIL(&f, memmem(server->in.data, server->in.len, "DBSIZE", 6));
    for (int i = 0; i < 100 && got.count == 0; i++) {
        if (server->stream)
            peer_send(server, line);
        net_turn(&f);
    }
    assert_int_equal(got.count, 1);
    if (net_clock_ms() - begin < REDIS_COMMAND_MS - 50) /* else the deadline was faster */
        assert_int_equal(got.r, -EMSGSIZE);
}

/* Errors that another server would not give: the connection is given up. */
static void who_turns_commands_away_is_left(void **state)
{
    static const char *const words[] = {
        "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
        "-NOAUTH Authentication required.\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct got got;

        answer = words[i];
        got = ask();
        CHECK_EQ(got.r, 0, words[i]);
        CHECK(got.is_error, words[i]);
        CHECK_EQ(downs, (int)i + 1, words[i]);
    }
}

/* And those that any would give, or that pass: it is kept. */
static void other_errors_are_answers(void **state)
{
    static const char *const words[] = {
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-MISCONF Redis is configured to save RDB snapshots\r\n",
        "-BUSY Redis is busy running a script\r\n",
        "-NOPERM this user has no permissions\r\n",
        "-\r\n",
        "-READONLYNESS\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct got got;

        answer = words[i];
        got = ask();
        CHECK(got.r == 0 && got.is_error, words[i]);
        CHECK_EQ(downs, 0, words[i]);
    }
}

/* A server that greets and then turns away is not asked twenty times a second. */
static void who_is_turned_away_comes_back_ever_later(void **state)
{
    uint64_t begin = net_clock_ms();

    (void)state;
    answer = "-LOADING Redis is loading the dataset in memory\r\n";
    for (int i = 0; i < 5; i++)
        ask();
    /* Pauses of 50, 100, 200 and 400 ms, each shortened by a quarter at most. */
    assert_true(net_clock_ms() - begin >= 750 * 3 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(nonsense_costs_the_connection_and_it_comes_back),
        T(an_endless_reply_is_cut),
        T(who_turns_commands_away_is_left),
        T(other_errors_are_answers),
        T(who_is_turned_away_comes_back_ever_later),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
