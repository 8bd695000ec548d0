/* frame_in.c - see frame_in.h. */
#include "shard/host/frame_in.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/host/catchup.h"
#include "shard/host/frame_priv.h"
#include "shard/host/op.h"
#include "shard/host/publish.h"
#include "shard/host/signal.h"
#include "shard/host/token_stream.h"
#include "shard/host/typing.h"
#include "shard/metrics.h"
#include "shard/room/command.h"
#include "shard/room/dedupe.h"

/* After a repeat, so many messages of a socket are looked up before they are committed: who
 * sends one again usually sends several again. */
#define SUSPECT_MESSAGES 64

struct held_frame {
    struct list link; /* attach.held */
    struct frame frame;
    char json[];
};

/* ---- messages ---- */

void frame_refuse(struct op *op, struct slice client_id, enum error_code code,
                  const char *detail, uint64_t retry_after_ms)
{
    struct room_host *room = op->attach->room;
    struct frame_ref ref = {.client_id = client_id, .frame_id = op->frame_id};
    struct buf *json = &room->host->json;

    room->host->metrics->refused++;
    buf_clear(json);
    frame_error(json, room->id, &ref, code, slice_str(detail), retry_after_ms);
    op_settle(op, buf_slice(json), slice_of(NULL, 0));
}

static void acknowledge(struct op *op, const struct entry *e, uint64_t seq)
{
    struct room_host *room = op->attach->room;
    struct frame_ref ref = {.client_id = e->client_id, .frame_id = op->frame_id};
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_ack(json, room->id, &ref, e, seq, false);
    op_settle(op, buf_slice(json), slice_of(NULL, 0));
}

/* A frame that its gateway sends again was first sent at most this long ago; an older original
 * is somebody's who repeats himself. */
#define RESENT_MAX_US ((int64_t)(WRITE_DEADLINE_MS + 5000) * 1000)

/* The original is what the first sending of this very frame has made: its echo has reached the
 * socket, in the catch-up or before. */
static bool has_had_echo(const struct op *op, const struct entry *original)
{
    struct host *host = op->attach->room->host;
    int64_t now_us = env_steady_us(host->env) + host->store->ops->clock_offset_us(host->store);

    return op->is_resent && now_us - original->created_us < RESENT_MAX_US;
}

/* It is gone by now. An old client, which knows no other acknowledgement, gets it without its
 * text, and that it is deleted: without the latter it would show an empty message. */
static void acknowledge_repeat_of_deleted(struct op *op, const struct entry *original,
                                          struct slice ack)
{
    struct room_host *room = op->attach->room;
    struct buf *json = &room->host->json;
    AUTO_BUF gone = BUF_INIT;

    if (op->attach->flags & ATTACH_NATIVE) {
        op_settle(op, ack, slice_of(NULL, 0));
        return;
    }
    buf_clear(json);
    frame_entry(json, room->id, original);
    frame_delete(&gone, room->id, original, slice_of(NULL, 0));
    op_settle_all(op, (struct slice[]){buf_slice(json), buf_slice(&gone), ack}, 3);
}

/* The original again (an old client knows no other acknowledgement), and that it was a repeat.
 */
void frame_acknowledge_repeat(struct op *op, const struct entry *original)
{
    struct room_host *room = op->attach->room;
    struct frame_ref ref = {.client_id = original->client_id, .frame_id = op->frame_id};
    struct host *host = room->host;

    host->metrics->duplicates++;
    op->attach->suspect_left = SUSPECT_MESSAGES;
    buf_clear(&host->json2);
    frame_ack(&host->json2, room->id, &ref, original, original->seq, true);
    if (original->deleted_us) {
        acknowledge_repeat_of_deleted(op, original, buf_slice(&host->json2));
        return;
    }
    /* One that is committed and not released yet (its batch is in doubt) comes in its turn. */
    if (original->seq > room->seq || has_had_echo(op, original)) {
        op_settle(op, buf_slice(&host->json2), slice_of(NULL, 0));
        return;
    }
    buf_clear(&host->json);
    frame_entry(&host->json, room->id, original);
    op_settle(op, buf_slice(&host->json), buf_slice(&host->json2));
}

static void op_on_settled(struct room_request *request, const struct commit_result *result)
{
    struct op *op = container_of(request, struct op, request);

    op->is_committing = false;
    if (!op->attach) {
        op_drop(op);
        return;
    }
    switch (result->outcome) {
    case COMMIT_DONE:
        acknowledge(op, result->entry, result->entry->seq);
        return;
    case COMMIT_DUPLICATE:
        if (!op->is_resent)
            room_publish_refund(op->attach->room, op->attach->user, LIMITER_SOCKET);
        frame_acknowledge_repeat(op, result->entry);
        return;
    case COMMIT_NOTHING:
    case COMMIT_REJECTED:
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
        frame_refuse(op, result->entry->client_id, publish_error_of(result->outcome), "", 0);
        return;
    case COMMIT_DROPPED:
        op_strand(op);
        return;
    }
}

