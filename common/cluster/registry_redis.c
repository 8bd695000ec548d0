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
    struct redis *commands;
    struct redis *subscriber;
    char *prefix, *channel, *script;
    struct registry_call calls[REGISTRY_OP_COUNT];
};

static struct registry_redis *redis_of(struct registry *registry)
{
    return container_of(registry, struct registry_redis, registry);
}

/* ---- answers ---- */

static struct slice text_of(const struct redisReply *reply)
{
    return slice_of(reply->str, reply->len);
}

static int parse_number(struct slice s, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.len == 0 || s.len > 20)
        return -EBADMSG;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.data[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, digit, &v))
            return -EBADMSG;
    }
    *ret = v;
    return 0;
}

static struct slice take_word(struct slice *rest)
{
    const char *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    struct slice word = {rest->data, space ? (size_t)(space - rest->data) : rest->len};
    size_t skip = word.len + (space ? 1 : 0);

    rest->data += skip;
    rest->len -= skip;
    return word;
}

static int parse_fields(struct slice fields, struct ring_member *ret)
{
    struct slice incarnation = take_word(&fields), weight = take_word(&fields);
    struct slice state = take_word(&fields);
    uint64_t number;

    ret->address = fields;
    ret->draining = slice_eq_str(state, "draining");
    if (!ret->draining && !slice_eq_str(state, "active"))
        return -EBADMSG;
    if (parse_number(weight, &number) < 0 || number > RING_WEIGHT_MAX)
        return -EBADMSG;
    ret->weight = (uint32_t)number;
    return parse_number(incarnation, &ret->incarnation);
}

/* members and ages have room for RING_MEMBERS_MAX. Returns the script's code, or <0. */
static int parse_view(const struct redisReply *reply, struct ring_member *members,
                      uint64_t *ages, struct registry_view *ret)
{
    size_t n;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 || reply->elements % 3 != 2 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return -EBADMSG;
    n = (reply->elements - 2) / 3;
    if (n > RING_MEMBERS_MAX || reply->element[0]->integer < 0 ||
        reply->element[0]->integer > REGISTRY_STALE ||
        parse_number(text_of(reply->element[1]), &ret->epoch) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++) {
        struct redisReply *const *at = reply->element + 2 + 3 * i;

        if (at[0]->type != REDIS_REPLY_STRING || at[1]->type != REDIS_REPLY_STRING ||
            at[2]->type != REDIS_REPLY_INTEGER)
            return -EBADMSG;
        members[i].id = text_of(at[0]);
        if (parse_fields(text_of(at[1]), &members[i]) < 0)
            return -EBADMSG;
        ages[i] = at[2]->integer < 0 ? REGISTRY_LEASE_EXPIRED : (uint64_t)at[2]->integer;
    }
    ret->n = ret->epoch ? n : 0;
    ret->members = members;
    ret->lease_age_ms = ages;
    return (int)reply->element[0]->integer;
}

static void registry_on_reply(void *arg, int r, const struct redisReply *reply)
{
    struct registry_call *call = arg;
    struct registry *registry = &call->registry->registry;
    struct ring_member members[RING_MEMBERS_MAX];
    uint64_t ages[RING_MEMBERS_MAX];
    struct registry_view view = {0};

    if (r == 0) {
        r = parse_view(reply, members, ages, &view);
        if (r < 0 && reply->type == REDIS_REPLY_ERROR)
            log_error("redis refuses the registry script", L_SLICE("reply", text_of(reply)));
        else if (r < 0)
            log_error("what redis holds of the ring is malformed");
    }
    if (registry->events)
        registry->events->on_reply(registry->owner, call->op, r, r < 0 ? NULL : &view);
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
                    RING_FOUND_MS, registry_script) < 0
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
