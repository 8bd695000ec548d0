/* frame_stream.c - the frame `stream`: start, delta, end and abort of a token stream. See
 * token_stream.h. */
#include <string.h>

#include "common/base/limits.h"
#include "shard/host/frame_priv.h"
#include "shard/host/publish.h"
#include "shard/host/token_stream.h"

/* `end` and `abort` that were sent again are answered by what the socket is shown: the stream
 * has ended. */
static void no_stream(struct op *op)
{
    if (op->is_resent)
        op_settle(op, slice_of(NULL, 0), slice_of(NULL, 0));
    else
        frame_refuse(op, slice_of(NULL, 0), ERROR_stream_not_open, "", 0);
}

/* why: the caller may not write any more; then what there is remains, and nothing is added. */
static void end_stream(struct op *op, struct token_stream *stream,
                       const struct command_stream *s, enum error_code why)
{
    bool has_text = s->op == STREAM_OP_END && s->has_content && why == ERROR_NONE;
    struct slice text = has_text ? s->content : slice_of(NULL, 0);
    uint8_t key[DEDUPE_LEN];

    if (has_text && room_refuse_content(stream->room, text) != ERROR_NONE) {
        frame_refuse(op, slice_of(NULL, 0), ERROR_blocked_content, "", 0);
        return;
    }
    frame_make_key(op->attach, op->n, slice_of(NULL, 0), key);
    if (token_stream_end(stream, text, key, op) < 0)
        frame_refuse(op, slice_of(NULL, 0), ERROR_unavailable, "", 0);
}

static void go_on(struct op *op, const struct command_stream *s)
{
    struct attach *attach = op->attach;
    struct actor actor = room_actor(attach->room, attach->user, attach->project_roles);
    struct token_stream *stream = token_stream_find(attach->room, attach->user);
    enum error_code why = rules_refuse_write(&actor);
    int r;

    if (!stream || stream->state != STREAM_OPEN) {
        no_stream(op);
        return;
    }
    token_streams_on_gap(attach); /* it may have begun since */
    if (s->op != STREAM_OP_DELTA && !(stream->is_orphan && !s->has_content)) {
        end_stream(op, stream, s, why);
        return;
    }
    if (stream->is_orphan) {
        stream->is_broken = true;
        frame_refuse(op, slice_of(NULL, 0), ERROR_stream_not_open, "it was interrupted", 0);
        return;
    }
    r = why == ERROR_NONE ? token_stream_append(stream, op, s->content) : 0;
    if (r == STREAM_BLOCKED)
        why = ERROR_blocked_content;
    if (why != ERROR_NONE)
        frame_refuse(op, slice_of(NULL, 0), why, "", 0);
    else if (r)
        frame_refuse(op, slice_of(NULL, 0), r < 0 ? ERROR_overloaded : ERROR_payload_too_large,
                     "the stream is too long", 0);
    else
        op_settle(op, slice_of(NULL, 0), slice_of(NULL, 0));
}

/* `start` that was sent again; not another one whose time has not come. */
static bool is_start_of(const struct op *op, const struct token_stream *stream,
                        const uint8_t *key)
{
    return op->is_resent && memcmp(stream->key, key, DEDUPE_LEN) == 0;
}

static void start_stream(struct op *op, const struct frame *frame,
                         const struct command_stream *s)
{
    struct attach *attach = op->attach;
    struct command_message message = {
        .content = s->content, .client_id = s->client_id, .parent_id = s->parent_id};
    struct publish p = {.message = &message,
                        .is_streaming = true,
                        .user = attach->user,
                        .project_roles = attach->project_roles,
                        .way = LIMITER_SOCKET,
                        .sender = attach->sender,
                        .is_charged = frame->is_charged,
                        .parent = frame->found,
                        .parent_entry = frame->named,
                        .is_resent = op->is_resent,
                        .is_suspect = op->is_resent};
    struct token_stream *stream = token_stream_find(attach->room, attach->user);
    int r;

    frame_make_key(attach, op->n, s->client_id, p.dedupe);
    if (stream && is_start_of(op, stream, p.dedupe)) {
        token_stream_start_again(stream, op);
        return;
    }
    if (stream || token_streams_count(attach->room) >= ROOM_STREAMS_MAX) {
        frame_refuse(op, s->client_id, stream ? ERROR_stream_open : ERROR_overloaded, "", 0);
        return;
    }
    stream = token_stream_new(attach->room, op, s->content, p.dedupe);
    if (!stream) {
        frame_refuse(op, s->client_id, ERROR_overloaded, "", 0);
        return;
    }
    p.request = &stream->request;
    r = room_publish(attach->room, &p);
    if (r == 0) {
        attach->is_blocked = true;
        return;
    }
    token_stream_free(stream);
    if (r == PUBLISH_DUPLICATE)
        frame_acknowledge_repeat(op, p.original);
    else if (r == PUBLISH_FIND_PARENT)
        frame_wait_for_message(op, frame, s->parent_id);
    else if (r == PUBLISH_REFUSED)
        frame_refuse(op, s->client_id, p.error, p.detail, p.retry_after_ms);
    else
        frame_refuse(op, s->client_id, ERROR_overloaded, "", 0);
}

void frame_run_stream(struct op *op, const struct frame *frame, const struct command_stream *s)
{
    if (frame->has_failed)
        frame_refuse(op, s->client_id, ERROR_unavailable, "", 0);
    else if (s->op == STREAM_OP_START)
        start_stream(op, frame, s);
    else
        go_on(op, s);
}
