/* uri.c - see uri.h. RFC 3986 section 2.1, and the form encoding that URLSearchParams writes.
 */
#include "gateway/http/uri.h"

#include <errno.h>

#include "common/base/codec.h"
#include "common/base/utf8.h"

static int decode_bytes(struct slice raw, bool plus_is_space, struct buf *out)
{
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];

        if (c == '%') {
            int high = i + 2 < raw.len ? hex_digit(raw.data[i + 1]) : -1;
            int low = i + 2 < raw.len ? hex_digit(raw.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return -EINVAL;
        buf_put_char(out, c);
    }
    return buf_failed(out) ? -ENOMEM : 0;
}

int uri_decode(struct slice raw, bool plus_is_space, struct buf *out)
{
    size_t before = out->len;
    int r = decode_bytes(raw, plus_is_space, out);

    if (r == 0 && out->len > before &&
        !utf8_is_valid(slice_of(out->data + before, out->len - before)))
        r = -EINVAL;
    if (r == -EINVAL)
        out->len = before;
    return r;
}

/* Cuts the next "name=value" off; a missing '=' gives an empty value. */
static bool next_parameter(struct slice *query, struct slice *ret_name, struct slice *ret_value)
{
    const char *amp, *equals;
    struct slice pair;

    if (query->len == 0)
        return false;
    amp = memchr(query->data, '&', query->len);
    pair = slice_of(query->data, amp ? (size_t)(amp - query->data) : query->len);
    *query =
        slice_of(query->data + pair.len + (amp ? 1 : 0), query->len - pair.len - (amp ? 1 : 0));
    equals = pair.len ? memchr(pair.data, '=', pair.len) : NULL;
    *ret_name = slice_of(pair.data, equals ? (size_t)(equals - pair.data) : pair.len);
    *ret_value =
        equals ? slice_of(equals + 1, pair.len - ret_name->len - 1) : slice_of(NULL, 0);
    return true;
}

int uri_query_get(struct slice query, const char *name, struct buf *out)
{
    struct slice parameter, value, found = {0};
    size_t times = 0;

    while (next_parameter(&query, &parameter, &value)) {
        if (slice_eq_str(parameter, name)) {
            found = value;
            times++;
        }
    }
    if (times == 0)
        return URI_ABSENT;
    return times > 1 ? -EINVAL : uri_decode(found, true, out);
}

bool uri_path_next(struct slice *path, struct slice *ret_segment)
{
    const char *slash;

    if (path->len == 0 || path->data[0] != '/')
        return false;
    *path = slice_of(path->data + 1, path->len - 1);
    slash = path->len ? memchr(path->data, '/', path->len) : NULL;
    *ret_segment = slice_of(path->data, slash ? (size_t)(slash - path->data) : path->len);
    *path = slice_of(path->data + ret_segment->len, path->len - ret_segment->len);
    return true;
}

void uri_query_scrub(struct slice query, struct buf *out)
{
    struct slice name, value;
    bool first = true;

    while (next_parameter(&query, &name, &value)) {
        bool secret = slice_eq_str(name, "token") || slice_eq_str(name, "apiKey");

        if (!first)
            buf_put_char(out, '&');
        first = false;
        buf_put_slice(out, name);
        buf_put_char(out, '=');
        buf_put_slice(out, secret ? SLICE_LIT("***") : value);
    }
}