void frame_make_key(const struct attach *attach, uint64_t n, struct slice client_id,
                    uint8_t ret[DEDUPE_LEN])
{
    char key[64];
    int len;

    if (client_id.len > 0) {
        dedupe_key(DEDUPE_CLIENT, attach->user, client_id, ret);
        return;
    }
    len = snprintf(key, sizeof(key), "%llx:%llu:%llu",
                   (unsigned long long)attach->gate->incarnation,
                   (unsigned long long)attach->number, (unsigned long long)n);
    dedupe_key(DEDUPE_GATEWAY, attach->user, slice_of(key, (size_t)len), ret);
}

static void run_message(struct op *op, const struct frame *frame,
                        const struct command_message *message)
{
    struct attach *attach = op->attach;
    struct publish p = {.request = &op->request,
                        .message = message,
                        .user = attach->user,
                        .project_roles = attach->project_roles,
                        .way = LIMITER_SOCKET,
                        .sender = attach->sender,
                        .is_charged = frame->is_charged,
                        .parent = frame->found,
                        .parent_entry = frame->named,
                        .is_resent = op->is_resent,
                        .is_suspect = op->is_resent || attach->suspect_left > 0};
    int r;

    if (frame->has_failed) {
        frame_refuse(op, message->client_id, ERROR_unavailable, "", 0);
        return;
    }
    op->request.on_settled = op_on_settled;
    frame_make_key(attach, op->n, message->client_id, p.dedupe);
    if (attach->suspect_left > 0)
        attach->suspect_left--;
    r = room_publish(attach->room, &p);
    buf_deinit(&p.visible_to);
    if (r < 0) {
        frame_refuse(op, message->client_id, ERROR_overloaded, "", 0);
        return;
    }
    switch ((enum publish_answer)r) {
    case PUBLISH_DUPLICATE:
        frame_acknowledge_repeat(op, p.original);
        return;
    case PUBLISH_REFUSED:
        frame_refuse(op, message->client_id, p.error, p.detail, p.retry_after_ms);
        return;
    case PUBLISH_FIND_PARENT:
        frame_wait_for_message(op, frame, message->parent_id);
        return;
    }
    op->is_committing = true;
}

/* ---- one frame ---- */

/* A frame that is not settled: typing. What is wrong with it is not worth an answer. */
static void run_ephemeral(struct attach *attach, struct slice json)
{
    struct command_error error;
    struct command command;

    if (command_parse(json, &command, &error) == 0 && command.type == COMMAND_TYPING)
        typing_on_signal(attach, command.typing.is_typing,
                         (enum typing_intent)command.typing.intent);
    command_deinit(&command);
}

/* Settled at once: what follows on the socket does not wait for the write. */
static void run_read(struct op *op, int64_t id)
{
    struct attach *attach = op->attach;
    enum error_code error = reads_put(attach->room, attach->user, id, NULL);

    if (error == ERROR_NONE)
        op_settle(op, slice_of(NULL, 0), slice_of(NULL, 0));
    else
        frame_refuse(op, slice_of(NULL, 0), error, "", 0);
}

static void run_command(struct op *op, const struct frame *frame, const struct command *command)
{
    struct attach *attach = op->attach;

    switch (command->type) {
    case COMMAND_MESSAGE:
        run_message(op, frame, &command->message);
        return;
    case COMMAND_EDIT:
        frame_run_change(op, frame, MUTATION_EDIT, &command->change);
        return;
    case COMMAND_DELETE:
        frame_run_change(op, frame, MUTATION_DELETE, &command->change);
        return;
    case COMMAND_REACTION:
        frame_run_change(op, frame, MUTATION_REACTION, &command->change);
        return;
    case COMMAND_STREAM:
        frame_run_stream(op, frame, &command->stream);
        return;
    case COMMAND_RESUME:
        if (catchup_resume(attach, op, command->resume.last_seq, command->resume.generation) <
            0)
            frame_refuse(op, slice_of(NULL, 0), ERROR_overloaded, "", 0);
        return;
    case COMMAND_TYPING:
        typing_on_signal(attach, command->typing.is_typing,
                         (enum typing_intent)command->typing.intent);
        op_settle(op, slice_of(NULL, 0), slice_of(NULL, 0));
        return;
    case COMMAND_CLIENT_EVENT:
        signal_client_event(op, &command->event);
        return;
    case COMMAND_AGENT_TYPING:
        signal_agent_typing(op, command->agent_typing.agent, command->agent_typing.is_typing);
        return;
    case COMMAND_READ:
        run_read(op, command->read_id);
        return;
    case COMMAND_NONE:
        op_settle(op, slice_of(NULL, 0), slice_of(NULL, 0));
        return;
    }
}

/* The key that its sender gave to a change. */
static struct slice change_key(const struct command *command)
{
    bool is_change = command->type == COMMAND_EDIT || command->type == COMMAND_DELETE ||
                     command->type == COMMAND_REACTION;

    return is_change ? command->change.client_id : (struct slice){0};
}

