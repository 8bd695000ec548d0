/*
 * redis.c - one connection to Redis: see redis.h.
 *
 *   WAITING --timer--> CONNECTING --open--> GREETING --replies--> UP
 *      ^                   |                   |                   |
 *      +------- break: any failure, refusal or deadline -----------+
 *
 * Replies come in the order of commands, so the deadline of the oldest command
 * is that of the connection: when it passes, the connection is given up.
 */
#include "common/net/redis.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/net/redis_reader.h"
#include "common/net/redis_target.h"

enum redis_state { REDIS_WAITING, REDIS_CONNECTING, REDIS_GREETING, REDIS_UP };

struct redis_command {
    struct list link;
    uint64_t due_ms;
    redis_fn fn; /* NULL: ours (greeting, ping) */
    void *arg;
};

struct redis {
    struct loop *loop;
    const struct redis_events *events;
    void *owner;
    struct redis_target target;
    char *channel; /* NULL: for commands */
    enum redis_state state;
    struct stream *stream; /* NULL: none */
    redisReader *reader;
    size_t reply_bytes;  /* came since the last whole reply */
    struct list pending; /* struct redis_command, oldest first */
    size_t n_pending;
    size_t greetings;   /* replies that are still to come before UP */
    struct timer timer; /* WAITING: reconnect; else the deadline of the oldest command */
    struct timer ping;  /* subscribers */
    uint64_t retry_ms;
    bool reported;  /* that it is down: once per outage */
    bool is_proven; /* this connection has done what it is for */
    bool freed;
    struct later dead;
};

static struct env *env_of(struct redis *redis)
{
    return loop_env(redis->loop);
}

/* ---- breaking and reconnecting ---- */

static void redis_arm_retry(struct redis *redis)
{
    uint64_t delay = env_jitter_ms(env_of(redis), redis->retry_ms);

    redis->retry_ms = MIN(2 * redis->retry_ms, (uint64_t)REDIS_RETRY_MAX_MS);
    while (env_timer(env_of(redis), &redis->timer, delay) < 0)
        abort(); /* without a timer it would stay down for ever, and nobody would know */
}

/* Answers what is under way. Callbacks may start nothing new: the state is not UP. */
static void redis_fail_pending(struct redis *redis, int r)
{
    struct list failed;

    list_init(&failed);
    list_splice_tail(&failed, &redis->pending);
    redis->n_pending = 0;
    while (!list_empty(&failed)) {
        struct redis_command *c = list_first(&failed, struct redis_command, link);

        list_del(&c->link);
        if (c->fn && !redis->freed)
            c->fn(c->arg, r, NULL);
        free(c);
    }
}

static void redis_break(struct redis *redis, int r, const char *why)
{
    bool was_up = redis->state == REDIS_UP;

    if (redis->state == REDIS_WAITING)
        return;
    if (!redis->reported)
        log_warn("redis is not reachable", L_STR("address", redis->target.address),
                 L_STR("why", why), L_ERR(r));
    redis->reported = true;
    redis->state = REDIS_WAITING;
    if (redis->stream)
        stream_close(TAKE(redis->stream), false);
    env_timer_cancel(env_of(redis), &redis->ping);
    redis_arm_retry(redis);
    redis_fail_pending(redis, r);
    if (was_up && !redis->freed && redis->events->on_down)
        redis->events->on_down(redis->owner);
}

/* ---- commands ---- */

static void redis_arm_deadline(struct redis *redis)
{
    struct redis_command *oldest;

    if (list_empty(&redis->pending)) {
        env_timer_cancel(env_of(redis), &redis->timer);
        return;
    }
    oldest = list_first(&redis->pending, struct redis_command, link);
    if (timer_is_armed(&redis->timer) && redis->timer.due_ms == oldest->due_ms)
        return;
    if (timer_set(&env_of(redis)->timers, &redis->timer, oldest->due_ms) < 0)
        abort(); /* as above */
}

static int redis_send(struct redis *redis, const struct slice *args, size_t n, redis_fn fn,
                      void *arg)
{
    const char *argv[REDIS_ARGS_MAX];
    size_t lens[REDIS_ARGS_MAX];
    struct redis_command *c;
    char *bytes;
    int len, r;

    assert(n <= REDIS_ARGS_MAX);
    if (redis->n_pending >= REDIS_PENDING_MAX)
        return -EAGAIN;
    for (size_t i = 0; i < n; i++) {
        argv[i] = args[i].len ? args[i].data : "";
        lens[i] = args[i].len;
    }
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    len = (int)redisFormatCommandArgv(&bytes, (int)n, argv, lens);
    if (len < 0) {
        free(c);
        return -ENOMEM;
    }
    r = stream_write_bytes(redis->stream, slice_of(bytes, (size_t)len));
    redisFreeCommand(bytes);
    if (r < 0) {
        free(c);
        return r;
    }
    c->fn = fn;
    c->arg = arg;
    c->due_ms = env_now_ms(env_of(redis)) + REDIS_COMMAND_MS;
    list_add_tail(&redis->pending, &c->link);
    redis->n_pending++;
    redis_arm_deadline(redis);
    return 0;
}

