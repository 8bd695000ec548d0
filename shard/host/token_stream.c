/* token_stream.c - see token_stream.h. */
#include "shard/host/token_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "shard/host/attach.h"
#include "shard/host/mutate.h"
#include "shard/host/publish.h"
#include "shard/metrics.h"
#include "shard/room/extra.h"
#include "shard/room/words.h"
#include "shard/store/sql.h"

/* ---- life ---- */

/* Outlives its stream when that goes first. */
struct stream_save {
    struct token_stream *stream; /* NULL: gone */
};

struct token_stream *token_stream_find(const struct room_host *room, struct slice user)
{
    struct token_stream *stream;

    list_for_each(stream, &room->streams, link)
    {
        if (slice_eq(stream->user, user))
            return stream;
    }
    return NULL;
}

size_t token_streams_count(const struct room_host *room)
{
    struct token_stream *stream;
    size_t n = 0;

    list_for_each(stream, &room->streams, link) n++;
    return n;
}

static void stop_timers(struct token_stream *stream)
{
    struct env *env = stream->room->host->env;

    env_timer_cancel(env, &stream->show);
    env_timer_cancel(env, &stream->save);
    env_timer_cancel(env, &stream->idle);
}

void token_stream_free(struct token_stream *stream)
{
    if (stream->room) {
        stop_timers(stream);
        stream->room->host->metrics->streams--;
    }
    list_del(&stream->link);
    if (stream->saving)
        stream->saving->stream = NULL;
    entry_unref(stream->entry);
    buf_deinit(&stream->text);
    free(stream);
}

/* Out of memory for a timer: the next delta or the end does what it would have done. */
static void arm(struct token_stream *stream, struct timer *timer, uint64_t ms)
{
    struct env *env = stream->room->host->env;

    env_timer_cancel(env, timer);
    if (env_timer(env, timer, ms) < 0)
        log_warn("a stream has no timer", L_SLICE("room", stream->room->object));
}

/* ---- what is shown meanwhile ---- */

/* Native sockets get what is new, old ones all of it. */
static void show(struct token_stream *stream)
{
    struct room_host *room = stream->room;
    struct buf *json = &room->host->json;
    struct slice text = buf_slice(&stream->text);
    size_t from = stream->shown_len;

    if (text.len == from)
        return;
    buf_clear(json);
    frame_stream_delta(json, room->id, stream->entry, text, from);
    room_fanout(room, 0, EVENT_EPHEMERAL | EVENT_NATIVE_ONLY, stream->from, buf_slice(json));
    buf_clear(json);
    frame_stream_edit(json, room->id, stream->entry, text);
    room_fanout(room, 0, EVENT_EPHEMERAL | EVENT_OLD_ONLY, stream->from, buf_slice(json));
    stream->shown_len = text.len;
}

static void on_show(struct timer *timer, void *arg)
{
    (void)timer;
    show(arg);
}

void token_streams_tell(struct attach *attach)
{
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;
    struct token_stream *stream;

    list_for_each(stream, &room->streams, link)
    {
        if (stream->state != STREAM_OPEN)
            continue;
        buf_clear(json);
        frame_stream_state(json, room->id, stream->entry,
                           slice_of(stream->text.data, stream->shown_len));
        attach_send(attach, 0, 0, buf_slice(json));
    }
}

/* ---- what is stored meanwhile ---- */

static void on_saved(void *arg, enum store_result result, const struct query_rows *rows,
                     bool is_duplicate)
{
    struct stream_save *saving = arg;

    (void)rows;
    (void)is_duplicate;
    if (saving->stream) {
        saving->stream->saving = NULL;
        if (result != STORE_OK) /* the next time stores it all the same */
            saving->stream->saved_len = 0;
    }
    free(saving);
}

void token_stream_save(struct token_stream *stream)
{
    struct room_host *room = stream->room;
    struct store *store = room->host->store;
    struct slice text = buf_slice(&stream->text);
    struct store_query query = {
        .id = SQL_QUERY_stream_save,
        .n_params = 5,
        .params = {{.type = QUERY_TEXT, .text = room->project},
                   {.type = QUERY_TEXT, .text = room->id},
                   {.type = QUERY_INT8, .number = (int64_t)stream->entry->seq},
                   {.type = QUERY_INT8, .number = (int64_t)room->host->config.incarnation},
                   {.type = QUERY_TEXT, .text = text}}};
    struct stream_save *saving;

    if (stream->saving || stream->saved_len == text.len)
        return;
    saving = calloc(1, sizeof(*saving));
    if (!saving)
        return;
    saving->stream = stream;
    if (store->ops->query(store, &query, on_saved, saving) < 0) {
        free(saving); /* the store is away */
        return;
    }
    stream->saving = saving;
    stream->saved_len = text.len;
}