static void run_frame(struct attach *attach, const struct frame *frame)
{
    struct command_error error;
    struct command command;
    struct slice key = {0};
    struct op *op;
    int r;

    r = command_parse(frame->json, &command, &error);
    if (!r)
        key = change_key(&command);
    op = op_new(attach, frame->n, frame->flags & FRAME_RESENT,
                r ? error.frame_id : command.frame_id, key);
    if (!op)
        attach_close(attach, 1013, "overloaded");
    else if (r)
        frame_refuse(op, error.client_id, error.code, error.detail, 0);
    else
        run_command(op, frame, &command);
    command_deinit(&command);
}

/* ---- order ---- */

static bool may_run(const struct attach *attach)
{
    return attach->state == ATTACH_LIVE && !attach->catchup && !attach->find &&
           !attach->is_blocked && attach->room->state == ROOM_ACTIVE;
}

/* Out of memory closes the socket: its gateway sends what is not settled again. */
static struct held_frame *hold(struct attach *attach, const struct frame *frame)
{
    struct held_frame *held = malloc(sizeof(*held) + frame->json.len);

    if (!held) {
        attach_close(attach, 1013, "overloaded");
        return NULL;
    }
    held->frame = *frame;
    held->frame.json = slice_of(held->json, frame->json.len);
    held->frame.found = FOUND_UNKNOWN;
    held->frame.named = NULL;
    if (frame->json.len > 0)
        memcpy(held->json, frame->json.data, frame->json.len);
    list_init(&held->link);
    attach->n_held++;
    attach->held_bytes += frame->json.len;
    return held;
}

static void hold_last(struct attach *attach, const struct frame *frame)
{
    struct held_frame *held;

    if (attach->n_held >= UNACKED_MAX_FRAMES ||
        attach->held_bytes + frame->json.len > UNACKED_MAX_BYTES + FRAME_MAX_BYTES) {
        attach_close(attach, 1013, "overloaded"); /* its gateway keeps to a lower bound */
        return;
    }
    held = hold(attach, frame);
    if (held)
        list_add_tail(&attach->held, &held->link);
}

static struct held_frame *take_held(struct attach *attach)
{
    struct held_frame *held = list_first(&attach->held, struct held_frame, link);

    list_del(&held->link);
    attach->n_held--;
    attach->held_bytes -= held->frame.json.len;
    return held;
}

static void held_free(struct held_frame *held)
{
    entry_unref(held->frame.named);
    free(held);
}

void frames_run_held(struct attach *attach)
{
    while (may_run(attach) && !list_empty(&attach->held)) {
        struct held_frame *held = take_held(attach);

        run_frame(attach, &held->frame);
        held_free(held);
    }
}

void frames_drop_held(struct attach *attach)
{
    while (!list_empty(&attach->held))
        held_free(take_held(attach));
}

static void on_found(void *arg, enum found found, struct entry *entry)
{
    struct attach *attach = arg;
    struct frame *frame = &list_first(&attach->held, struct held_frame, link)->frame;

    attach->find = NULL;
    frame->found = found;
    frame->named = entry ? entry_ref(entry) : NULL;
    frame->has_failed = found == FOUND_UNKNOWN;
    frames_run_held(attach);
}

/* The frame goes back to the front of what is held, and holds back its successors. */
void frame_wait_for_message(struct op *op, const struct frame *frame, int64_t id)
{
    struct attach *attach = op->attach;
    struct held_frame *held = hold(attach, frame);

    if (!held)
        return; /* closed, and the op with it */
    op_drop(op);
    held->frame.is_charged = true;
    list_add_head(&attach->held, &held->link);
    attach->find = find_start(attach->room, id, on_found, attach);
    if (!attach->find)
        attach_close(attach, 1013, "overloaded");
}

/* What is missing may have been text of a token stream. */
static void note_gap(struct attach *attach, const struct msg_FRAME *msg)
{
    bool is_behind_gap = msg->flags & FRAME_GAP;

    if (is_behind_gap && !attach->is_behind_gap) {
        attach->gap_n = msg->n;
        token_streams_on_gap(attach);
    }
    attach->is_behind_gap = is_behind_gap;
}

void frame_on_frame(struct gate *gate, const struct msg_FRAME *msg)
{
    struct attach *attach = gate_find_attach(gate, msg->attach);
    struct frame frame = {.n = msg->n, .flags = msg->flags, .json = msg->json};

    if (!attach || attach->state == ATTACH_GHOST || attach->room->state == ROOM_LEAVING)
        return; /* asleep or moved: the gateway sends it again where it belongs */
    room_touch(attach->room);
    if (msg->n == 0) {
        if (attach->state == ATTACH_LIVE)
            run_ephemeral(attach, msg->json);
        return;
    }
    if (msg->n <= attach->last_n)
        return; /* has come before on this attach */
    attach->last_n = msg->n;
    note_gap(attach, msg);
    if (may_run(attach) && list_empty(&attach->held))
        run_frame(attach, &frame);
    else
        hold_last(attach, &frame);
}
