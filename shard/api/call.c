/* call.c - see call.h and api.h. */
#include "shard/api/call.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "shard/api/call_turn.h"
#include "shard/api/key_drops.h"
#include "shard/host/gather.h"
#include "shard/host/host.h"
#include "shard/metrics.h"
#include "shard/store/file_store.h"

struct api {
    struct host *host;
    struct file_store *files; /* owned */
    struct key_drops *drops;  /* owned */
    struct list calls;        /* struct call.in_api: not answered yet */
    struct call_turns turns;
};

struct call_turns *call_turns_of(struct api *api)
{
    return &api->turns;
}

static const struct call_row rows[] = {
    [CALL_KEY_LOOKUP] = {CALL_OBJECT_NONE, verb_key_lookup},
    [CALL_PROJECT_CONFIG] = {CALL_OBJECT_PROJECT, verb_project_config},
    [CALL_USER_EVENT] = {CALL_OBJECT_USER, verb_user_event},
    [CALL_CONNECTIONS_CLOSE] = {CALL_OBJECT_NONE, verb_connections_close},
    [CALL_EVENT_TRIGGER] = {CALL_OBJECT_ROOM, verb_event_trigger},
    [CALL_CONNECTION_TERMINATE] = {CALL_OBJECT_ROOM, verb_connection_terminate},
    [CALL_ROOMS_LIST] = {CALL_OBJECT_NONE, verb_rooms_list},
    [CALL_ROOM_CREATE] = {CALL_OBJECT_NEW_ROOM, verb_room_create},
    [CALL_MEMBER_PREFERENCES] = {CALL_OBJECT_ROOM, verb_member_preferences},
    [CALL_ROOM_DELETE] = {CALL_OBJECT_NEW_ROOM, verb_room_delete},
    [CALL_ROOM_READ] = {CALL_OBJECT_ROOM, verb_room_read},
    [CALL_ROOM_UNREAD] = {CALL_OBJECT_ROOM, verb_room_unread},
    [CALL_DRAFT_GET] = {CALL_OBJECT_NONE, verb_draft_get},
    [CALL_DRAFT_PUT] = {CALL_OBJECT_NONE, verb_draft_put},
    [CALL_ROOM_PIN] = {CALL_OBJECT_ROOM, verb_room_pin},
    [CALL_INBOX] = {CALL_OBJECT_NONE, verb_inbox},
    [CALL_SNOOZE] = {CALL_OBJECT_NONE, verb_snooze},
    [CALL_FOLLOW_UP_ADD] = {CALL_OBJECT_NONE, verb_follow_up_add},
    [CALL_FOLLOW_UP_UPDATE] = {CALL_OBJECT_NONE, verb_follow_up_update},
    [CALL_FOLLOW_UP_REMOVE] = {CALL_OBJECT_NONE, verb_follow_up_remove},
    [CALL_NOTIFICATIONS_LIST] = {CALL_OBJECT_NONE, verb_notifications_list},
    [CALL_NOTIFICATIONS_READ] = {CALL_OBJECT_NONE, verb_notifications_read},
    [CALL_MESSAGE_DELIVERED] = {CALL_OBJECT_ROOM, verb_message_delivered},
    [CALL_DELIVERIES_LIST] = {CALL_OBJECT_ROOM, verb_deliveries_list},
    [CALL_ROOM_UPDATE] = {CALL_OBJECT_ROOM, verb_room_update},
    [CALL_DM_OPEN] = {CALL_OBJECT_NEW_ROOM, verb_dm_open},
    [CALL_ROOM_GET] = {CALL_OBJECT_ROOM, verb_room_get},
    [CALL_ROOM_LIVE] = {CALL_OBJECT_ROOM, verb_room_live},
    [CALL_MEMBERS_LIST] = {CALL_OBJECT_ROOM, verb_members_list},
    [CALL_MEMBER_ADD] = {CALL_OBJECT_ROOM, verb_member_add},
    [CALL_MEMBER_REMOVE] = {CALL_OBJECT_ROOM, verb_member_remove},
    [CALL_MESSAGE_POST] = {CALL_OBJECT_ROOM, verb_message_post},
    [CALL_MESSAGE_LOCATE] = {CALL_OBJECT_NONE, verb_message_locate},
    [CALL_MESSAGE_EDIT] = {CALL_OBJECT_ROOM, verb_message_edit},
    [CALL_MESSAGE_DELETE] = {CALL_OBJECT_ROOM, verb_message_delete},
    [CALL_REACTION_ADD] = {CALL_OBJECT_ROOM, verb_reaction_add},
    [CALL_REACTION_REMOVE] = {CALL_OBJECT_ROOM, verb_reaction_remove},
    [CALL_HISTORY] = {CALL_OBJECT_ROOM, verb_history},
    [CALL_MODERATE] = {CALL_OBJECT_ROOM, verb_moderate},
    [CALL_ANNOUNCE] = {CALL_OBJECT_ROOM, verb_announce},
    [CALL_REPORT] = {CALL_OBJECT_ROOM, verb_report},
    [CALL_REPORTS_LIST] = {CALL_OBJECT_NONE, verb_reports_list},
    [CALL_AUDIT_LIST] = {CALL_OBJECT_NONE, verb_audit_list},
    [CALL_BLOCKS_LIST] = {CALL_OBJECT_NONE, verb_blocks_list},
    [CALL_BLOCK_SET] = {CALL_OBJECT_NONE, verb_block_set},
    [CALL_FILE_CREATE] = {CALL_OBJECT_NONE, verb_file_create},
    [CALL_FILE_PUT] = {CALL_OBJECT_NONE, verb_file_put},
    [CALL_FILE_FINISH] = {CALL_OBJECT_NONE, verb_file_finish},
    [CALL_FILE_STAT] = {CALL_OBJECT_NONE, verb_file_stat},
    [CALL_FILE_GET] = {CALL_OBJECT_NONE, verb_file_get},
    [CALL_FILE_REMOVE] = {CALL_OBJECT_NONE, verb_file_remove},
    [CALL_SEARCH_MESSAGES] = {CALL_OBJECT_NONE, verb_search_messages},
    [CALL_EXPORT_START] = {CALL_OBJECT_NONE, verb_export_start},
    [CALL_EXPORT_PAGE] = {CALL_OBJECT_NONE, verb_export_page},
    [CALL_SEARCH_CONVERSATIONS] = {CALL_OBJECT_NONE, verb_search_conversations},
};

