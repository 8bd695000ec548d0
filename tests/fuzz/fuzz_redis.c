/*
 * fuzz_redis.c - bytes of a Redis, through the bounded parser and into what the
 * registry's script answers: every view names only what is in the bytes, and a ring
 * is made of it or refused.
 */
#include <hiredis/hiredis.h>

#include "common/cluster/registry_reply.h"
#include "common/net/redis_reader.h"
#include "tests/fuzz/fuzz.h"

static void check(const redisReply *reply)
{
    static struct registry_reply parsed;
    AUTO(ring_unref) struct ring *ring = NULL;
    int r = registry_reply_parse(reply, &parsed);

    FUZZ_CHECK(r <= REGISTRY_STALE);
    if (r < 0)
        return;
    FUZZ_CHECK(parsed.view.n <= RING_MEMBERS_MAX);
    FUZZ_CHECK(parsed.view.epoch != 0 || parsed.view.n == 0);
    FUZZ_CHECK(!parsed.view.is_garbled || r == REGISTRY_EMPTY);
    if (ring_new(parsed.view.epoch, parsed.view.members, parsed.view.n, &ring) == 0)
        FUZZ_CHECK(ring_count(ring) == parsed.view.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    redisReader *reader = redis_reader_new();
    void *reply = NULL;

    if (!reader)
        return 0;
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK) {
        while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
            check(reply);
            freeReplyObject(reply);
            reply = NULL;
        }
    }
    redisReaderFree(reader);
    return 0;
}
