/*
 * attach_frames.c - the frames of one client in one room: kept until they are
 * settled, sent in order, answered when their time is over. See attach.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/client_frame.h"
#include "gateway/session/sessions.h"

static struct gateway_metrics *metrics_of(const struct attach *a)
{
    return a->session->all->metrics;
}

/* The shard takes frames of its client. One that is behind has been live all the time as far as
 * the shard knows. */
static bool is_heard(const struct attach *a)
{
    return a->state == ATTACH_STATE_LIVE || a->state == ATTACH_STATE_BEHIND;
}

/* Numbers of frames have 32 bits here, and so many more may be kept that have none yet. */
#define FRAME_NUMBER_MAX (UINT32_MAX - (1u << 20))

/* ---- to the shard ---- */

static int send_frame(struct attach *a, uint64_t n, uint32_t flags, struct slice json)
{
    struct msg msg = {.type = MSG_FRAME};

    msg.FRAME.attach = a->number;
    msg.FRAME.n = n;
    msg.FRAME.flags = flags;
    msg.FRAME.json = json;
    return link_send(a->room->link, &msg);
}

void attach_flush_frames(struct attach *a)
{
    struct unacked *u = a->unacked;

    while (is_heard(a) && u && u->next && !link_is_full(a->room->link)) {
        struct unacked_frame *frame = u->next;
        bool is_resent = frame->n > 0;
        uint64_t n = is_resent ? frame->n : a->last_n + 1;
        uint32_t flags = (is_resent ? FRAME_RESENT : 0) | (a->has_gap ? FRAME_GAP : 0);

        if (send_frame(a, n, flags, unacked_json(frame)) < 0)
            return; /* the link ends; after the re-attach everything is sent again */
        if (is_resent)
            metrics_of(a)->frames_resent++;
        else
            a->last_n = (uint32_t)n;
        unacked_sent(u, n);
    }
}

/* ---- client frames ---- */

static void set_over(struct attach *a, bool is_over)
{
    struct session *s = a->session;

    if (a->is_over != is_over)
        s->n_over = (uint16_t)(is_over ? s->n_over + 1 : s->n_over - 1);
    a->is_over = is_over;
    session_update_pause(s);
}

/* After the queue, which had so many bytes, has become shorter. */
static void after_settle(struct attach *a, uint32_t bytes_before)
{
    a->session->unsettled_bytes -= bytes_before - a->unacked->bytes;
    set_over(a, a->is_over && !unacked_has_room(a->unacked));
    if (unacked_is_empty(a->unacked)) {
        unacked_free(a->unacked);
        a->unacked = NULL;
    }
    attach_update_pending(a);
}

/* The room's next owner may still have the stream open, with the text in front of this. */
static bool refuses_stream(struct slice answer)
{
    static const char begin[] = "{\"type\":\"error\",\"code\":\"stream_not_open\"";

    return answer.len >= sizeof(begin) - 1 &&
           memcmp(answer.data, begin, sizeof(begin) - 1) == 0;
}

void attach_settle(struct attach *a, uint64_t done_n, struct slice answer)
{
    uint32_t before;

    if (refuses_stream(answer))
        a->gap_n = (uint32_t)MIN(done_n, a->last_n) + 1;
    if (!a->unacked)
        return;
    before = a->unacked->bytes;
    unacked_settle(a->unacked, done_n);
    if (a->unacked->bytes < before) /* its shard has been told, or has had all of them */
        a->has_gap = false;
    after_settle(a, before);
}

int attach_keep_frame(struct attach *a, struct slice json)
{
    int r;

    if (a->last_n >= FRAME_NUMBER_MAX)
        return -EOVERFLOW; /* after years on one socket; the next one counts anew */
    if (!a->unacked) {
        a->unacked = unacked_new();
        if (!a->unacked)
            return -ENOMEM;
    }
    r = unacked_push(a->unacked, json, env_now_ms(a->session->all->env));
    if (r < 0)
        return r;
    a->session->unsettled_bytes += (uint32_t)json.len;
    attach_update_pending(a);
    set_over(a, a->is_over || unacked_is_over(a->unacked));
    if (a->state == ATTACH_STATE_ASLEEP)
        local_room_wake(a->room);
    else
        attach_flush_frames(a);
    return 0;
}

void attach_pass_frame(struct attach *a, struct slice json)
{
    if (a->state == ATTACH_STATE_ASLEEP)
        local_room_wake(a->room);
    if (!is_heard(a) || link_is_full(a->room->link))
        return;
    if (send_frame(a, 0, 0, json) < 0)
        return; /* ephemeral: lost with the link */
}

/* Out of memory, or longer than such a frame is: it is only not said again. */
static struct attach_typing *typing_new(struct slice json, uint64_t now_ms)
{
    struct attach_typing *typing = NULL;

    if (json.len <= TYPING_FRAME_MAX)
        typing = malloc(sizeof(*typing) + json.len);
    if (!typing)
        return NULL;
    typing->at_ms = now_ms;
    typing->len = (uint32_t)json.len;
    memcpy(typing->json, json.data, json.len);
    return typing;
}

void attach_pass_typing(struct attach *a, struct slice json)
{
    free(a->typing);
    a->typing = typing_new(json, env_now_ms(a->session->all->env));
    attach_pass_frame(a, json);
}

/* The room may have a new owner, who does not know that somebody is typing, or has stopped to:
 * nobody else would tell the others when it ends. */
void attach_say_typing_again(struct attach *a)
{
    if (!a->typing)
        return;
    if (env_now_ms(a->session->all->env) - a->typing->at_ms < TYPING_EXPIRE_MS) {
        attach_pass_frame(a, slice_of(a->typing->json, a->typing->len));
        return;
    }
    attach_pass_frame(a, SLICE_LIT("{\"type\":\"typing\",\"isTyping\":false}"));
    free(TAKE(a->typing));
}

/* ---- answers of ours ---- */

int attach_answer_frames(struct attach *a, uint64_t before_ms)
{
    struct unacked_frame *frame;

    while (a->unacked && (frame = unacked_oldest(a->unacked, before_ms))) {
        enum error_code code = frame->n > 0 ? ERROR_outcome_unknown : ERROR_unavailable;
        uint32_t bytes = a->unacked->bytes;
        int r = client_frame_refuse(a->session, unacked_json(frame), code, 0);

        metrics_of(a)->frames_expired++;
        if (a->state == ATTACH_STATE_GONE)
            return 0; /* the sink has ended the session */
        a->has_gap = true;
        a->gap_n = (frame->n > 0 ? (uint32_t)frame->n : a->last_n) + 1;
        unacked_drop_oldest(a->unacked);
        after_settle(a, bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

int attach_answer_unsettled(struct attach *a)
{
    return attach_answer_frames(a, UINT64_MAX);
}
