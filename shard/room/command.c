/* command.c - see command.h. */
#include "shard/room/command.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/base/utf8.h"
#include "common/json/json_read.h"
#include "shard/room/frames.h"
#include "shard/room/reactions.h"

#define JSON_SAFE_MAX ((json_int_t)9007199254740991) /* 2^53 - 1 */

static int PRINTF_LIKE(3, 4)
    bad(struct command_error *error, enum error_code code, const char *fmt, ...)
{
    va_list ap;

    error->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(error->detail, sizeof(error->detail), fmt, ap); /* cutting it is fine */
    va_end(ap);
    return COMMAND_BAD;
}

/* The member, or NULL when it is missing or null. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_null(v) ? NULL : v;
}

/* 1..max bytes of a string. */
static bool is_text(const json_t *v, size_t max)
{
    return json_is_string(v) && json_string_length(v) >= 1 && json_string_length(v) <= max;
}

static bool is_safe_int(const json_t *v, json_int_t min)
{
    return json_is_integer(v) && json_integer_value(v) >= min &&
           json_integer_value(v) <= JSON_SAFE_MAX;
}

/* Relative or of the web: anything else (javascript:, data:) would run in somebody's browser.
 */
static bool is_attachment_url(const json_t *v)
{
    struct slice s;

    if (!is_text(v, ATTACHMENT_URL_MAX))
        return false;
    s = json_slice(v);
    return s.data[0] == '/' || (s.len > 8 && memcmp(s.data, "https://", 8) == 0) ||
           (s.len > 7 && memcmp(s.data, "http://", 7) == 0);
}

static const char *attachment_fault(const json_t *a)
{
    const json_t *v;

    if (!json_is_object(a))
        return "must be an object";
    if (!is_text(json_object_get(a, "kind"), ATTACHMENT_KIND_MAX))
        return "needs a kind";
    if (!is_attachment_url(json_object_get(a, "url")))
        return "needs an http, https or relative url";
    if (!is_text(json_object_get(a, "name"), ATTACHMENT_NAME_MAX))
        return "needs a name";
    v = member(a, "sizeBytes");
    if (v && !is_safe_int(v, 0))
        return "has a bad sizeBytes";
    v = member(a, "contentType");
    if (v && !is_text(v, ATTACHMENT_TYPE_MAX))
        return "has a bad contentType";
    return NULL;
}

static int read_attachments(const json_t *object, struct command_message *m,
                            struct command_error *error)
{
    const json_t *list = member(object, "attachments");

    m->attachments = NULL;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > ATTACHMENTS_MAX)
        return bad(error, ERROR_invalid_attachments, "attachments must be a list of at most %u",
                   ATTACHMENTS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *fault = attachment_fault(json_array_get(list, i));

        if (fault)
            return bad(error, ERROR_invalid_attachments, "attachments[%zu] %s", i, fault);
    }
    if (json_array_size(list) > 0)
        m->attachments = list;
    return 0;
}

/* The parent under either of its names. */
static int read_parent(const json_t *object, struct command_message *m,
                       struct command_error *error)
{
    static const char *const names[] = {"parentId", "replyTo"};

    m->parent_id = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json_t *v = member(object, names[i]);

        if (!v)
            continue;
        if (!is_safe_int(v, 1))
            return bad(error, ERROR_bad_request, "%s must be a positive integer", names[i]);
        m->parent_id = (int64_t)json_integer_value(v);
        return 0;
    }
    return 0;
}

/* `visibility` and `visibleTo`. Who is named is checked against the members later. */
static int read_visibility(const json_t *object, struct command_message *m,
                           struct command_error *error)
{
    const json_t *v = member(object, "visibility"), *to = member(object, "visibleTo");

    if (v && !json_is_string(v))
        return bad(error, ERROR_invalid_visibility, "visibility must be room or whisper");
    if (!v || slice_eq_str(json_slice(v), "room")) {
        /* What would change who sees the message must not be overlooked. */
        if (to && !(json_is_array(to) && json_array_size(to) == 0))
            return bad(error, ERROR_invalid_visibility, "visibleTo needs visibility whisper");
        m->is_open = v != NULL;
        return 0;
    }
    if (!slice_eq_str(json_slice(v), "whisper"))
        return bad(error, ERROR_invalid_visibility, "visibility must be room or whisper");
    if (!json_is_array(to) || json_array_size(to) < 1 || json_array_size(to) >= VISIBLE_TO_MAX)
        return bad(error, ERROR_invalid_visibility, "visibleTo must name 1 to %u users",
                   VISIBLE_TO_MAX - 1);
    for (size_t i = 0; i < json_array_size(to); i++) {
        if (!is_text(json_array_get(to, i), ID_MAX + sizeof("role:")))
            return bad(error, ERROR_invalid_visibility,
                       "visibleTo[%zu] must be a user or role:x", i);
    }
    m->is_whisper = true;
    m->visible_to = to;
    return 0;
}

