/* redis_target.c - redis:// URLs: see redis.h. Pure. */
#include "common/net/redis_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/secret.h"
#include "common/net/addr.h"

#define REDIS_SCHEME "redis://"
#define REDIS_PORT 6379
#define REDIS_DATABASE_MAX 65535

static int fail(char ret_error[REDIS_ERROR_TEXT], const char *why)
{
    snprintf(ret_error, REDIS_ERROR_TEXT, "%s", why);
    return -EINVAL;
}

/* A fresh string with %XX replaced; NULL in *ret for an empty one. */
static int unescape(struct slice s, char **ret)
{
    char *text, *to;

    *ret = NULL;
    if (s.len == 0)
        return 0;
    text = calloc(1, s.len + 1);
    if (!text)
        return -ENOMEM;
    to = text;
    for (size_t i = 0; i < s.len; i++) {
        int high, low;

        if (s.data[i] != '%') {
            *to++ = s.data[i];
            continue;
        }
        high = i + 2 < s.len ? hex_digit(s.data[i + 1]) : -1;
        low = i + 2 < s.len ? hex_digit(s.data[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) {
            free(text);
            return -EINVAL;
        }
        *to++ = (char)(high * 16 + low);
        i += 2;
    }
    *ret = text;
    return 0;
}

/* "user:password", ":password", "password". */
static int parse_user(struct slice s, struct redis_target *ret)
{
    const char *colon = s.len ? memchr(s.data, ':', s.len) : NULL;
    size_t user = colon ? (size_t)(colon - s.data) : 0;
    size_t skip = colon ? user + 1 : 0;
    int r = unescape(slice_of(s.data, user), &ret->user);

    return r < 0 ? r : unescape(slice_of(s.data + skip, s.len - skip), &ret->password);
}

static int parse_database(struct slice s, unsigned *ret)
{
    unsigned v = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return -EINVAL;
        v = v * 10 + (unsigned)(s.data[i] - '0');
        if (v > REDIS_DATABASE_MAX)
            return -EINVAL;
    }
    *ret = v;
    return 0;
}

/* host, host:port, [v6], [v6]:port */
static int parse_address(struct slice s, char **ret)
{
    char text[ADDR_TEXT_MAX], host[ADDR_HOST_MAX];
    const char *colon = s.len ? memrchr(s.data, ':', s.len) : NULL;
    bool has_port = colon && s.data[s.len - 1] != ']';
    uint16_t port;
    int len = has_port
                  ? snprintf(text, sizeof(text), "%.*s", (int)s.len, s.data)
                  : snprintf(text, sizeof(text), "%.*s:%d", (int)s.len, s.data, REDIS_PORT);

    if (len < 0 || (size_t)len >= sizeof(text) ||
        addr_split(slice_str(text), host, &port) < 0 || !*host || port == 0)
        return -EINVAL;
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

static int target_fill(struct slice rest, struct redis_target *to, char *ret_error)
{
    const char *at = rest.len ? memrchr(rest.data, '@', rest.len) : NULL;
    const char *slash;
    int r;

    if (at) {
        size_t len = (size_t)(at - rest.data);

        r = parse_user(slice_of(rest.data, len), to);
        if (r < 0)
            return r == -EINVAL ? fail(ret_error, "bad %-escape before the @") : r;
        rest = slice_of(at + 1, rest.len - len - 1);
    }
    slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    if (slash) {
        size_t len = (size_t)(slash - rest.data);

        if (parse_database(slice_of(slash + 1, rest.len - len - 1), &to->database) < 0)
            return fail(ret_error, "the database after the / is not a number up to 65535");
        rest.len = len;
    }
    r = parse_address(rest, &to->address);
    return r == -EINVAL ? fail(ret_error, "no host, or bad host or port") : r;
}

int redis_target_parse(const char *url, struct redis_target *ret_target,
                       char ret_error[REDIS_ERROR_TEXT])
{
    struct redis_target to = {0};
    int r;

    snprintf(ret_error, REDIS_ERROR_TEXT, "out of memory");
    if (strncmp(url, "rediss://", 9) == 0)
        return fail(ret_error,
                    "TLS (rediss://) is not supported: use redis:// through a tunnel");
    if (strncmp(url, REDIS_SCHEME, sizeof(REDIS_SCHEME) - 1) != 0)
        return fail(ret_error, "does not begin with redis://");
    r = target_fill(slice_str(url + sizeof(REDIS_SCHEME) - 1), &to, ret_error);
    if (r < 0) {
        redis_target_deinit(&to);
        return r;
    }
    *ret_target = to;
    return 0;
}

int redis_target_copy(const struct redis_target *from, struct redis_target *ret_target)
{
    *ret_target = (struct redis_target){
        .address = strdup(from->address),
        .user = from->user ? strdup(from->user) : NULL,
        .password = from->password ? strdup(from->password) : NULL,
        .database = from->database,
    };
    if (ret_target->address && !from->user == !ret_target->user &&
        !from->password == !ret_target->password)
        return 0;
    redis_target_deinit(ret_target);
    return -ENOMEM;
}

void redis_target_deinit(struct redis_target *target)
{
    free(target->address);
    free(target->user);
    if (target->password)
        secret_wipe(target->password, strlen(target->password));
    free(target->password);
    *target = (struct redis_target){0};
}
