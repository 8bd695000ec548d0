/*
 * redis.h - one connection to Redis, kept up: connects, authenticates, selects
 * the database, reconnects with backoff, and runs commands in a pipeline, each
 * with a deadline. With a channel it is a subscriber instead (RESP2 allows
 * nothing else on such a connection).
 *
 * hiredis is used as a codec over our own stream: its own connections resolve
 * names blockingly, and its libevent adapter does not survive a failed malloc.
 */
#pragma once

#include "common/net/loop.h"

struct redis;
struct redisReply; /* hiredis/hiredis.h */

#define REDIS_ERROR_TEXT 128

/* redis://[[user]:password@]host[:port][/database] */
struct redis_target {
    char *address; /* host:port */
    char *user;    /* NULL: none */
    char *password;
    unsigned database;
};

/* -EINVAL with a reason in ret_error (without the password); -ENOMEM. After 0
 * redis_target_deinit() is due. */
int redis_target_parse(const char *url, struct redis_target *ret_target,
                       char ret_error[REDIS_ERROR_TEXT]) MUST_CHECK;
void redis_target_deinit(struct redis_target *target); /* wipes the password */

struct redis_events {
    void (*on_up)(void *owner);   /* ready for commands; a subscriber: subscribed */
    void (*on_down)(void *owner); /* after on_up; what was under way has been answered before */
    void (*on_message)(void *owner, struct slice payload); /* subscribers */
};

/* channel: NULL, or what to subscribe to. Target and channel are copied. Begins to connect at
 * once; all events of the struct may be NULL. */
int redis_new(struct loop *loop, const struct redis_target *target, const char *channel,
              const struct redis_events *events, void *owner,
              struct redis **ret_redis) MUST_CHECK;
/* What is under way is not answered any more. NULL does nothing. */
void redis_free(struct redis *redis);
DEFINE_AUTO(struct redis, redis_free)

bool redis_is_up(const struct redis *redis);

/* Exactly once, never before redis_command() returns. 0 with the reply (which may be of type
 * REDIS_REPLY_ERROR), valid during the call; -ECONNRESET, -ETIMEDOUT: whether it was done is
 * unknown, reply is NULL. */
typedef void (*redis_fn)(void *arg, int r, const struct redisReply *reply);

/* -ENOTCONN: not up; -EAGAIN: REDIS_PENDING_MAX are under way; -ENOMEM. */
int redis_command(struct redis *redis, const struct slice *args, size_t n, redis_fn fn,
                  void *arg) MUST_CHECK;