/* ---- ending ---- */

static void free_now(struct later *later, void *arg)
{
    struct call *call = arg;

    (void)later;
    json_decref(call->params);
    buf_deinit(&call->idempotency.body);
    entry_unref(call->verb.named);
    buf_deinit(&call->verb.page);
    history_free(call->verb.history);
    free(call);
}

static void count(struct call *call)
{
    struct shard_metrics *metrics = call->host->metrics;
    uint64_t us = env_mono_us(call->env) - call->started_us;

    metrics->calls_pending--;
    histogram_observe(&metrics->call_us, us);
    switch (call->op) {
#define CALL(op, number, text)                                                                 \
    case CALL_##op:                                                                            \
        metrics->calls_##op++;                                                                 \
        break;
#include "common/wire/calls.def"
#undef CALL
    default:
        break;
    }
}

/* Takes the call out of everything that could still reach it, but for what it holds. */
static void end(struct call *call)
{
    call->is_answered = true;
    count(call);
    list_del(&call->in_api);
    list_del(&call->client.link);
    list_del(&call->room_wait.link);
    list_del(&call->change_wait.link);
    list_del(&call->lookup_wait.link);
    gather_cancel(TAKE(call->verb.gather));
    list_del(&call->read_wait.link);
    call_turn_leave(call);
    env_timer_cancel(call->env, &call->deadline);
    if (call->held == 0)
        env_free_later(call->env, &call->dead);
}