int redis_command(struct redis *redis, const struct slice *args, size_t n, redis_fn fn,
                  void *arg)
{
    assert(!redis->channel);
    return redis->state == REDIS_UP ? redis_send(redis, args, n, fn, arg) : -ENOTCONN;
}

static int redis_send_own(struct redis *redis, const struct slice *args, size_t n)
{
    return redis_send(redis, args, n, NULL, NULL);
}

static int redis_greet(struct redis *redis)
{
    const struct redis_target *to = &redis->target;
    struct slice auth[3] = {SLICE_LIT("AUTH")}, select[2] = {SLICE_LIT("SELECT")};
    struct slice subscribe[2] = {SLICE_LIT("SUBSCRIBE")}, ping[1] = {SLICE_LIT("PING")};
    char number[16];
    size_t n = 1;
    int r = 0;

    if (to->password) {
        if (to->user)
            auth[n++] = slice_str(to->user);
        auth[n++] = slice_str(to->password);
        r = redis_send_own(redis, auth, n);
    }
    if (r == 0 && to->database > 0) {
        snprintf(number, sizeof(number), "%u", to->database);
        select[1] = slice_str(number);
        r = redis_send_own(redis, select, 2);
    }
    if (r == 0 && redis->channel) {
        subscribe[1] = slice_str(redis->channel);
        r = redis_send_own(redis, subscribe, 2);
    } else if (r == 0) {
        r = redis_send_own(redis, ping,
                           1); /* also tells whether it is still loading its data */
    }
    redis->greetings = redis->n_pending;
    return r;
}

/* A subscriber hears nothing for hours: asks whether the connection still is one. */
static void redis_on_ping(struct timer *timer, void *arg)
{
    static const struct slice ping[1] = {{"PING", 4}};
    struct redis *redis = arg;

    if (env_timer(env_of(redis), timer, env_jitter_ms(env_of(redis), REDIS_PING_MS)) < 0 ||
        redis_send_own(redis, ping, 1) < 0)
        redis_break(redis, -ENOMEM, "ping");
}

/* Not before: a server that greets and then turns every command away (a replica, one that loads
 * its data) is tried as seldom as one that is down. */
static void redis_prove(struct redis *redis)
{
    if (redis->is_proven)
        return;
    redis->is_proven = true;
    redis->retry_ms = REDIS_RETRY_MIN_MS;
    if (redis->reported)
        log_info("redis is back", L_STR("address", redis->target.address));
    redis->reported = false;
}

static void redis_greeted(struct redis *redis)
{
    redis->state = REDIS_UP;
    if (redis->channel)
        redis_prove(redis);
    if (redis->channel && env_timer(env_of(redis), &redis->ping,
                                    env_jitter_ms(env_of(redis), REDIS_PING_MS)) < 0) {
        redis_break(redis, -ENOMEM, "timer");
        return;
    }
    if (redis->events->on_up)
        redis->events->on_up(redis->owner);
}

/* ---- replies ---- */

static bool is_text(const redisReply *reply, const char *text)
{
    return (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) &&
           slice_eq_str(slice_of(reply->str, reply->len), text);
}

/* True for what a subscriber is sent without having asked. */
static bool redis_take_message(struct redis *redis, const redisReply *reply)
{
    if (!redis->channel || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        !is_text(reply->element[0], "message") || reply->element[2]->type != REDIS_REPLY_STRING)
        return false;
    if (redis->events->on_message)
        redis->events->on_message(redis->owner,
                                  slice_of(reply->element[2]->str, reply->element[2]->len));
    return true;
}

/* This server will not do for the next command either, and the same name may lead to another
 * one by now. */
static bool is_turned_away(const redisReply *reply)
{
    static const char *const words[] = {"READONLY ", "LOADING ", "MASTERDOWN ", "NOAUTH "};

    for (size_t i = 0; reply->type == REDIS_REPLY_ERROR && i < ARRAY_LEN(words); i++) {
        if (reply->len >= strlen(words[i]) &&
            memcmp(reply->str, words[i], strlen(words[i])) == 0)
            return true;
    }
    return false;
}

/* fn may break or free us. */
static void redis_answer(struct redis *redis, const struct redis_command *c,
                         const redisReply *reply)
{
    const struct stream *stream = redis->stream;
    bool is_away = is_turned_away(reply);

    if (reply->type != REDIS_REPLY_ERROR)
        redis_prove(redis);
    c->fn(c->arg, 0, reply);
    if (is_away && redis->stream == stream && !redis->freed)
        redis_break(redis, -EACCES, "it turns commands away");
}

