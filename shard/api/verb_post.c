/* verb_post.c - MESSAGE_POST: the same write path as a message over a socket. See
 * docs/protocol-client.md.
 */
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/host/publish.h"
#include "shard/metrics.h"
#include "shard/room/command.h"
#include "shard/room/dedupe.h"
#include "shard/room/frames.h"

/* {"ok":true} and the message. */
static void write_announced(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);
    AUTO_BUF body = BUF_INIT;

    frame_message_body(&body, room, e);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    if (buf_failed(&body) || !json_write_members(&w, buf_slice(&body)))
        out->failed = true;
    json_write_object_end(&w);
}

static void reply_message(struct call *call, const struct entry *e)
{
    struct buf *body = &call->host->json;

    buf_clear(body);
    if (call->op == CALL_ANNOUNCE)
        write_announced(body, call->room_id, e);
    else
        frame_message_body(body, call->room_id, e);
    call_reply_buf(call, body);
}

static void on_settled(struct room_request *request, const struct commit_result *result)
{
    struct call *call = container_of(request, struct call, request);
    struct room_host *room;

    call->is_writing = false;
    if (!call_release(call))
        return;
    switch (result->outcome) {
    case COMMIT_DONE:
        reply_message(call, result->entry);
        return;
    case COMMIT_DUPLICATE:
        call->host->metrics->duplicates++;
        room = room_find(call->host, call->project, call->room_id);
        if (room && call->op != CALL_ANNOUNCE)
            room_publish_refund(room, call->user, LIMITER_REST);
        reply_message(call, result->entry);
        return;
    case COMMIT_NOTHING:
    case COMMIT_REJECTED:
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
        call_refuse(call, publish_error_of(result->outcome), "", 0);
        return;
    case COMMIT_DROPPED:
        call_moved(call);
        return;
    }
}

static void publish(struct call *call, struct room_host *room,
                    const struct command_message *message)
{
    struct publish p = {.request = &call->request,
                        .message = message,
                        .user = call->user,
                        .project_roles = call->project_roles,
                        .way = LIMITER_REST,
                        .by_office = call->op == CALL_ANNOUNCE,
                        .is_charged = call->verb.found != FOUND_UNKNOWN,
                        .parent = call->verb.found,
                        .parent_entry = call->verb.named};
    int r;

    if (message->client_id.len > 0)
        dedupe_key(DEDUPE_CLIENT, call->user, message->client_id, p.dedupe);
    else
        dedupe_key(DEDUPE_GATEWAY, call->user, call->key, p.dedupe);
    call->request.on_settled = on_settled;
    r = room_publish(room, &p);
    buf_deinit(&p.visible_to);
    if (r < 0) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    switch ((enum publish_answer)r) {
    case PUBLISH_DUPLICATE:
        call->host->metrics->duplicates++;
        reply_message(call, p.original);
        return;
    case PUBLISH_REFUSED:
        call->host->metrics->refused++;
        call_refuse(call, p.error, p.detail, p.retry_after_ms);
        return;
    case PUBLISH_FIND_PARENT:
        call_find_message(call, room, message->parent_id);
        return;
    }
    call_hold(call);
    call->is_writing = true;
}

void verb_message_post(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct command_error error = {0};
    struct command_message message;

    switch (rules_enter(&actor)) {
    case ENTER_NO:
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    case ENTER_JOIN:
        if (command_message_read(call->params, &message, &error) == 0)
            call_join(call, room);
        else
            call_refuse(call, error.code, error.detail, 0);
        return;
    case ENTER_YES:
        break;
    }
    if (command_message_read(call->params, &message, &error) == 0)
        publish(call, room, &message);
    else
        call_refuse(call, error.code, error.detail, 0);
}

/* Of those in office, also where nobody else may write. */
void verb_announce(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct command_error error = {0};
    struct command_message message;

    if (!rules_is_moderator(&actor))
        call_refuse(call, ERROR_forbidden, "", 0);
    else if (command_message_read(call->params, &message, &error) == 0)
        publish(call, room, &message);
    else
        call_refuse(call, error.code, error.detail, 0);
}
