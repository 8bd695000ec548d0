/* socket_query.c - see socket_query.h. */
#include "gateway/edge/socket_query.h"

#include <strings.h>

#include "common/base/ident.h"
#include "common/base/utf8.h"
#include "common/json/json_read.h"
#include "common/json/json_write.h"
#include "common/wire/msg.h"
#include "gateway/http/uri.h"

static bool is_one_of(struct slice text, const char *a, const char *b, const char *c)
{
    return slice_eq_str(text, a) || slice_eq_str(text, b) || slice_eq_str(text, c);
}

/* A parameter's decoded value in buf; empty when it is absent or malformed. */
static struct slice get(struct slice query, const char *name, struct buf *buf)
{
    buf_clear(buf);
    if (uri_query_get(query, name, buf) != 0)
        buf_clear(buf);
    return buf_slice(buf);
}

/* Plain digits, at most max. */
static bool parse_number(struct slice text, uint64_t max, uint64_t *ret_number)
{
    uint64_t v = 0;

    if (text.len == 0 || text.len > 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_number = v;
    return v <= max;
}

static bool get_number(struct slice query, const char *name, struct buf *buf,
                       uint64_t *ret_number)
{
    return parse_number(get(query, name, buf), SEQ_MAX, ret_number);
}

static void read_replay(struct slice query, struct buf *buf, struct socket_query *q)
{
    struct slice replay = get(query, "replay", buf);
    uint64_t limit;

    if (is_one_of(replay, "connect", "true", "1"))
        q->attach_flags |= ATTACH_AS_REPLAY;
    else if (is_one_of(replay, "off", "false", "0"))
        q->attach_flags |= ATTACH_NO_REPLAY;
    q->replay_limit = SNAPSHOT_DEFAULT;
    if (get_number(query, "replayLimit", buf, &limit) ||
        get_number(query, "historyLimit", buf, &limit))
        q->replay_limit = (uint32_t)(limit < 1              ? 1
                                     : limit > SNAPSHOT_MAX ? SNAPSHOT_MAX
                                                            : limit);
}

void socket_query_set_cursor(struct socket_query *q, struct slice text)
{
    q->attach_flags |= ATTACH_HAS_SEQ;
    q->bad_cursor = !parse_number(text, SEQ_MAX, &q->last_seq);
}

void socket_query_set_event_id(struct socket_query *q, struct slice id)
{
    const char *hyphen = id.len > 0 ? memchr(id.data, '-', id.len) : NULL;
    size_t len = hyphen ? (size_t)(hyphen - id.data) : id.len;

    socket_query_set_cursor(q, slice_of(id.data, len));
    if (!hyphen)
        (void)ident_copy(SLICE_LIT(GENERATION_FIRST), q->generation);
    else if (!ident_copy(slice_of(hyphen + 1, id.len - len - 1), q->generation))
        q->bad_cursor = true;
}

static void read_cursor(struct slice query, struct buf *buf, struct socket_query *q)
{
    struct slice generation;

    buf_clear(buf);
    switch (uri_query_get(query, "lastSeq", buf)) {
    case URI_ABSENT:
        return;
    case 0:
        socket_query_set_cursor(q, buf_slice(buf));
        break;
    default:
        q->bad_cursor = true;
        break;
    }
    generation = get(query, "generation", buf);
    (void)ident_copy(generation, q->generation); /* another text is as good as none */
}

/* The id behind the prefix of a path. */
static bool read_id(struct slice path, const char *prefix, char ret[ID_MAX + 1])
{
    AUTO_BUF buf = BUF_INIT;
    size_t len = strlen(prefix);

    return path.len > len && memcmp(path.data, prefix, len) == 0 &&
           uri_decode(slice_of(path.data + len, path.len - len), false, &buf) == 0 &&
           ident_copy(buf_slice(&buf), ret);
}

void socket_query_read_options(struct slice query, struct socket_query *q)
{
    AUTO_BUF buf = BUF_INIT;

    read_replay(query, &buf, q);
    read_cursor(query, &buf, q);
    if (is_one_of(get(query, "cache", &buf), "1", "true", "on"))
        q->attach_flags |= ATTACH_CACHE;
    q->native = slice_eq_str(get(query, "v", &buf), "1");
    buf_put_slice(&q->user_info, get(query, "presenceInfo", &buf));
}

bool socket_query_read(struct slice path, struct slice query, struct socket_query *ret_query)
{
    AUTO_BUF buf = BUF_INIT;

    *ret_query = (struct socket_query){0};
    if (read_id(path, "/ws/user/", ret_query->user)) {
        ret_query->native = slice_eq_str(get(query, "v", &buf), "1");
        return true;
    }
    socket_query_read_options(query, ret_query);
    if (slice_eq_str(path, "/ws")) {
        ret_query->many_rooms = ret_query->native = true;
        ret_query->attach_flags &= ~ATTACH_HAS_SEQ; /* each `subscribe` has its own cursor */
        ret_query->last_seq = 0;
        ret_query->bad_cursor = false;
        return true;
    }
    return read_id(path, "/ws/room/", ret_query->room);
}

void socket_query_deinit(struct socket_query *query)
{
    buf_deinit(&query->user_info);
}

/* ---- presenceInfo ---- */

/* At most max characters of a string member; empty when it is none. */
static struct slice short_text(const json_t *info, const char *name, size_t max)
{
    struct slice text = utf8_trim(json_slice(json_object_get(info, name)));
    size_t chars = 0, at = 0;

    while (at < text.len) { /* the first byte of each character is no continuation byte */
        if (((unsigned char)text.data[at] & 0xc0) != 0x80 && chars++ == max)
            break;
        at++;
    }
    return slice_of(text.data, at);
}

/* Others' browsers load it: http and https only, and nothing that could end an attribute. */
static struct slice web_address(const json_t *info, const char *name)
{
    struct slice url = json_slice(json_object_get(info, name));
    bool web = (url.len > 7 && strncasecmp(url.data, "http://", 7) == 0) ||
               (url.len > 8 && strncasecmp(url.data, "https://", 8) == 0);

    if (!web || url.len > PRESENCE_URL_MAX)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] == 0x7f || strchr("\"'<>\\`", url.data[i]))
            return slice_of(NULL, 0);
    }
    return url;
}

void presence_info_clean(struct slice json, struct slice name, struct buf *out)
{
    AUTO(json_free) json_t *info = NULL;
    struct json_writer w = json_writer(out);
    struct slice shown, url, role;

    if (json.len > 0 && utf8_utf16_units(json) <= PRESENCE_INFO_MAX_CHARS &&
        json_load_object(json, 4 * (size_t)PRESENCE_INFO_MAX_CHARS, &info) != 0)
        info = NULL;
    shown = short_text(info, "name", PRESENCE_NAME_MAX_CHARS);
    if (shown.len == 0)
        shown = name;
    url = web_address(info, "avatar_url");
    role = short_text(info, "role", PRESENCE_ROLE_MAX_CHARS);
    if (shown.len == 0 && url.len == 0 && role.len == 0)
        return;
    json_write_object(&w);
    json_field_str_opt(&w, "name", shown);
    json_field_str_opt(&w, "avatar_url", url);
    json_field_str_opt(&w, "role", role);
    json_write_object_end(&w);
}
