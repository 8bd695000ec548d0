/* frame_change.c - the frames edit, delete and reaction: the write path is mutate.c. */
#include "shard/host/frame_priv.h"
#include "shard/host/mutate.h"
#include "shard/metrics.h"

static void acknowledge_change(struct op *op, const struct entry *e, uint64_t seq,
                               bool is_duplicate)
{
    struct room_host *room = op->attach->room;
    struct frame_ref ref = {.client_id = op->client_id, .frame_id = op->frame_id};
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_ack(json, room->id, &ref, e, seq, is_duplicate);
    op_settle(op, buf_slice(json), slice_of(NULL, 0));
}

static void change_on_settled(struct room_request *request, const struct commit_result *result)
{
    struct op *op = container_of(request, struct op, request);

    op->is_committing = false;
    if (!op->attach) {
        op_drop(op);
        return;
    }
    switch (result->outcome) {
    case COMMIT_DONE:
        acknowledge_change(op, result->entry, result->entry->updated_seq, false);
        return;
    case COMMIT_NOTHING:
        acknowledge_change(op, result->entry, result->entry->updated_seq, true);
        return;
    case COMMIT_DUPLICATE:
        op->attach->room->host->metrics->duplicates++;
        acknowledge_change(op, result->entry, result->change_seq, true);
        return;
    case COMMIT_REJECTED:
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
        frame_refuse(op, op->client_id, mutate_error_of(result), "", 0);
        return;
    case COMMIT_DROPPED:
        op_strand(op);
        return;
    }
}

void frame_run_change(struct op *op, const struct frame *frame, enum mutation_kind kind,
                      const struct command_change *change)
{
    struct attach *attach = op->attach;
    uint8_t key[DEDUPE_LEN];
    struct mutate m = {.request = &op->request,
                       .what = {.kind = kind,
                                .content = change->content,
                                .emoji = change->emoji,
                                .is_added = change->is_added,
                                .is_hard = change->is_hard},
                       .message_id = change->message_id,
                       .user = attach->user,
                       .project_roles = attach->project_roles,
                       .sender = attach->sender,
                       .key = key,
                       .is_resent = op->is_resent,
                       .is_charged = frame->is_charged,
                       .base = frame->named,
                       .is_missing = frame->found == FOUND_NO};
    int r;

    if (frame->has_failed) {
        frame_refuse(op, op->client_id, ERROR_unavailable, "", 0);
        return;
    }
    op->request.on_settled = change_on_settled;
    frame_make_key(attach, op->n, change->client_id, key);
    r = room_mutate(attach->room, &m);
    if (r < 0)
        frame_refuse(op, op->client_id, ERROR_overloaded, "", 0);
    else if (r == MUTATE_REFUSED)
        frame_refuse(op, op->client_id, m.error, m.detail, m.retry_after_ms);
    else if (r == MUTATE_FIND)
        frame_wait_for_message(op, frame, change->message_id);
    else
        op->is_committing = true;
}
