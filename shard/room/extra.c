/* extra.c - see extra.h. */
#include "shard/room/extra.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/json/json_read.h"
#include "common/json/json_write.h"
#include "shard/room/audience.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == ':';
}

/* The next "@name" at or after *at; moves *at behind it. False: no more. */
static bool next_mention(struct slice content, size_t *at, struct slice *ret_name)
{
    while (*at < content.len) {
        const char *sign = memchr(content.data + *at, '@', content.len - *at);
        size_t start, end;

        if (!sign)
            return false;
        start = end = (size_t)(sign - content.data) + 1;
        while (end < content.len && is_name_char(content.data[end]))
            end++;
        *at = end;
        *ret_name = slice_of(content.data + start, end - start);
        if (end > start)
            return true;
    }
    return false;
}

/* Members named in the content, each once, in order. Returns how many. */
static size_t find_mentions(struct slice content, const struct members *members,
                            struct slice visible_to, struct slice names[MENTIONS_MAX])
{
    struct slice name;
    size_t at = 0, n = 0;

    while (n < MENTIONS_MAX && next_mention(content, &at, &name)) {
        bool is_new = members_find(members, name) && audience_has(visible_to, name);

        for (size_t i = 0; i < n && is_new; i++)
            is_new = !slice_eq(names[i], name);
        if (is_new)
            names[n++] = name;
    }
    return n;
}

static struct slice text_of(const json_t *object, const char *key)
{
    return json_slice(json_object_get(object, key));
}

static void write_attachment(struct json_writer *w, const json_t *a, size_t i,
                             const uint8_t dedupe[DEDUPE_LEN])
{
    const json_t *size = json_object_get(a, "sizeBytes");
    const json_t *type = json_object_get(a, "contentType");
    char id[2 * 8 + 4];
    size_t len = 0;

    for (size_t k = 0; k < 8; k++) {
        id[len++] = "0123456789abcdef"[dedupe[k] >> 4];
        id[len++] = "0123456789abcdef"[dedupe[k] & 0x0f];
    }
    id[len++] = '-';
    id[len++] = (char)('0' + i); /* i < ATTACHMENTS_MAX, which is 10 */
    json_write_object(w);
    json_field_str(w, "id", slice_of(id, len));
    json_field_str(w, "kind", text_of(a, "kind"));
    json_field_str(w, "url", text_of(a, "url"));
    json_field_str(w, "name", text_of(a, "name"));
    if (json_is_integer(size))
        json_field_i64(w, "sizeBytes", (int64_t)json_integer_value(size));
    if (json_is_string(type))
        json_field_str(w, "contentType", text_of(a, "contentType"));
    json_write_object_end(w);
}

static void write_mentions(struct json_writer *w, const struct slice *names, size_t n)
{
    json_field_array(w, "mentions");
    for (size_t i = 0; i < n; i++)
        json_write_str(w, names[i]);
    json_write_array_end(w);
}

void extra_write_message(struct buf *out, const struct command_message *message,
                         const struct members *members, struct slice visible_to,
                         const uint8_t dedupe[DEDUPE_LEN])
{
    struct json_writer w = json_writer(out);
    struct slice names[MENTIONS_MAX];
    size_t n = find_mentions(message->content, members, visible_to, names);

    if (n == 0 && !message->attachments)
        return;
    json_write_object(&w);
    write_mentions(&w, names, n);
    json_field_array(&w, "attachments");
    for (size_t i = 0; i < json_array_size(message->attachments); i++)
        write_attachment(&w, json_array_get(message->attachments, i), i, dedupe);
    json_write_array_end(&w);
    json_write_object_end(&w);
}

void extra_write_moderation(struct buf *out, const char *action, struct slice by,
                            int64_t expires_us)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "action", slice_str(action));
    if (expires_us)
        json_field_time(&w, "expiresAt", expires_us);
    else
        json_field_null(&w, "expiresAt");
    json_field_str(&w, "by", by);
    json_write_object_end(&w);
}

void extra_write_edit(struct buf *out, struct slice content, const struct members *members,
                      const struct entry *base)
{
    AUTO(json_free) json_t *old = NULL;
    struct json_writer w = json_writer(out);
    struct slice names[MENTIONS_MAX];
    size_t n = find_mentions(content, members, base->visible_to, names);
    const json_t *attachments;
    char *text;

    if (base->extra.len > 0 && json_load_object(base->extra, base->extra.len, &old) < 0) {
        out->failed = true; /* out of memory */
        return;
    }
    attachments = json_object_get(old, "attachments");
    if (n == 0 && json_array_size(attachments) == 0)
        return;
    text = json_array_size(attachments) > 0 ? json_dumps(attachments, JSON_COMPACT) : NULL;
    out->failed |= json_array_size(attachments) > 0 && !text;
    json_write_object(&w);
    write_mentions(&w, names, n);
    json_field_raw(&w, "attachments", text ? slice_str(text) : SLICE_LIT("[]"));
    json_write_object_end(&w);
    free(text);
}

void extra_write_membership(struct buf *out, enum membership_change change,
                            enum member_role role)
{
    static const char *const names[] = {
        [CHANGE_ADDED] = "added", [CHANGE_REMOVED] = "removed", [CHANGE_ROLE] = "role"};
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "change", slice_str(names[change]));
    if (change != CHANGE_REMOVED)
        json_field_str(&w, "role", slice_str(role_name(role)));
    json_write_object_end(&w);
}

bool extra_membership_is_added(struct slice extra)
{
    static const struct slice begin = SLICE_LIT("{\"change\":\"added\"");

    return extra.len > begin.len && memcmp(extra.data, begin.data, begin.len) == 0;
}