static int read_expiry(const json_t *object, struct command_message *m,
                       struct command_error *error)
{
    const json_t *in = member(object, "expiresInSeconds"), *at = member(object, "expiresAt");

    if (in && at)
        return bad(error, ERROR_invalid_expiry, "expiresInSeconds or expiresAt, not both");
    if (in) {
        if (!json_is_integer(in) || json_integer_value(in) < EXPIRY_MIN_S ||
            json_integer_value(in) > EXPIRY_MAX_S)
            return bad(error, ERROR_invalid_expiry, "expiresInSeconds must be %d to %d",
                       EXPIRY_MIN_S, EXPIRY_MAX_S);
        m->expires_in_s = (int64_t)json_integer_value(in);
    }
    if (at && (!json_is_string(at) || time_parse(json_slice(at), &m->expires_us) < 0 ||
               m->expires_us <= 0))
        return bad(error, ERROR_invalid_expiry, "expiresAt must be an RFC 3339 time");
    return 0;
}

/* What would change the text must not be overlooked. */
static int refuse_unsupported(const json_t *object, struct command_error *error)
{
    if (member(object, "templateId"))
        return bad(error, ERROR_not_implemented, "%s", "templateId is not supported");
    return 0;
}

static int read_client_id(const json_t *object, struct slice *ret, struct command_error *error)
{
    const json_t *v = member(object, "clientMessageId");

    *ret = (struct slice){0};
    if (!v)
        return 0;
    if (!json_is_string(v) || !client_message_id_is_valid(json_slice(v)))
        return bad(error, ERROR_invalid_client_message_id,
                   "clientMessageId must be 1 to %u visible ASCII characters", CLIENT_ID_MAX);
    *ret = error->client_id = json_slice(v);
    return 0;
}

static int read_content(const json_t *object, struct slice *ret, struct command_error *error)
{
    const json_t *v = json_object_get(object, "content");
    size_t units;

    if (!json_is_string(v))
        return bad(error, ERROR_invalid_content, "content must be a string");
    *ret = utf8_trim(json_slice(v));
    units = utf8_utf16_units(*ret);
    if (units < 1 || units > CONTENT_MAX_CHARS)
        return bad(error, ERROR_invalid_content, "content must have 1 to %u characters",
                   CONTENT_MAX_CHARS);
    return 0;
}

int command_message_read(const json_t *object, struct command_message *ret_message,
                         struct command_error *ret_error)
{
    struct command_message *m = ret_message;
    int r;

    *m = (struct command_message){0};
    r = read_client_id(object, &m->client_id, ret_error);
    if (r)
        return r;
    r = read_content(object, &m->content, ret_error);
    if (r)
        return r;
    r = read_parent(object, m, ret_error);
    if (r)
        return r;
    r = read_attachments(object, m, ret_error);
    if (r)
        return r;
    r = read_visibility(object, m, ret_error);
    if (r)
        return r;
    r = read_expiry(object, m, ret_error);
    if (r)
        return r;
    return refuse_unsupported(object, ret_error);
}

static int read_message(struct command *command, struct command_error *error)
{
    command->type = COMMAND_MESSAGE;
    return command_message_read(command->root, &command->message, error);
}

static int read_message_id(const json_t *object, struct command_change *change,
                           struct command_error *error)
{
    const json_t *v = member(object, "messageId");

    if (!is_safe_int(v, 1))
        return bad(error, ERROR_bad_request, "%s",
                   v ? "messageId must be a positive integer" : "messageId required");
    change->message_id = (int64_t)json_integer_value(v);
    return 0;
}

static int read_reaction(const json_t *object, struct command_change *change,
                         struct command_error *error)
{
    const json_t *emoji = member(object, "emoji"), *op = member(object, "op");
    bool is_removed = json_is_string(op) && slice_eq_str(json_slice(op), "remove");