static void redis_take_reply(struct redis *redis, const redisReply *reply)
{
    struct redis_command *c;

    if (redis_take_message(redis, reply))
        return;
    if (list_empty(&redis->pending)) {
        redis_break(redis, -EBADMSG, "a reply to nothing");
        return;
    }
    c = list_first(&redis->pending, struct redis_command, link);
    list_del(&c->link);
    redis->n_pending--;
    redis_arm_deadline(redis);
    if (c->fn) {
        redis_answer(redis, c, reply);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        if (!redis->reported)
            log_warn("redis refuses", L_SLICE("reply", slice_of(reply->str, reply->len)));
        redis_break(redis, -EACCES, "refused"); /* password, database, still loading */
    } else if (redis->state == REDIS_GREETING && --redis->greetings == 0) {
        redis_greeted(redis);
    }
    free(c);
}

static void redis_on_bytes(void *owner, struct slice bytes)
{
    struct redis *redis = owner;
    struct stream *stream = redis->stream;

    if (redisReaderFeed(redis->reader, bytes.data, bytes.len) != REDIS_OK) {
        redis_break(redis, -EBADMSG, "reader");
        return;
    }
    redis->reply_bytes += bytes.len;
    while (redis->stream == stream && !redis->freed) { /* a callback may break or free us */
        void *reply = NULL;

        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            redis_break(redis, -EBADMSG, redis->reader->errstr);
            return;
        }
        if (!reply)
            break;
        redis->reply_bytes = redis->reader->len - redis->reader->pos;
        redis_take_reply(redis, reply);
        freeReplyObject(reply);
    }
    if (redis->stream == stream && redis->reply_bytes > REDIS_REPLY_MAX)
        redis_break(redis, -EMSGSIZE, "reply too long");
}

/* ---- the connection ---- */

static void redis_on_open(void *owner)
{
    struct redis *redis = owner;
    int r;

    redis->state = REDIS_GREETING;
    r = redis_greet(redis);
    if (r < 0)
        redis_break(redis, r, "greeting");
}

static void redis_on_close(void *owner, enum stream_end end)
{
    struct redis *redis = owner;

    redis->stream = NULL;
    redis_break(redis, end == STREAM_END_REFUSED ? -ECONNREFUSED : -ECONNRESET, "connection");
}

static const struct stream_events redis_stream_events = {
    .on_open = redis_on_open,
    .on_bytes = redis_on_bytes,
    .on_close = redis_on_close,
};

static void redis_connect(struct redis *redis)
{
    int r;

    redis->state = REDIS_CONNECTING;
    if (redis->reader)
        redisReaderFree(redis->reader);
    redis->reader = redis_reader_new();
    redis->reply_bytes = 0;
    redis->is_proven = false;
    r = redis->reader ? loop_connect(redis->loop, redis->target.address, NULL,
                                     &redis_stream_events, redis, &redis->stream)
                      : -ENOMEM;
    if (r < 0)
        redis_break(redis, r, "connect");
}

static void redis_on_timer(struct timer *timer, void *arg)
{
    struct redis *redis = arg;

    (void)timer;
    if (redis->state == REDIS_WAITING)
        redis_connect(redis);
    else
        redis_break(redis, -ETIMEDOUT, "no reply");
}

/* ---- life ---- */

static void redis_free_now(struct later *later, void *arg)
{
    struct redis *redis = arg;

    (void)later;
    if (redis->reader)
        redisReaderFree(redis->reader);
    redis_target_deinit(&redis->target);
    free(redis->channel);
    free(redis);
}

int redis_new(struct loop *loop, const struct redis_target *target, const char *channel,
              const struct redis_events *events, void *owner, struct redis **ret_redis)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    if (!redis)
        return -ENOMEM;
    redis->loop = loop;
    redis->events = events;
    redis->owner = owner;
    redis->retry_ms = REDIS_RETRY_MIN_MS;
    list_init(&redis->pending);
    timer_init(&redis->timer, redis_on_timer, redis);
    timer_init(&redis->ping, redis_on_ping, redis);
    later_init(&redis->dead, redis_free_now, redis);
    redis->channel = channel ? strdup(channel) : NULL;
    if (redis_target_copy(target, &redis->target) < 0 || (channel && !redis->channel) ||
        env_timer(loop_env(loop), &redis->timer, 0) < 0) {
        redis_free_now(NULL, redis);
        return -ENOMEM;
    }
    *ret_redis = redis;
    return 0;
}

void redis_free(struct redis *redis)
{
    if (!redis)
        return;
    redis->freed = true;
    env_timer_cancel(env_of(redis), &redis->timer);
    env_timer_cancel(env_of(redis), &redis->ping);
    if (redis->stream)
        stream_close(TAKE(redis->stream), false);
    redis_fail_pending(redis, -ECONNRESET);
    env_free_later(env_of(redis), &redis->dead); /* its reader may be on the stack */
}

bool redis_is_up(const struct redis *redis)
{
    return redis->state == REDIS_UP;
}
