/* extra.c - see extra.h. */
#include "shard/room/extra.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/json/json_read.h"
#include "common/json/json_write.h"

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

static void write_mentions(struct json_writer *w, const struct mentions *mentions)
{
    json_field_array(w, "mentions");
    for (size_t i = 0; i < mentions->n; i++)
        json_write_str(w, mentions->names[i]);
    json_write_array_end(w);
}

void extra_write_message(struct buf *out, const struct command_message *message,
                         const struct mentions *mentions, const uint8_t dedupe[DEDUPE_LEN])
{
    struct json_writer w = json_writer(out);

    if (mentions->n == 0 && !message->attachments)
        return;
    json_write_object(&w);
    write_mentions(&w, mentions);
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

void extra_write_edit(struct buf *out, const struct mentions *mentions,
                      const struct entry *base)
{
    AUTO(json_free) json_t *old = NULL;
    struct json_writer w = json_writer(out);
    const json_t *attachments;
    char *text;

    if (base->extra.len > 0 && json_load_object(base->extra, base->extra.len, &old) < 0) {
        out->failed = true; /* out of memory */
        return;
    }
    attachments = json_object_get(old, "attachments");
    if (mentions->n == 0 && json_array_size(attachments) == 0)
        return;
    text = json_array_size(attachments) > 0 ? json_dumps(attachments, JSON_COMPACT) : NULL;
    out->failed |= json_array_size(attachments) > 0 && !text;
    json_write_object(&w);
    write_mentions(&w, mentions);
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

void extra_write_pin(struct buf *out, int64_t id)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    if (id)
        json_field_i64(&w, "messageId", id);
    else
        json_field_null(&w, "messageId");
    json_write_object_end(&w);
}

void extra_write_room(struct buf *out, struct slice name, struct slice type,
                      const struct room_settings *settings)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "name", name);
    json_field_str(&w, "roomType", type);
    json_write_key(&w, "settings");
    w.need_comma = false;
    room_settings_write(&w, settings, false);
    json_write_object_end(&w);
}