    if (!json_is_string(emoji) || !reaction_emoji_is_valid(json_slice(emoji)))
        return bad(error, ERROR_invalid_emoji, "emoji must be a string of 1 to %u bytes",
                   REACTION_EMOJI_MAX);
    if (!is_removed && !(json_is_string(op) && slice_eq_str(json_slice(op), "add")))
        return bad(error, ERROR_bad_request, "op must be add or remove");
    change->emoji = json_slice(emoji);
    change->is_added = !is_removed;
    return 0;
}

int command_change_read(const json_t *object, enum command_type type,
                        struct command_change *ret_change, struct command_error *ret_error)
{
    int r;

    *ret_change = (struct command_change){0};
    r = read_client_id(object, &ret_change->client_id, ret_error);
    if (r)
        return r;
    r = read_message_id(object, ret_change, ret_error);
    if (r)
        return r;
    if (type == COMMAND_EDIT)
        return read_content(object, &ret_change->content, ret_error);
    if (type == COMMAND_REACTION)
        return read_reaction(object, ret_change, ret_error);
    ret_change->is_hard = json_is_true(json_object_get(object, "hard"));
    return 0;
}

static int read_edit(struct command *command, struct command_error *error)
{
    command->type = COMMAND_EDIT;
    return command_change_read(command->root, COMMAND_EDIT, &command->change, error);
}

static int read_delete(struct command *command, struct command_error *error)
{
    command->type = COMMAND_DELETE;
    return command_change_read(command->root, COMMAND_DELETE, &command->change, error);
}

static int read_react(struct command *command, struct command_error *error)
{
    command->type = COMMAND_REACTION;
    return command_change_read(command->root, COMMAND_REACTION, &command->change, error);
}

/* Everybody sees a stream, and it stays: who asks for less must not be shown more. */
static int read_stream_kind(const json_t *object, struct command_message *m,
                            struct command_error *error)
{
    int r = read_visibility(object, m, error);

    if (r)
        return r;
    if (m->is_whisper)
        return bad(error, ERROR_invalid_visibility, "%s", "a stream cannot be a whisper");
    if (member(object, "expiresInSeconds") || member(object, "expiresAt"))
        return bad(error, ERROR_invalid_expiry, "%s", "a stream cannot expire");
    return 0;
}

static int read_stream(struct command *command, struct command_error *error)
{
    static const char *const names[] = {[STREAM_OP_START] = "start",
                                        [STREAM_OP_DELTA] = "delta",
                                        [STREAM_OP_END] = "end",
                                        [STREAM_OP_ABORT] = "abort"};
    const json_t *op = member(command->root, "op"), *text = member(command->root, "content");
    struct command_stream *s = &command->stream;
    struct command_message parent = {0};
    size_t i = 0, max;

    command->type = COMMAND_STREAM;
    *s = (struct command_stream){0};
    while (i < ARRAY_LEN(names) &&
           !(json_is_string(op) && slice_eq_str(json_slice(op), names[i])))
        i++;
    if (i == ARRAY_LEN(names))
        return bad(error, ERROR_bad_request, "op must be start, delta, end or abort");
    s->op = (enum stream_op)i;
    max = s->op == STREAM_OP_END ? STREAM_MAX_BYTES : STREAM_DELTA_MAX_BYTES;
    if (text && (!json_is_string(text) || json_string_length(text) > max))
        return bad(error, ERROR_invalid_content,
                   "content must be a string of at most %zu bytes", max);
    if (s->op == STREAM_OP_DELTA && !text)
        return bad(error, ERROR_invalid_content, "a delta needs content");
    if (text) {
        s->has_content = true;
        s->content = json_slice(text);
    }
    if (s->op != STREAM_OP_START)
        return 0;
    if (read_client_id(command->root, &s->client_id, error) ||
        read_parent(command->root, &parent, error) ||
        read_stream_kind(command->root, &parent, error))
        return COMMAND_BAD;
    s->parent_id = parent.parent_id;
    return 0;
}

static int read_resume(struct command *command, struct command_error *error)
{
    const json_t *seq = json_object_get(command->root, "lastSeq");
    const json_t *generation = member(command->root, "generation");

    command->type = COMMAND_RESUME;
    if (!is_safe_int(seq, 0))
        return bad(error, ERROR_invalid_cursor, "lastSeq must be a non-negative integer");
    if (generation && !json_is_string(generation))
        return bad(error, ERROR_invalid_cursor, "generation must be a string");
    command->resume.last_seq = (uint64_t)json_integer_value(seq);
    command->resume.generation = generation ? json_slice(generation) : (struct slice){0};
    return 0;
}

