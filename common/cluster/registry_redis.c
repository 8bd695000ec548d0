/*
 * registry_redis.c - the registry in Redis: see registry_redis.h.
 *
 * Every operation is one EVAL of the script and answers with the whole view.
 * Hints come from the subscription; whenever it comes up again, changes may
 * have been missed, so that is a hint too.
 */
#include "common/cluster/registry_redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/cluster/registry_reply.h"
#include "common/cluster/registry_script.h"

#define FIELDS_MAX (LINK_ADDRESS_MAX + 64) /* bytes of a member as the script stores it */
#define NUMBER_MAX 24

struct registry_redis;

struct registry_call {
    struct registry_redis *registry;
    enum registry_op op;
};

struct registry_redis {
    struct registry registry;
    struct loop *loop;
    struct redis *commands;
    struct redis *subscriber;
    char *prefix, *channel, *script;
    struct registry_call calls[REGISTRY_OP_COUNT];
    char complaint[32];    /* the last one's first word */
    uint64_t complaint_ms; /* 0: nothing to complain about */
};

static struct registry_redis *redis_of(struct registry *registry)
{
    return container_of(registry, struct registry_redis, registry);
}

/* ---- answers ---- */

/* Says what is wrong with what Redis answers: each reason at once, and again while it lasts. */
static void complain(struct registry_redis *self, const char *what, struct slice reply)
{
    struct env *env = loop_env(self->loop);
    const char *space = reply.len ? memchr(reply.data, ' ', reply.len) : NULL;
    struct slice word = {reply.data, space ? (size_t)(space - reply.data) : reply.len};

    word.len = MIN(word.len, sizeof(self->complaint) - 1);
    if (self->complaint_ms && slice_eq_str(word, self->complaint) &&
        env_now_ms(env) - self->complaint_ms < REDIS_COMPLAIN_MS)
        return;
    if (word.len)
        memcpy(self->complaint, word.data, word.len);
    self->complaint[word.len] = '\0';
    self->complaint_ms = env_now_ms(env);
    log_error(what, L_SLICE("reply", reply));
}

static void note_answer(struct registry_redis *self, int r, const struct redisReply *reply,
                        const struct registry_view *view)
{
    if (r == -EACCES) {
        complain(self, "redis refuses the registry script", slice_of(reply->str, reply->len));
    } else if (r < 0) {
        complain(self, "redis does not answer as the registry script does",
                 SLICE_LIT("malformed"));
    } else if (view->is_garbled) {
        complain(self, "what redis holds of the ring is not ours; it counts as empty",
                 SLICE_LIT("garbled"));
    } else if (self->complaint_ms) {
        log_info("redis answers as it should again");
        self->complaint_ms = 0;
    }
}

static void registry_on_reply(void *arg, int r, const struct redisReply *reply)
{
    struct registry_call *call = arg;
    struct registry *registry = &call->registry->registry;
    struct registry_reply parsed;

    if (r == 0) {
        r = registry_reply_parse(reply, &parsed);
        note_answer(call->registry, r, reply, &parsed.view);
    }
    if (registry->events)
        registry->events->on_reply(registry->owner, call->op, r, r < 0 ? NULL : &parsed.view);
}

/* ---- operations ---- */

/* The operation's own arguments begin at ARGS_FIRST. */
#define ARGS_FIRST 5

static int registry_eval(struct registry *registry, enum registry_op op, const char *name,
                         struct slice *args, size_t n)
{
    struct registry_redis *self = redis_of(registry);

    args[0] = SLICE_LIT("EVAL");
    args[1] = slice_str(self->script);
    args[2] = SLICE_LIT("1");
    args[3] = slice_str(self->prefix);
    args[4] = slice_str(name);
    return redis_command(self->commands, args, n, registry_on_reply, &self->calls[op]);
}

static struct slice number_text(uint64_t v, char buf[NUMBER_MAX])
{
    return slice_of(buf, (size_t)snprintf(buf, NUMBER_MAX, "%llu", (unsigned long long)v));
}

static struct slice flag_text(bool on)
{
    return on ? SLICE_LIT("1") : SLICE_LIT("0");
}

static struct slice fields_text(const struct ring_member *m, char buf[FIELDS_MAX])
{
    int len = snprintf(buf, FIELDS_MAX, "%llu %u %s %.*s", (unsigned long long)m->incarnation,
                       m->weight, m->draining ? "draining" : "active", (int)m->address.len,
                       m->address.data);

    return slice_of(buf, MIN((size_t)len, (size_t)FIELDS_MAX - 1));
}

static int registry_put(struct registry *registry, const struct ring_member *member,
                        uint64_t known_epoch, bool found)
{
    char fields[FIELDS_MAX], known[NUMBER_MAX];
    struct slice args[ARGS_FIRST + 4] = {
        [ARGS_FIRST] = member->id,
        fields_text(member, fields),
        number_text(known_epoch, known),
        flag_text(found),
    };

    return registry_eval(registry, REGISTRY_PUT, "put", args, ARRAY_LEN(args));
}

static int registry_renew(struct registry *registry, struct slice id, uint64_t incarnation)
{
    char number[NUMBER_MAX];
    struct slice args[ARGS_FIRST + 2] = {[ARGS_FIRST] = id, number_text(incarnation, number)};

    return registry_eval(registry, REGISTRY_RENEW, "renew", args, ARRAY_LEN(args));
}

