/* event.c - see event.h. */
#include "shard/room/event.h"

#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/json/json_write.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY)

/* ---- reading ---- */

static void check_size(struct json_fields *f, const char *name, const json_t *value, size_t max)
{
    if (value && json_dumpb(value, NULL, 0, DUMP_FLAGS) > max)
        json_fields_fail(f, ERROR_payload_too_large, "%s must have at most %zu bytes", name,
                         max);
}

static const json_t *read_data(struct json_fields *f, size_t max)
{
    const json_t *data = json_object_get(f->object, "data");

    if (json_is_null(data))
        data = NULL;
    check_size(f, "data", data, max);
    return data;
}

static bool is_client_name(struct slice name)
{
    static const char prefix[] = "client-";
    size_t at = sizeof(prefix) - 1;

    if (name.len <= at || name.len > EVENT_NAME_MAX || memcmp(name.data, prefix, at) != 0)
        return false;
    for (; at < name.len; at++) {
        char c = name.data[at];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

void event_read_client(struct json_fields *f, struct event *ret_event)
{
    struct slice name = json_slice(json_object_get(f->object, "eventName"));

    if (!is_client_name(name))
        json_fields_fail(
            f, ERROR_invalid_event_name,
            "eventName must be client- and 1 to %zu characters of A-Z a-z 0-9 _ . -",
            EVENT_NAME_MAX - (sizeof("client-") - 1));
    *ret_event = (struct event){name, read_data(f, CLIENT_EVENT_DATA_MAX)};
}

void event_read_user(struct json_fields *f, struct event *ret_event)
{
    ret_event->name = json_get_str(f, "name", 1, EVENT_NAME_MAX, ERROR_invalid_event_name);
    ret_event->data = read_data(f, EVENT_DATA_MAX);
}

void event_read_server(struct json_fields *f, struct event *ret_event)
{
    event_read_user(f, ret_event);
    if (ret_event->data && !json_is_object(ret_event->data))
        json_fields_fail(f, ERROR_bad_request, "data must be an object");
}

/* What agents and those who run them tell a room, beside what the room says itself. */
static const char *const raw_types[] = {
    "agentRun",    "agent_step", "agentTyping",      "tool_call",
    "tool_result", "tool_error", "approval_request", "approval_decision",
};

const json_t *event_read_raw(struct json_fields *f)
{
    const json_t *event = json_get_object_opt(f, "event", ERROR_bad_request);
    const json_t *type = json_object_get(event, "type");
    bool is_allowed = false;

    if (!event)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(raw_types); i++)
        is_allowed |= slice_eq_str(json_slice(type), raw_types[i]);
    if (!is_allowed)
        json_fields_fail(f, ERROR_invalid_type,
                         "event.type must be one of agentRun, agent_step, agentTyping, "
                         "tool_call, tool_result, tool_error, approval_request, "
                         "approval_decision");
    check_size(f, "event", event, EVENT_DATA_MAX);
    return json_fields_failed(f) ? NULL : event;
}

/* ---- writing ---- */

static int put(const char *text, size_t len, void *arg)
{
    struct buf *out = arg;

    buf_put(out, text, len);
    return buf_failed(out) ? -1 : 0;
}

void event_put_json(struct buf *out, const json_t *value)
{
    if (!value)
        buf_put_slice(out, SLICE_LIT("{}"));
    else if (json_dump_callback(value, put, out, DUMP_FLAGS) != 0)
        out->failed = true;
}

/* The writer stands behind a key. */
static void write_json(struct json_writer *w, const char *key, const json_t *value)
{
    json_write_key(w, key);
    event_put_json(w->out, value);
    w->need_comma = true;
}

static void begin(struct json_writer *w, struct slice type, struct slice room,
                  struct slice user)
{
    json_write_object(w);
    json_field_str(w, "type", type);
    json_field_str(w, "roomId", room);
    json_field_str(w, "userId", user);
}

void frame_client_event(struct buf *out, struct slice room, struct slice user,
                        const struct event *event)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("client_event"), room, user);
    json_field_str(&w, "eventName", event->name);
    write_json(&w, "data", event->data);
    json_write_object_end(&w);
}

void frame_server_event(struct buf *out, struct slice room, struct slice user,
                        const struct event *event)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("server_event"), room, user);
    json_field_str(&w, "name", event->name);
    write_json(&w, "data", event->data);
    json_write_object_end(&w);
}

static bool is_ours(const char *key)
{
    static const char *const keys[] = {"type",    "roomId",     "userId",    "senderId",
                                       "seq",     "updatedSeq", "toSeq",     "fromSeq",
                                       "lastSeq", "currentSeq", "generation"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

void frame_raw_event(struct buf *out, struct slice room, struct slice user, const json_t *event)
{
    struct json_writer w = json_writer(out);
    const char *key;
    json_t *value;

    begin(&w, json_slice(json_object_get(event, "type")), room, user);
    json_object_foreach((json_t *)(uintptr_t)event, key, value)
    {
        if (is_ours(key))
            continue;
        json_write_key_slice(&w, slice_str(key));
        event_put_json(out, value);
        w.need_comma = true;
    }
    json_write_object_end(&w);
}