static void send_reply(struct call *call, unsigned status, struct slice body, struct slice data,
                       uint64_t retry_after_ms)
{
    struct msg msg = {.type = MSG_REPLY,
                      .REPLY = {.call = call->number,
                                .status = status,
                                .body = body,
                                .data = data,
                                .replayed = call->idempotency.replayed,
                                .retry_after_ms = (uint32_t)MIN(retry_after_ms, UINT32_MAX)}};

    if (status >= 500)
        log_warn("call failed", L_STR("op", call_op_name(call->op)), L_U64("status", status),
                 L_SLICE("object", call->object), L_SLICE("trace_id", call->trace));
    else
        log_debug("call", L_STR("op", call_op_name(call->op)), L_U64("status", status),
                  L_SLICE("object", call->object), L_SLICE("trace_id", call->trace));
    if (call->gate)
        gate_send(call->gate, &msg);
    call_turn_given(call, body.len + data.len);
    end(call);
}

void call_send(struct call *call, unsigned status, struct slice body, uint64_t retry_after_ms)
{
    send_reply(call, status, body, slice_of(NULL, 0), retry_after_ms);
}

static void reply(struct call *call, unsigned status, struct slice body, struct slice data,
                  uint64_t retry_after_ms)
{
    if (!call->is_answered && !idempotency_take(call, status, body, retry_after_ms))
        send_reply(call, status, body, data, retry_after_ms);
}

void call_reply(struct call *call, unsigned status, struct slice body)
{
    reply(call, status, body, slice_of(NULL, 0), 0);
}

void call_reply_buf(struct call *call, const struct buf *body)
{
    if (buf_failed(body))
        call_refuse(call, ERROR_overloaded, "", 0);
    else
        reply(call, 200, buf_slice(body), slice_of(NULL, 0), 0);
}

void call_reply_page(struct call *call, struct slice body, struct slice data)
{
    reply(call, 200, body, data, 0);
}

void call_reply_data(struct call *call, struct slice data)
{
    reply(call, 200, SLICE_LIT("{}"), data, 0);
}

void call_reply_ok(struct call *call)
{
    reply(call, 200, SLICE_LIT("{\"ok\":true}"), slice_of(NULL, 0), 0);
}

void call_refuse(struct call *call, enum error_code code, const char *detail,
                 uint64_t retry_after_ms)
{
    struct buf *body = &call->host->json;

    buf_clear(body);
    error_body_write(body, code, slice_str(detail), slice_of(NULL, 0));
    reply(call, error_info(code)->status, buf_slice(body), slice_of(NULL, 0), retry_after_ms);
}

void call_refuse_fields(struct call *call, const struct json_fields *fields)
{
    call_refuse(call, fields->error, fields->detail, 0);
}

void call_moved(struct call *call)
{
    reply(call, 421, slice_of(NULL, 0), slice_of(NULL, 0), 0);
}

bool call_release(struct call *call)
{
    call->held--;
    if (!call->is_answered)
        return true;
    if (call->held == 0)
        env_free_later(call->env, &call->dead);
    return false;
}

static void on_deadline(struct timer *timer, void *arg)
{
    struct call *call = arg;

    (void)timer;
    call_refuse(call, call->is_writing ? ERROR_outcome_unknown : ERROR_unavailable, "", 0);
}

static void on_forgotten(struct gate_client *client)
{
    container_of(client, struct call, client)->gate = NULL;
}

/* ---- steps ---- */

struct actor call_actor(const struct call *call, const struct room_host *room)
{
    return room_actor(room, call->user, call->project_roles);
}

static void on_room(struct room_wait *wait, enum room_wait_result result,
                    struct room_host *room)
{
    struct call *call = container_of(wait, struct call, room_wait);
    struct actor actor;

    switch (result) {
    case ROOM_WAIT_READY:
        room_touch(room);
        actor = call_actor(call, room);
        if (rules_refuse_read(&actor) == ERROR_banned)
            call_refuse(call, ERROR_banned, "", 0);
        else
            call->row->handler(call, room);
        return;
    case ROOM_WAIT_MOVED:
        call_moved(call);
        return;
    case ROOM_WAIT_NOT_FOUND:
        if (call->row->object == CALL_OBJECT_NEW_ROOM)
            call->row->handler(call, NULL);
        else
            call_refuse(call, ERROR_forbidden, "", 0); /* does not say whether it exists */
        return;
    }
}