static int registry_remove(struct registry *registry, struct slice id, uint64_t incarnation,
                           uint64_t known_epoch)
{
    char number[NUMBER_MAX], known[NUMBER_MAX];
    struct slice args[ARGS_FIRST + 3] = {
        [ARGS_FIRST] = id,
        number_text(incarnation, number),
        number_text(known_epoch, known),
    };

    return registry_eval(registry, REGISTRY_REMOVE, "remove", args, ARRAY_LEN(args));
}

static int registry_evict(struct registry *registry, const struct registry_eviction *e)
{
    char number[NUMBER_MAX], known[NUMBER_MAX];
    struct slice args[ARGS_FIRST + 6] = {
        [ARGS_FIRST] = e->id,
        number_text(e->incarnation, number),
        e->observer,
        flag_text(e->refused),
        flag_text(e->trust_leases),
        number_text(e->known_epoch, known),
    };

    return registry_eval(registry, REGISTRY_EVICT, "evict", args, ARRAY_LEN(args));
}

static int registry_read(struct registry *registry)
{
    struct slice args[ARGS_FIRST];

    return registry_eval(registry, REGISTRY_READ, "read", args, ARRAY_LEN(args));
}

static int registry_restore(struct registry *registry, const struct ring *ring,
                            uint64_t expected_epoch)
{
    size_t n = ring_count(ring);
    char expected[NUMBER_MAX], epoch[NUMBER_MAX];
    char(*fields)[FIELDS_MAX] = malloc(MAX(n, (size_t)1) * sizeof(*fields));
    struct slice args[ARGS_FIRST + 2 + 2 * RING_MEMBERS_MAX];
    int r;

    if (!fields)
        return -ENOMEM;
    args[ARGS_FIRST] = number_text(expected_epoch, expected);
    args[ARGS_FIRST + 1] = number_text(ring_identity(ring).epoch, epoch);
    for (size_t i = 0; i < n; i++) {
        args[ARGS_FIRST + 2 + 2 * i] = ring_at(ring, i)->id;
        args[ARGS_FIRST + 3 + 2 * i] = fields_text(ring_at(ring, i), fields[i]);
    }
    r = registry_eval(registry, REGISTRY_RESTORE, "restore", args, ARGS_FIRST + 2 + 2 * n);
    free(fields);
    return r;
}

static const struct registry_ops registry_redis_ops = {
    .put = registry_put,
    .renew = registry_renew,
    .remove = registry_remove,
    .evict = registry_evict,
    .read = registry_read,
    .restore = registry_restore,
};

/* ---- hints ---- */

static void registry_hint(void *owner)
{
    struct registry_redis *self = owner;

    if (redis_is_up(self->commands) && self->registry.events)
        self->registry.events->on_hint(self->registry.owner);
}

static void registry_on_message(void *owner, struct slice payload)
{
    (void)payload;
    registry_hint(owner);
}

static const struct redis_events commands_events = {.on_up = registry_hint};
static const struct redis_events subscriber_events = {
    .on_up = registry_hint,
    .on_message = registry_on_message,
};

/* ---- life ---- */

static char *make_script(void)
{
    char *script;

    return asprintf(&script, REGISTRY_SCRIPT_LIMITS "%s", LEASE_TTL_MS, SUSPECT_LEASE_MS,
                    SUSPECT_MS, EVICT_HOLD_MS, EVICT_HOLD_MAX_MS, EVICT_WINDOW_MS,
                    RING_FOUND_MS, RING_MEMBERS_MAX, NODE_ID_MAX, LINK_ADDRESS_MAX,
                    RING_WEIGHT_MAX, RING_TOTAL_WEIGHT_MAX, RING_EPOCH_AHEAD_MS,
                    registry_script) < 0
               ? NULL
               : script;
}

int registry_redis_new(struct loop *loop, const struct redis_target *target, const char *prefix,
                       struct registry **ret_registry)
{
    struct registry_redis *self = calloc(1, sizeof(*self));
    AUTO(registry_redis_free) struct registry *registry = self ? &self->registry : NULL;
    int r;

    if (!self)
        return -ENOMEM;
    self->registry.ops = &registry_redis_ops;
    self->loop = loop;
    for (int op = 0; op < REGISTRY_OP_COUNT; op++)
        self->calls[op] = (struct registry_call){self, (enum registry_op)op};
    self->prefix = strdup(prefix);
    self->script = make_script();
    if (!self->prefix || !self->script || asprintf(&self->channel, "%sring", prefix) < 0) {
        self->channel = NULL;
        return -ENOMEM;
    }
    r = redis_new(loop, target, NULL, &commands_events, self, &self->commands);
    if (r == 0)
        r = redis_new(loop, target, self->channel, &subscriber_events, self, &self->subscriber);
    if (r < 0)
        return r;
    *ret_registry = TAKE(registry);
    return 0;
}

void registry_redis_free(struct registry *registry)
{
    struct registry_redis *self;

    if (!registry)
        return;
    self = redis_of(registry);
    redis_free(self->commands);
    redis_free(self->subscriber);
    free(self->prefix);
    free(self->channel);
    free(self->script);
    free(self);
}
