/*
 * events.c - POST /events: one event into many rooms (docs/protocol-client.md).
 * Each room's owner decides for itself; EVENT_CALLS_AT_ONCE of them are asked at
 * a time, and the answers are put together in the order of the rooms.
 */
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/api/request.h"

/* Beside the data: name and socket id. What is longer would go to all shards only to be
 * refused. */
#define EVENT_PARAMS_MAX (EVENT_DATA_MAX + 4 * KIB)

struct event_room {
    struct event_fan *fan;
    struct call *call;     /* under way; NULL: not asked yet, or answered */
    struct slice id;       /* points into the request's body */
    enum error_code error; /* ERROR_NONE: it has been given to the room */
    bool is_replayed;      /* by an earlier request with the same key */
};

/* The request while its rooms are asked. */
struct event_fan {
    struct api_request *req;
    char *params;         /* of every call; owned */
    uint64_t deadline_ms; /* of all calls together */
    size_t n, next;       /* rooms; those before next have been asked */
    size_t n_asked;       /* under way */
    struct event_room rooms[];
};

static void fan_free(void *state)
{
    struct event_fan *fan = state;

    free(fan->params);
    free(fan);
}

/* ---- the answer ---- */

static void write_rooms(struct json_writer *w, const struct event_fan *fan, bool failed)
{
    for (size_t i = 0; i < fan->n; i++) {
        const struct event_room *room = &fan->rooms[i];

        if ((room->error != ERROR_NONE) != failed)
            continue;
        if (!failed) {
            json_write_str(w, room->id);
            continue;
        }
        json_write_object(w);
        json_field_str(w, "roomId", room->id);
        json_field_str(w, "error", slice_str(error_info(room->error)->code));
        json_write_object_end(w);
    }
}

static size_t count_failed(const struct event_fan *fan)
{
    size_t n = 0;

    for (size_t i = 0; i < fan->n; i++)
        n += fan->rooms[i].error != ERROR_NONE;
    return n;
}

/* Nothing new has been given to anybody. */
static bool is_replayed(const struct event_fan *fan)
{
    for (size_t i = 0; i < fan->n; i++) {
        if (fan->rooms[i].error == ERROR_NONE && !fan->rooms[i].is_replayed)
            return false;
    }
    return true;
}

static void finish(struct event_fan *fan)
{
    struct api_request *req = fan->req;
    size_t n_failed = count_failed(fan);
    AUTO_BUF body = BUF_INIT;
    struct json_writer w = json_writer(&body);

    if (n_failed == fan->n) { /* for whichever reason, nothing has been done */
        api_reply_error(req, fan->rooms[0].error, SLICE_LIT("in every room"));
        return;
    }
    req->replayed = is_replayed(fan);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_array(&w, "triggered");
    write_rooms(&w, fan, false);
    json_write_array_end(&w);
    if (n_failed > 0) {
        json_field_array(&w, "failed");
        write_rooms(&w, fan, true);
        json_write_array_end(&w);
    }
    json_write_object_end(&w);
    if (buf_failed(&body))
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
    else
        api_reply_json(req, 200, buf_slice(&body));
}

/* ---- asking ---- */

static void ask_more(struct event_fan *fan);

/* The word of an answer of a shard. */
static enum error_code error_of(const struct call_reply *answer)
{
    AUTO(json_free) json_t *body = NULL;
    enum error_code code;

    if (answer->error)
        return error_code_parse(slice_str(answer->error));
    if (answer->status >= 200 && answer->status < 300)
        return ERROR_NONE;
    if (json_load_object(answer->body, LINK_MESSAGE_MAX, &body) != 0)
        body = NULL;
    code = error_code_parse(json_slice(json_object_get(body, "error")));
    return code == ERROR_NONE ? ERROR_unavailable : code;
}

static void on_answer(void *arg, const struct call_reply *answer)
{
    struct event_room *room = arg;
    struct event_fan *fan = room->fan;

    room->call = NULL;
    room->error = error_of(answer);
    room->is_replayed = answer->replayed;
    fan->n_asked--;
    ask_more(fan);
}

