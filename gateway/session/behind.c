/* behind.c - see behind.h. */
#include "gateway/session/behind.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "gateway/session/attach.h"
#include "gateway/session/sessions.h"

static struct gateway_metrics *metrics_of(const struct attach *a)
{
    return a->session->all->metrics;
}

static struct behind *behind_new(const struct attach *a)
{
    struct behind *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->since_ms = b->progress_ms = env_now_ms(a->session->all->env);
    b->queued = attach_queued(a);
    metrics_of(a)->sockets_behind++;
    metrics_of(a)->slow_marked++;
    return b;
}

void behind_free(struct behind *b)
{
    if (!b)
        return;
    buf_deinit(&b->held);
    free(b);
}

/* ---- the mark ---- */

/* One small frame per mark, so it may join a queue that is over its marks. */
static int say_behind(struct attach *a)
{
    AUTO(blob_unref) struct blob *frame = NULL;
    AUTO_BUF json = BUF_INIT;
    struct json_writer w = json_writer(&json);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("behind"));
    json_field_str(&w, "roomId", local_room_name(a->room));
    json_field_u64(&w, "fromSeq", a->cursor);
    json_write_object_end(&w);
    if (buf_failed(&json))
        return -ENOMEM;
    frame = framing_build(a->framing, buf_slice(&json), FRAMING_NO_ID);
    return frame ? session_write(a->session, frame) : -ENOMEM;
}

void behind_mark(struct attach *a)
{
    a->behind = behind_new(a);
    if (!a->behind) {
        session_end_failed(a->session, -ENOMEM);
        return;
    }
    attach_set_behind(a);
    if (a->is_native && say_behind(a) < 0)
        session_end_failed(a->session, -ENOMEM);
}

/* ---- meanwhile ---- */

static bool begins_with(struct slice json, struct slice text)
{
    return json.len >= text.len && memcmp(json.data, text.data, text.len) == 0;
}

/* It shows nothing of the room, so it is as good later. A page of a `resume`, or the original
 * of a repeat, would bring back what the catch-up has changed. */
static bool is_plain_answer(struct slice json)
{
    return json.len == 0 || begins_with(json, SLICE_LIT("{\"type\":\"ack\"")) ||
           begins_with(json, SLICE_LIT("{\"type\":\"error\""));
}

bool behind_hold(struct attach *a, const struct msg_TO_ATTACH *in)
{
    struct behind *b = a->behind;
    AUTO(blob_unref) struct blob *frame = NULL;

    if (in->done_n == 0 || b->is_full)
        return false; /* an event is in the catch-up, and of what comes behind an answer it is
                         the second part: neither, or both */
    b->is_full = !is_plain_answer(in->json) || b->held.len + in->json.len > BEHIND_HELD_BYTES;
    if (b->is_full || in->json.len == 0)
        return !b->is_full;
    frame = framing_build(a->framing, in->json, FRAMING_NO_ID);
    if (frame)
        buf_put(&b->held, frame->data, frame->len);
    b->is_full = !frame || buf_failed(&b->held);
    return !b->is_full;
}

void behind_on_progress(struct attach *a)
{
    if (a->behind)
        a->behind->progress_ms = env_now_ms(a->session->all->env);
}

void behind_start(struct attach *a)
{
    struct session *s = a->session;
    int r;

    if (a->state != ATTACH_STATE_BEHIND || a->room->state != ROOM_BOUND ||
        link_is_full(a->room->link) || attach_queued(a) > s->all->marks.low ||
        !session_may_page(s))
        return;
    behind_on_progress(a);
    /* Rooms of one socket take turns. */
    list_del(&a->of_session);
    list_add_tail(&s->attaches, &a->of_session);
    attach_restart(a);
    r = attach_request(a);
    (void)r; /* a link that cannot take it ends, and takes all of its rooms with it */
}

bool behind_sweep(struct attach *a, uint64_t now_ms)
{
    struct behind *b = a->behind;
    size_t queued = attach_queued(a);

    if (!b)
        return true;
    if (queued < b->queued)
        b->progress_ms = now_ms;
    b->queued = queued;
    if (queued <= a->session->all->marks.low) /* what is missing is not the client's to do */
        return true;
    if (now_ms - b->progress_ms < BEHIND_STALL_MS && now_ms - b->since_ms < BEHIND_MAX_MS)
        return true;
    metrics_of(a)->slow_closed++;
    session_end_failed(a->session, -ENOBUFS);
    return false;
}

/* ---- the end ---- */

void behind_end(struct attach *a)
{
    struct behind *b = TAKE(a->behind);
    struct blob *frames = NULL;
    int r = 0;

    metrics_of(a)->sockets_behind--;
    metrics_of(a)->slow_caught_up++;
    if (b->held.len > 0) {
        b->held.failed = false; /* what did not fit was not appended */
        frames = buf_to_blob(&b->held);
        r = frames ? session_write(a->session, frames) : -ENOMEM;
    }
    blob_unref(frames);
    behind_free(b);
    if (r < 0)
        session_end_failed(a->session, -ENOMEM);
}