void call_find_room(struct call *call)
{
    struct room_host *room;

    if (!host_serves(call->host, call->project, call->room_id)) {
        call_moved(call);
        return;
    }
    room = room_open(call->host, call->project, call->room_id);
    if (!room) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    room_when_active(room, &call->room_wait);
}

static void on_message(void *arg, enum found found, struct entry *entry)
{
    struct call *call = arg;

    if (!call_release(call))
        return;
    call->verb.found = found;
    call->verb.named = entry ? entry_ref(entry) : NULL;
    if (found != FOUND_UNKNOWN || !host_serves(call->host, call->project, call->room_id))
        call_find_room(call); /* comes back to the handler */
    else
        call_refuse(call, ERROR_unavailable, "", 0);
}

void call_find_message(struct call *call, struct room_host *room, int64_t id)
{
    entry_unref(TAKE(call->verb.named));
    if (find_start(room, id, on_message, call))
        call_hold(call);
    else
        call_refuse(call, ERROR_overloaded, "", 0);
}

bool call_changed(struct call *call, enum change_outcome outcome, enum error_code error)
{
    call->is_writing = false;
    switch (outcome) {
    case CHANGE_DONE:
        return true;
    case CHANGE_AGAIN:
        call_find_room(call);
        return false;
    case CHANGE_FAILED:
        call_refuse(call, error, "", 0);
        return false;
    case CHANGE_MOVED:
        call_moved(call);
        return false;
    }
    return false;
}

static void on_joined(struct change_wait *wait, enum change_outcome outcome,
                      enum error_code error)
{
    struct call *call = container_of(wait, struct call, change_wait);

    if (call_changed(call, outcome, error))
        call_find_room(call);
}

void call_join(struct call *call, struct room_host *room)
{
    struct change change = {.user = call->user, .role = ROLE_MEMBER};

    if (members_count(&room->members) >= ROOM_MEMBERS_MAX) {
        call_refuse(call, ERROR_too_many_members, "", 0);
        return;
    }
    call->change_wait.fn = on_joined;
    if (change_start(room, &change, &call->change_wait) < 0)
        call_refuse(call, ERROR_overloaded, "", 0);
    else
        call->is_writing = true;
}

/* ---- beginning ---- */

