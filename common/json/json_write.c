/* json_write.c - JSON text into a buffer; see json_write.h. */
#include "common/json/json_write.h"

#include "common/base/ident.h"
#include "common/json/json_text.h"

/* ---- strings ---- */

static void put_escaped(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 0x0f]};

    if (c >= 0x20) {
        text[1] = (char)c;
        buf_put(out, text, 2);
    } else if (shorts[c]) {
        text[1] = shorts[c];
        buf_put(out, text, 2);
    } else {
        buf_put(out, text, sizeof(text));
    }
}

void json_put_string(struct buf *out, struct slice s)
{
    size_t at = 0;

    if (!buf_reserve(out, s.len + 2)) /* one growth in the common case */
        return;
    buf_put_char(out, '"');
    while (at < s.len) {
        size_t n = json_text_plain_run(s.data + at, s.len - at);

        buf_put(out, s.data + at, n);
        at += n;
        if (at < s.len)
            put_escaped(out, (unsigned char)s.data[at++]);
    }
    buf_put_char(out, '"');
}

/* ---- structure ---- */

static void begin_value(struct json_writer *w)
{
    if (w->need_comma)
        buf_put_char(w->out, ',');
    w->need_comma = true;
}

static void open_level(struct json_writer *w, char c)
{
    begin_value(w);
    buf_put_char(w->out, c);
    w->need_comma = false;
}

static void close_level(struct json_writer *w, char c)
{
    buf_put_char(w->out, c);
    w->need_comma = true;
}

void json_write_object(struct json_writer *w)
{
    open_level(w, '{');
}

void json_write_object_end(struct json_writer *w)
{
    close_level(w, '}');
}

void json_write_array(struct json_writer *w)
{
    open_level(w, '[');
}

void json_write_array_end(struct json_writer *w)
{
    close_level(w, ']');
}

void json_write_key(struct json_writer *w, const char *key)
{
    size_t len = strlen(key);
    char *to = buf_reserve(w->out, len + 4);

    if (!to)
        return;
    if (w->need_comma)
        *to++ = ',';
    *to++ = '"';
    memcpy(to, key, len);
    to += len;
    *to++ = '"';
    *to++ = ':';
    w->out->len = (size_t)(to - w->out->data);
    w->need_comma = false;
}

void json_write_key_slice(struct json_writer *w, struct slice key)
{
    begin_value(w);
    json_put_string(w->out, key);
    buf_put_char(w->out, ':');
    w->need_comma = false;
}

/* ---- values ---- */

void json_write_str(struct json_writer *w, struct slice s)
{
    begin_value(w);
    json_put_string(w->out, s);
}

void json_write_u64(struct json_writer *w, uint64_t v)
{
    begin_value(w);
    buf_put_u64_dec(w->out, v);
}

void json_write_i64(struct json_writer *w, int64_t v)
{
    begin_value(w);
    buf_put_i64_dec(w->out, v);
}

void json_write_bool(struct json_writer *w, bool v)
{
    json_write_raw(w, v ? SLICE_LIT("true") : SLICE_LIT("false"));
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, SLICE_LIT("null"));
}

void json_write_time(struct json_writer *w, int64_t us)
{
    char text[TIME_TEXT_MAX];

    json_write_str(w, slice_of(text, time_format(us, text)));
}

void json_write_raw(struct json_writer *w, struct slice json)
{
    begin_value(w);
    buf_put_slice(w->out, json);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool json_write_members(struct json_writer *w, struct slice object)
{
    struct slice s = trim(object);

    if (s.len < 2 || s.data[0] != '{' || s.data[s.len - 1] != '}')
        return false;
    s = trim(slice_of(s.data + 1, s.len - 2));
    if (s.len > 0)
        json_write_raw(w, s);
    return true;
}

/* ---- members ---- */

void json_field_str(struct json_writer *w, const char *key, struct slice s)
{
    json_write_key(w, key);
    json_write_str(w, s);
}

void json_field_u64(struct json_writer *w, const char *key, uint64_t v)
{
    json_write_key(w, key);
    json_write_u64(w, v);
}

void json_field_i64(struct json_writer *w, const char *key, int64_t v)
{
    json_write_key(w, key);
    json_write_i64(w, v);
}

void json_field_bool(struct json_writer *w, const char *key, bool v)
{
    json_write_key(w, key);
    json_write_bool(w, v);
}

void json_field_null(struct json_writer *w, const char *key)
{
    json_write_key(w, key);
    json_write_null(w);
}

void json_field_time(struct json_writer *w, const char *key, int64_t us)
{
    json_write_key(w, key);
    json_write_time(w, us);
}

void json_field_raw(struct json_writer *w, const char *key, struct slice json)
{
    json_write_key(w, key);
    json_write_raw(w, json);
}

void json_field_object(struct json_writer *w, const char *key)
{
    json_write_key(w, key);
    json_write_object(w);
}

void json_field_array(struct json_writer *w, const char *key)
{
    json_write_key(w, key);
    json_write_array(w);
}

void json_field_str_opt(struct json_writer *w, const char *key, struct slice s)
{
    if (s.len > 0)
        json_field_str(w, key, s);
}