static int read_typing(struct command *command, struct command_error *error)
{
    const json_t *on = json_object_get(command->root, "isTyping");
    const json_t *intent = member(command->root, "intent");

    command->type = COMMAND_TYPING;
    if (!json_is_boolean(on))
        return bad(error, ERROR_bad_request, "isTyping must be a boolean");
    command->typing.is_typing = json_is_true(on);
    command->typing.intent = command->typing.is_typing ? TYPING_COMPOSING : TYPING_IDLE;
    for (unsigned i = TYPING_COMPOSING; i <= TYPING_IDLE && json_is_string(intent); i++) {
        if (slice_eq_str(json_slice(intent), typing_intent_name((enum typing_intent)i)))
            command->typing.intent = i;
    }
    return 0;
}

static int read_client_event(struct command *command, struct command_error *error)
{
    struct json_fields f = json_fields(command->root);

    command->type = COMMAND_CLIENT_EVENT;
    event_read_client(&f, &command->event);
    return json_fields_failed(&f) ? bad(error, f.error, "%s", f.detail) : 0;
}

static int read_agent_typing(struct command *command, struct command_error *error)
{
    struct slice agent = json_slice(json_object_get(command->root, "agentId"));
    const json_t *on = json_object_get(command->root, "isTyping");

    command->type = COMMAND_AGENT_TYPING;
    if (!ident_is_valid(agent) || agent.len > AGENT_ID_MAX)
        return bad(error, ERROR_invalid_id,
                   "agentId must be 1 to %d characters of A-Z a-z 0-9 _ -", AGENT_ID_MAX);
    if (!json_is_boolean(on))
        return bad(error, ERROR_bad_request, "isTyping must be a boolean");
    command->agent_typing.agent = agent;
    command->agent_typing.is_typing = json_is_true(on);
    return 0;
}

static int read_read(struct command *command, struct command_error *error)
{
    const json_t *id = json_object_get(command->root, "messageId");

    command->type = COMMAND_READ;
    if (!is_safe_int(id, 1))
        return bad(error, ERROR_bad_request, "messageId must be a positive integer");
    command->read_id = (int64_t)json_integer_value(id);
    return 0;
}

static const struct {
    const char *type;
    int (*read)(struct command *command, struct command_error *error);
} readers[] = {
    {"message", read_message}, {"edit", read_edit},
    {"delete", read_delete},   {"reaction", read_react},
    {"stream", read_stream},   {"typing", read_typing},
    {"resume", read_resume},   {"client_event", read_client_event},
    {"read", read_read},       {"agentTyping", read_agent_typing},
};

int command_parse(struct slice json, struct command *ret_command,
                  struct command_error *ret_error)
{
    struct command *c = ret_command;
    const json_t *type, *frame_id;
    int r;

    *c = (struct command){0};
    *ret_error = (struct command_error){0};
    r = json_load_object(json, FRAME_MAX_BYTES, &c->root);
    if (r < 0)
        return bad(ret_error, ERROR_overloaded, "out of memory");
    if (r == JSON_LOAD_TOO_LARGE)
        return bad(ret_error, ERROR_payload_too_large, "%s", "");
    if (r)
        return bad(ret_error, ERROR_invalid_json, "a frame must be a JSON object");
    frame_id = member(c->root, "frameId");
    if (frame_id) {
        if (!json_is_string(frame_id) || !client_message_id_is_valid(json_slice(frame_id)))
            return bad(ret_error, ERROR_bad_request,
                       "frameId must be 1 to %u visible ASCII characters", CLIENT_ID_MAX);
        c->frame_id = ret_error->frame_id = json_slice(frame_id);
    }
    type = json_object_get(c->root, "type");
    for (size_t i = 0; i < ARRAY_LEN(readers) && json_is_string(type); i++) {
        if (slice_eq_str(json_slice(type), readers[i].type))
            return readers[i].read(c, ret_error);
    }
    return bad(ret_error, ERROR_unknown_event_type, "%s", "");
}

void command_deinit(struct command *command)
{
    json_decref(command->root);
    command->root = NULL;
}