static void on_save(struct timer *timer, void *arg)
{
    struct token_stream *stream = arg;

    (void)timer;
    if (stream->state != STREAM_OPEN)
        return;
    token_stream_save(stream);
    arm(stream, &stream->save, STREAM_SAVE_MS);
}

/* ---- start ---- */

static void refuse(struct op *op, struct room_host *room, enum error_code code)
{
    struct frame_ref ref = {.frame_id = op->frame_id};
    struct buf *json = &room->host->json;

    room->host->metrics->refused++;
    buf_clear(json);
    frame_error(json, room->id, &ref, code, slice_of(NULL, 0), 0);
    op_settle(op, buf_slice(json), slice_of(NULL, 0));
}

static void acknowledge(struct op *op, struct room_host *room, const struct entry *e,
                        uint64_t seq, bool is_duplicate, struct slice before)
{
    struct frame_ref ref = {.client_id = e->client_id, .frame_id = op->frame_id};
    struct buf *json = &room->host->json2;

    buf_clear(json);
    frame_ack(json, room->id, &ref, e, seq, is_duplicate);
    if (before.len > 0)
        op_settle(op, before, buf_slice(json));
    else
        op_settle(op, buf_slice(json), slice_of(NULL, 0));
}

static void open(struct token_stream *stream, struct entry *entry)
{
    stream->state = STREAM_OPEN;
    stream->entry = entry_ref(entry);
    stream->shown_len = stream->saved_len = stream->text.len;
    arm(stream, &stream->idle, STREAM_IDLE_MS);
    arm(stream, &stream->save, STREAM_SAVE_MS);
}

static void started(struct token_stream *stream, struct entry *entry, bool is_duplicate)
{
    struct room_host *room = stream->room;
    struct attach *from = stream->from;
    struct op *op = TAKE(stream->op);
    struct buf *json = &room->host->json;
    bool is_over = !(entry->flags & ENTRY_STREAMING); /* a repeat of one that has ended */

    if (is_over)
        token_stream_free(stream);
    else
        open(stream, entry);
    if (!op)
        return;
    buf_clear(json);
    if (!is_over)
        frame_stream_started(json, room->id, entry);
    acknowledge(op, room, entry, entry->seq, is_duplicate, buf_slice(json));
    if (from)
        attach_unblock(from);
}

/* Nothing is left of it. */
static void vanish(struct token_stream *stream, enum error_code code)
{
    struct room_host *room = stream->room;
    struct attach *from = stream->from;
    struct op *op = TAKE(stream->op);

    token_stream_free(stream);
    if (op)
        refuse(op, room, code);
    if (op && from)
        attach_unblock(from);
}

/* ---- end ---- */

static void ended(struct token_stream *stream, const struct commit_result *result)
{
    struct room_host *room = stream->room;
    struct op *op = TAKE(stream->op);
    uint64_t seq = result->change_seq ? result->change_seq : result->entry->updated_seq;

    token_stream_free(stream);
    if (op)
        acknowledge(op, room, result->entry, seq, result->outcome != COMMIT_DONE,
                    slice_of(NULL, 0));
}

/* Stays open; somebody or the clock will end it again. */
static void not_ended(struct token_stream *stream, enum error_code code)
{
    struct op *op = TAKE(stream->op);

    stream->state = STREAM_OPEN;
    arm(stream, &stream->idle, STREAM_ORPHAN_MS);
    if (op)
        refuse(op, stream->room, code);
}

/* The room goes elsewhere, and the gateway sends the frame again. A stream that was to end is
 * still open, and is handed over. */
static void dropped(struct token_stream *stream)
{
    if (stream->op)
        op_strand(TAKE(stream->op));
    if (!stream->room || !stream->entry) {
        token_stream_free(stream);
        return;
    }
    stream->state = STREAM_OPEN;
    arm(stream, &stream->idle, STREAM_ORPHAN_MS);
}

static void on_settled(struct room_request *request, const struct commit_result *result)
{
    struct token_stream *stream = container_of(request, struct token_stream, request);
    bool is_start = stream->state == STREAM_STARTING;

    if (!stream->room || result->outcome == COMMIT_DROPPED) {
        dropped(stream);
        return;
    }
    switch (result->outcome) {
    case COMMIT_DONE:
    case COMMIT_DUPLICATE:
        if (is_start)
            started(stream, result->entry, result->outcome == COMMIT_DUPLICATE);
        else
            ended(stream, result);
        return;
    case COMMIT_NOTHING:
        ended(stream, result);
        return;
    case COMMIT_REJECTED: /* deleted meanwhile */
        vanish(stream, result->error);
        return;
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
        if (is_start)
            vanish(stream, mutate_error_of(result));
        else
            not_ended(stream, mutate_error_of(result));
        return;
    case COMMIT_DROPPED:
        return;
    }
}