static void ask(struct event_room *room, uint32_t deadline_ms)
{
    struct event_fan *fan = room->fan;
    struct api_request *req = fan->req;
    char object[sizeof("room//") + 2 * (size_t)ID_MAX];
    int len = snprintf(object, sizeof(object), "room/%s/%.*s", req->admission.token.project,
                       (int)room->id.len, room->id.data);
    char key[2 * REQUEST_HASH_BYTES + 1];
    struct call_params params = {
        .op = CALL_EVENT_TRIGGER,
        .object = slice_of(object, (size_t)len),
        .project = slice_str(req->admission.token.project),
        .user = slice_str(req->admission.token.user),
        .roles = req->roles_text,
        .params = slice_str(fan->params),
        .trace = trace_slice(&req->ex->trace),
        .deadline_ms = deadline_ms,
        .once = true,
    };

    if (req->client_key.len) {
        if (!api_key_for_room(req, room->id, key)) {
            room->error = ERROR_overloaded;
            return;
        }
        params.client_key = slice_str(key);
        params.request = slice_of(req->request_hash, REQUEST_HASH_BYTES);
    }
    if (calls_start(req->api->calls, &params, on_answer, room, &room->call) == 0)
        fan->n_asked++;
    else
        room->error = ERROR_overloaded;
}

/* A token for one room is good for that one only. */
static bool is_pinned_elsewhere(const struct api_request *req, struct slice room)
{
    const char *pinned = req->admission.token.room;

    return pinned[0] && !slice_eq_str(room, pinned);
}

/* Answers the request when nothing is left to be asked or waited for. */
static void ask_more(struct event_fan *fan)
{
    uint64_t now_ms = env_now_ms(fan->req->api->env);

    while (fan->next < fan->n && fan->n_asked < EVENT_CALLS_AT_ONCE) {
        struct event_room *room = &fan->rooms[fan->next++];

        if (is_pinned_elsewhere(fan->req, room->id))
            room->error = ERROR_forbidden;
        else if (now_ms >= fan->deadline_ms)
            room->error = ERROR_unavailable;
        else
            ask(room, (uint32_t)(fan->deadline_ms - now_ms));
    }
    if (fan->n_asked == 0)
        finish(fan);
}

/* ---- the request ---- */

/* Each room once, in the order given. */
static void read_rooms(struct json_fields *f, const json_t *list, struct event_fan *fan)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct slice id = json_slice(json_array_get(list, i));
        size_t known = 0;

        if (!ident_is_valid(id)) {
            json_fields_fail(f, ERROR_invalid_id,
                             "roomIds[%zu] must be 1 to %d characters of A-Z a-z 0-9 _ -", i,
                             ID_MAX);
            return;
        }
        while (known < fan->n && !slice_eq(fan->rooms[known].id, id))
            known++;
        if (known == fan->n)
            fan->rooms[fan->n++] = (struct event_room){.fan = fan, .id = id};
    }
}

/* What every room is asked for: the body without the rooms. */
static char *make_params(const json_t *body)
{
    static const char *const keys[] = {"name", "data", "event", "excludeSocketId"};
    AUTO(json_free) json_t *params = json_object();

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *value = json_object_get(body, keys[i]);

        if (value && json_object_set(params, keys[i], value) < 0)
            return NULL;
    }
    return params ? json_dumps(params, JSON_COMPACT) : NULL;
}

static bool is_given(const json_t *body, const char *key)
{
    const json_t *value = json_object_get(body, key);

    return value && !json_is_null(value);
}

/* What the shards would all say alike is said here; they look at the event itself. */
static void check(struct json_fields *f, const json_t *list)
{
    if (json_array_size(list) == 0)
        json_fields_fail(f, ERROR_bad_request, "roomIds must name 1 to %d rooms",
                         EVENT_ROOMS_MAX);
    if (is_given(f->object, "name") == is_given(f->object, "event"))
        json_fields_fail(f, ERROR_bad_request, "either name or event must be given");
    if (is_given(f->object, "event") && is_given(f->object, "data"))
        json_fields_fail(f, ERROR_bad_request, "data goes with name, not with event");
}

void api_post_events(struct api_request *req)
{
    struct json_fields f = json_fields(req->body);
    const json_t *list = json_get_array_opt(&f, "roomIds", EVENT_ROOMS_MAX, ERROR_bad_request);
    struct event_fan *fan;

    check(&f, list);
    if (!api_fields_ok(req, &f))
        return;
    fan = calloc(1, sizeof(*fan) + json_array_size(list) * sizeof(fan->rooms[0]));
    if (!fan) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    req->state = fan;
    req->free_state = fan_free;
    fan->req = req;
    fan->deadline_ms = env_now_ms(req->api->env) + CALL_DEADLINE_MS;
    read_rooms(&f, list, fan);
    fan->params = make_params(req->body);
    if (fan->params && strlen(fan->params) > EVENT_PARAMS_MAX)
        json_fields_fail(&f, ERROR_payload_too_large, "an event must have at most %u bytes",
                         EVENT_DATA_MAX);
    if (!api_fields_ok(req, &f) || !api_may_send_events(req, fan->n))
        return;
    if (fan->params)
        ask_more(fan);
    else
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
}
