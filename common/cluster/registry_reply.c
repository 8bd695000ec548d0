/* registry_reply.c - see registry_reply.h; the form of an answer is in registry_script.h. */
#include "common/cluster/registry_reply.h"

#include <errno.h>
#include <hiredis/hiredis.h>

#include "common/cluster/registry_script.h"

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

static int parse_member(struct redisReply *const at[3], struct ring_member *ret,
                        uint64_t *ret_age_ms)
{
    if (at[0]->type != REDIS_REPLY_STRING || at[1]->type != REDIS_REPLY_STRING ||
        at[2]->type != REDIS_REPLY_INTEGER)
        return -EBADMSG;
    ret->id = text_of(at[0]);
    *ret_age_ms = at[2]->integer < 0 ? REGISTRY_LEASE_EXPIRED : (uint64_t)at[2]->integer;
    return parse_fields(text_of(at[1]), ret);
}

/* The script's code and the epoch. */
static int parse_head(const struct redisReply *reply, struct registry_view *ret)
{
    long long code;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 || reply->elements % 3 != 2 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return -EBADMSG;
    code = reply->element[0]->integer;
    if (code < 0 || code > REGISTRY_GARBLED ||
        parse_number(text_of(reply->element[1]), &ret->epoch) < 0)
        return -EBADMSG;
    ret->is_garbled = code == REGISTRY_GARBLED;
    return ret->is_garbled ? REGISTRY_EMPTY : (int)code;
}

int registry_reply_parse(const struct redisReply *reply, struct registry_reply *ret)
{
    struct registry_view *view = &ret->view;
    size_t n;
    int r;

    *view = (struct registry_view){.members = ret->members, .lease_age_ms = ret->lease_age_ms};
    if (reply->type == REDIS_REPLY_ERROR)
        return -EACCES;
    r = parse_head(reply, view);
    if (r < 0)
        return r;
    n = (reply->elements - 2) / 3;
    if (n > RING_MEMBERS_MAX || (n > 0 && view->epoch == 0))
        return -EBADMSG;
    for (; view->n < n; view->n++) {
        if (parse_member(reply->element + 2 + 3 * view->n, &ret->members[view->n],
                         &ret->lease_age_ms[view->n]) < 0)
            return -EBADMSG;
    }
    return r;
}