/* Where a word stands that the settings of the room forbid; the length when none does. */
static size_t blocked_at(const struct room_host *room, struct slice text, bool is_open)
{
    const struct room_settings *settings = &room->facts.settings;

    return words_find(text, settings->blocked_words, settings->n_blocked_words, is_open);
}

/* What has been gathered may end in such a word, which could have become another one. */
static struct slice what_remains(const struct token_stream *stream)
{
    struct slice rest = buf_slice(&stream->text);

    rest.len = blocked_at(stream->room, rest, false);
    return rest;
}

int token_stream_end(struct token_stream *stream, struct slice text, const uint8_t *key,
                     struct op *op)
{
    struct room_host *room = stream->room;
    struct slice rest = utf8_trim(text.data ? text : what_remains(stream));
    struct mutation what = {.kind = rest.len > 0 ? MUTATION_STREAM_END : MUTATION_DELETE,
                            .actor = stream->user,
                            .content = rest};
    AUTO(mutation_unref) struct mutation *mutation = NULL;
    struct commit_push push = {.entry = stream->entry,
                               .key = key,
                               .is_suspect = op && op->is_resent,
                               .sender = op ? op->attach->sender : 0,
                               .requester = &stream->request};
    struct buf *extra = &room->host->json2;
    struct side_op ops[MENTIONS_MAX];
    struct mentions mentions;
    int r;

    assert(stream->state == STREAM_OPEN);
    buf_clear(extra);
    mentions_find(&mentions, rest, &room->members, slice_of(NULL, 0));
    extra_write_edit(extra, &mentions, stream->entry);
    what.extra = buf_slice(extra);
    mutation = buf_failed(extra) ? NULL : mutation_new(&what);
    if (!mutation)
        return -ENOMEM;
    push.mutation = mutation;
    push.ops = ops;
    push.n_ops = room_mention_ops(&mentions, stream->user, ops);
    r = committer_push(&room->queue, &push);
    if (r != 0)
        return r == COMMIT_PUSH_FULL ? -EBUSY : r;
    stop_timers(stream);
    stream->state = STREAM_ENDING;
    stream->op = op;
    return 0;
}

static void on_idle(struct timer *timer, void *arg)
{
    struct token_stream *stream = arg;

    (void)timer;
    if (stream->state != STREAM_OPEN)
        return;
    stream->room->host->metrics->streams_abandoned++;
    if (token_stream_end(stream, slice_of(NULL, 0), NULL, NULL) < 0)
        arm(stream, &stream->idle, STREAM_ORPHAN_MS);
}

/* ---- making, text ---- */

static struct token_stream *stream_alloc(struct room_host *room, struct slice user,
                                         struct slice text, const uint8_t *key)
{
    struct token_stream *stream = calloc(1, sizeof(*stream) + user.len);

    if (!stream)
        return NULL;
    stream->request.on_settled = on_settled;
    stream->room = room;
    memcpy(stream->key, key, DEDUPE_LEN);
    memcpy(stream->bytes, user.data, user.len);
    stream->user = slice_of(stream->bytes, user.len);
    timer_init(&stream->show, on_show, stream);
    timer_init(&stream->save, on_save, stream);
    timer_init(&stream->idle, on_idle, stream);
    buf_put_slice(&stream->text, text);
    list_add_tail(&room->streams, &stream->link);
    room->host->metrics->streams++;
    if (!buf_failed(&stream->text))
        return stream;
    token_stream_free(stream);
    return NULL;
}

static void note_frame(struct token_stream *stream, const struct op *op)
{
    stream->from = op->attach;
    stream->gateway = op->attach->gate->incarnation;
    stream->attach = op->attach->number;
    stream->n = op->n;
}

struct token_stream *token_stream_new(struct room_host *room, struct op *op, struct slice text,
                                      const uint8_t *key)
{
    struct token_stream *stream = stream_alloc(room, op->attach->user, text, key);

    if (!stream)
        return NULL;
    stream->op = op;
    note_frame(stream, op);
    return stream;
}