static struct slice put(char **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

/* What a client calls by a key is recognised in the room by that key and by what it asked for.
 */
static void take_client_key(struct call *call, const struct msg_CALL *msg, char **at)
{
    struct idempotency *idem = &call->idempotency;
    char *begin = *at;

    idem->own_key = call->key;
    idem->client_key = put(at, msg->client_key);
    idem->request = put(at, msg->request);
    call->key = slice_of(begin, (size_t)(*at - begin));
}

static struct call *call_new(struct api *api, struct gate *gate, const struct msg_CALL *msg)
{
    size_t len = msg->object.len + msg->project.len + msg->user.len + msg->key.len +
                 msg->trace.len + msg->client_key.len + msg->request.len;
    struct call *call = calloc(1, sizeof(*call) + len);
    char *at;

    if (!call)
        return NULL;
    at = call->bytes;
    call->object = put(&at, msg->object);
    call->project = put(&at, msg->project);
    call->user = put(&at, msg->user);
    call->key = put(&at, msg->key);
    call->trace = put(&at, msg->trace);
    if (msg->client_key.len)
        take_client_key(call, msg, &at);
    call->api = api;
    call->host = api->host;
    call->env = api->host->env;
    call->files = api->files;
    call->drops = api->drops;
    call->data = msg->data;
    call->gate = gate;
    call->number = msg->call;
    call->op = msg->op;
    call->project_roles = project_roles_parse(msg->roles);
    call->started_us = env_mono_us(api->host->env);
    call->client.on_forgotten = on_forgotten;
    call->room_wait.fn = on_room;
    list_init(&call->room_wait.link);
    list_init(&call->change_wait.link);
    list_init(&call->lookup_wait.link);
    list_init(&call->read_wait.link);
    list_init(&call->turn.link);
    timer_init(&call->deadline, on_deadline, call);
    later_init(&call->dead, free_now, call);
    list_add_tail(&api->calls, &call->in_api);
    list_add_tail(&gate->clients, &call->client.link);
    api->host->metrics->calls_pending++;
    return call;
}

/* True when the object is `prefix` + project + "/" + one more id, or (no id wanted) prefix +
 * project. */
static bool split_object(struct call *call, struct slice prefix, bool wants_id)
{
    size_t len = prefix.len + call->project.len;
    struct slice rest;

    if (call->object.len < len || !ident_is_valid(call->project) ||
        memcmp(call->object.data, prefix.data, prefix.len) != 0 ||
        memcmp(call->object.data + prefix.len, call->project.data, call->project.len) != 0)
        return false;
    rest = slice_of(call->object.data + len, call->object.len - len);
    if (!wants_id)
        return rest.len == 0;
    if (rest.len < 1 || rest.data[0] != '/')
        return false;
    call->room_id = slice_of(rest.data + 1, rest.len - 1);
    return ident_is_valid(call->room_id);
}

void call_run(struct call *call)
{
    switch (call->row->object) {
    case CALL_OBJECT_NONE:
        call->row->handler(call, NULL);
        return;
    case CALL_OBJECT_PROJECT:
        if (!split_object(call, SLICE_LIT("project/"), false))
            call_refuse(call, ERROR_bad_request, "object", 0);
        else if (!host_owns(call->host, call->object))
            call_moved(call);
        else
            call->row->handler(call, NULL);
        return;
    case CALL_OBJECT_USER:
        if (!split_object(call, SLICE_LIT("user/"), true) || !ident_is_valid(call->user))
            call_refuse(call, ERROR_bad_request, "object", 0);
        else if (!host_owns(call->host, call->object))
            call_moved(call);
        else
            call->row->handler(call, NULL);
        return;
    case CALL_OBJECT_ROOM:
    case CALL_OBJECT_NEW_ROOM:
        if (!split_object(call, SLICE_LIT("room/"), true) || !ident_is_valid(call->user))
            call_refuse(call, ERROR_bad_request, "object", 0);
        else
            call_find_room(call);
        return;
    }
}

void api_on_call(struct api *api, struct gate *gate, const struct msg_CALL *msg)
{
    uint64_t deadline_ms =
        msg->deadline_ms ? MIN(msg->deadline_ms, CALL_DEADLINE_MS) : CALL_DEADLINE_MS;
    struct msg overloaded = {.type = MSG_REPLY, .REPLY = {.call = msg->call, .status = 503}};
    struct call *call = call_new(api, gate, msg);
    int r;

    if (!call) {
        gate_send(gate, &overloaded);
        return;
    }
    if (msg->op >= ARRAY_LEN(rows) || !rows[msg->op].handler) {
        call_refuse(call, ERROR_not_implemented, "", 0);
        return;
    }
    call->row = &rows[msg->op];
    r = json_load_object(msg->params.len ? msg->params : SLICE_LIT("{}"), HTTP_BODY_MAX,
                         &call->params);
    if (r > 0)
        call_refuse(call, ERROR_invalid_json, "", 0);
    else if (r < 0 || env_timer(api->host->env, &call->deadline, deadline_ms) < 0)
        call_refuse(call, ERROR_overloaded, "", 0);
    else if (call->idempotency.client_key.len)
        idempotency_begin(call);
    else
        call_turn_enter(call);
}

/* ---- the api ---- */

int api_new(struct host *host, struct api **ret_api)
{
    struct api *api = calloc(1, sizeof(*api));

    if (!api)
        return -ENOMEM;
    api->host = host;
    list_init(&api->calls);
    call_turns_init(&api->turns, host);
    if (file_store_pg_new(host->store, &api->files) < 0 ||
        key_drops_new(host->env, host->store, &api->drops) < 0) {
        call_turns_stop(&api->turns);
        file_store_free(api->files);
        free(api);
        return -ENOMEM;
    }
    *ret_api = api;
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    while (!list_empty(&api->calls)) {
        struct call *call = list_first(&api->calls, struct call, in_api);

        end(call);
    }
    call_turns_stop(&api->turns);
    file_store_free(api->files);
    key_drops_free(api->drops);
    free(api);
}
