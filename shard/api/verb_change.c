/*
 * verb_change.c - MESSAGE_LOCATE, MESSAGE_EDIT, MESSAGE_DELETE, REACTION_ADD and
 * REACTION_REMOVE: the same write path as edits, deletes and reactions over a
 * socket. See docs/protocol-client.md.
 */
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/host/mutate.h"
#include "shard/metrics.h"
#include "shard/room/command.h"
#include "shard/room/dedupe.h"
#include "shard/room/frames.h"

/* ---- which room ---- */

static void on_located(void *arg, enum store_result result, struct slice room,
                       struct entry *entry)
{
    struct call *call = arg;
    struct buf *body = &call->host->json;
    struct json_writer w = json_writer(body);

    if (!call_release(call))
        return;
    if (result == STORE_NOT_FOUND || (result == STORE_OK && entry->kind != ENTRY_MESSAGE)) {
        call_refuse(call, ERROR_message_not_found, "", 0);
        return;
    }
    if (result != STORE_OK) {
        call_refuse(call, ERROR_unavailable, "", 0);
        return;
    }
    buf_clear(body);
    json_write_object(&w);
    json_field_str(&w, "roomId", room);
    json_write_object_end(&w);
    call_reply_buf(call, body);
}

void verb_message_locate(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct find_query query = {.project = call->project};
    struct store *store = call->host->store;

    (void)room;
    query.id = json_get_int(&f, "messageId", 1, INT64_MAX, ERROR_bad_request);
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    call_hold(call);
    if (store->ops->find(store, &query, on_located, call) < 0 && call_release(call))
        call_refuse(call, ERROR_unavailable, "", 0);
}

/* ---- changes ---- */

static void reply(struct call *call, const struct mutation *m, const struct entry *e)
{
    struct buf *body = &call->host->json;

    buf_clear(body);
    if (m->kind == MUTATION_EDIT)
        frame_edit_body(body, call->room_id, e);
    else if (m->kind == MUTATION_DELETE)
        frame_delete_body(body, e);
    else
        frame_reaction_body(body, call->room_id, e, m->actor, m->emoji, m->is_added);
    call_reply_buf(call, body);
}

static void on_settled(struct room_request *request, const struct commit_result *result)
{
    struct call *call = container_of(request, struct call, request);

    call->is_writing = false;
    if (!call_release(call))
        return;
    switch (result->outcome) {
    case COMMIT_DONE:
    case COMMIT_NOTHING:
    case COMMIT_DUPLICATE:
        reply(call, result->mutation, result->entry);
        return;
    case COMMIT_REJECTED:
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
        call_refuse(call, mutate_error_of(result), "", 0);
        return;
    case COMMIT_DROPPED:
        call_moved(call);
        return;
    }
}

static void change(struct call *call, struct room_host *room, enum mutation_kind kind,
                   const struct command_change *change)
{
    uint8_t key[DEDUPE_LEN];
    struct mutate m = {.request = &call->request,
                       .what = {.kind = kind,
                                .content = change->content,
                                .emoji = change->emoji,
                                .is_added = change->is_added,
                                .is_hard = change->is_hard},
                       .message_id = change->message_id,
                       .user = call->user,
                       .project_roles = call->project_roles,
                       .key = key,
                       .is_charged = call->verb.found != FOUND_UNKNOWN,
                       .base = call->verb.named,
                       .is_missing = call->verb.found == FOUND_NO};
    int r;

    dedupe_key(DEDUPE_GATEWAY, call->user, call->key, key);
    call->request.on_settled = on_settled;
    r = room_mutate(room, &m);
    if (r < 0) {
        call_refuse(call, ERROR_overloaded, "", 0);
    } else if (r == MUTATE_REFUSED) {
        call->host->metrics->refused++;
        call_refuse(call, m.error, m.detail, m.retry_after_ms);
    } else if (r == MUTATE_FIND) {
        call_find_message(call, room, change->message_id);
    } else {
        call_hold(call);
        call->is_writing = true;
    }
}

/* Who may not read the room is not told that the message exists. */
static void run(struct call *call, struct room_host *room, enum command_type type,
                enum mutation_kind kind)
{
    struct actor actor = call_actor(call, room);
    struct command_error error = {0};
    struct command_change what;

    if (command_change_read(call->params, type, &what, &error) != 0)
        call_refuse(call, error.code, error.detail, 0);
    else if (rules_enter(&actor) != ENTER_YES)
        call_refuse(call, ERROR_message_not_found, "", 0);
    else
        change(call, room, kind, &what);
}

void verb_message_edit(struct call *call, struct room_host *room)
{
    run(call, room, COMMAND_EDIT, MUTATION_EDIT);
}

void verb_message_delete(struct call *call, struct room_host *room)
{
    run(call, room, COMMAND_DELETE, MUTATION_DELETE);
}

void verb_reaction_add(struct call *call, struct room_host *room)
{
    run(call, room, COMMAND_REACTION, MUTATION_REACTION);
}

void verb_reaction_remove(struct call *call, struct room_host *room)
{
    run(call, room, COMMAND_REACTION, MUTATION_REACTION);
}