void token_stream_start_again(struct token_stream *stream, struct op *op)
{
    struct room_host *room = stream->room;
    struct buf *json = &room->host->json;

    stream->from = op->attach;
    if (stream->state == STREAM_STARTING) {
        stream->op = op;
        op->attach->is_blocked = true;
        return;
    }
    buf_clear(json);
    frame_stream_started(json, room->id, stream->entry);
    acknowledge(op, room, stream->entry, stream->entry->seq, true, buf_slice(json));
}

static bool has_frame(const struct token_stream *stream, const struct op *op)
{
    return op->is_resent && op->n <= stream->n && stream->attach == op->attach->number &&
           stream->gateway == op->attach->gate->incarnation;
}

int token_stream_append(struct token_stream *stream, const struct op *op, struct slice text)
{
    size_t len = stream->text.len;

    if (has_frame(stream, op)) {
        stream->from = op->attach;
        return 0;
    }
    if (len + text.len > STREAM_MAX_BYTES)
        return STREAM_TOO_LONG;
    buf_put_slice(&stream->text, text);
    if (buf_failed(&stream->text)) {
        stream->text.failed = false;
        stream->text.len = len;
        return -ENOMEM;
    }
    if (blocked_at(stream->room, buf_slice(&stream->text), true) < stream->text.len) {
        stream->text.len = len;
        return STREAM_BLOCKED;
    }
    note_frame(stream, op);
    arm(stream, &stream->idle, STREAM_IDLE_MS);
    if (!timer_is_armed(&stream->show))
        arm(stream, &stream->show, STREAM_SHOW_MS);
    return 0;
}

/* ---- the life of the room ---- */

static void adopt(struct room_host *room, struct entry *e)
{
    struct token_stream *stream = stream_alloc(room, e->user, e->content, e->dedupe);

    if (!stream)
        return; /* it stays open until the room wakes the next time */
    stream->is_orphan = true;
    open(stream, e);
    arm(stream, &stream->idle, STREAM_ORPHAN_MS);
}

void token_streams_on_gap(struct attach *attach)
{
    struct token_stream *stream = token_stream_find(attach->room, attach->user);

    if (!stream || stream->is_orphan || stream->n >= attach->gap_n ||
        stream->attach != attach->number || stream->gateway != attach->gate->incarnation)
        return;
    stream->is_orphan = stream->is_broken = true;
    if (stream->state == STREAM_OPEN)
        arm(stream, &stream->idle, STREAM_ORPHAN_MS);
}

void token_stream_resume(struct token_stream *stream)
{
    stream->is_orphan = false;
    show(stream); /* to those who are live already; the others are told as they come */
    arm(stream, &stream->idle, STREAM_ORPHAN_MS); /* if its author does not come */
}

void token_streams_adopt(struct room_host *room, const struct claim_result *claim)
{
    for (size_t i = 0; i < claim->n_streams; i++) {
        struct entry *e = claim->streams[i];
        struct entry *known = tail_find_seq(&room->tail, e->seq);

        adopt(room, known ? known : e);
    }
}

void token_streams_on_user_here(struct room_host *room, struct slice user)
{
    struct token_stream *stream = token_stream_find(room, user);

    if (stream && stream->state == STREAM_OPEN && !stream->is_orphan)
        arm(stream, &stream->idle, STREAM_IDLE_MS);
}

void token_streams_on_user_gone(struct room_host *room, struct slice user)
{
    struct token_stream *stream = token_stream_find(room, user);

    if (stream && stream->state == STREAM_OPEN)
        arm(stream, &stream->idle, STREAM_ORPHAN_MS);
}

void token_streams_on_attach_gone(struct attach *attach)
{
    struct token_stream *stream;

    list_for_each(stream, &attach->room->streams, link)
    {
        if (stream->from == attach)
            stream->from = NULL;
        if (stream->op && stream->op->attach == attach) /* perhaps another socket of the user */
            stream->op = NULL;                          /* goes with the attach */
    }
}

void token_streams_on_deleted(struct room_host *room, uint64_t seq)
{
    struct token_stream *stream, *next;

    list_for_each_safe(stream, next, &room->streams, link)
    {
        if (stream->state == STREAM_OPEN && stream->entry->seq == seq)
            token_stream_free(stream);
    }
}

void token_streams_stop(struct room_host *room)
{
    struct token_stream *stream, *next;

    list_for_each_safe(stream, next, &room->streams, link)
    {
        if (stream->state == STREAM_OPEN) {
            token_stream_free(stream);
            continue;
        }
        stop_timers(stream); /* the committer gives it back */
        room->host->metrics->streams--;
        list_del(&stream->link);
        stream->room = NULL;
        stream->op = NULL;
        stream->from = NULL;
    }
}
