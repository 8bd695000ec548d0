/*
 * attach.c - one socket in one room; see attach.h and docs/design/contracts.md.
 *
 *              first answer                ATTACHED
 *   WAITING -----------------> CATCHING ---------------> LIVE
 *    ^ ^ ^                        |                        | | SLEEP
 *    | | +-- link down, MOVED, ---+------------------------+ +-------> ASLEEP
 *    | |     another owner                                              |
 *    | +---- wake ------------------------------------------------------+
 *    +------ ATTACHED may also come as the first answer: WAITING -> LIVE
 *   any -- the socket closes, or the shard says CLOSE --> GONE
 *
 * Answers bear the epoch of the ATTACH they belong to; older ones are dropped
 * by the caller. While WAITING or CATCHING the client's frames queue in unacked.
 */
#include "gateway/session/attach.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/client_frame.h"
#include "gateway/session/say.h"

/* The flags that who enters chooses. */
#define CLIENT_FLAGS                                                                           \
    (ATTACH_HAS_SEQ | ATTACH_NO_REPLAY | ATTACH_AS_REPLAY | ATTACH_CACHE | ATTACH_OBSERVER |   \
     ATTACH_SUBSCRIBE)
/* Of a close that is meant for the connection, whatever rooms it is in. */
#define CODE_TERMINATED 4001

static const struct slice reason_unavailable = SLICE_LIT("unavailable");

static bool may_follow(enum attach_state from, enum attach_state to)
{
    switch (from) {
    case ATTACH_STATE_WAITING:
        return to != ATTACH_STATE_ASLEEP;
    case ATTACH_STATE_CATCHING:
        return to != ATTACH_STATE_ASLEEP && to != ATTACH_STATE_CATCHING;
    case ATTACH_STATE_LIVE:
        return to != ATTACH_STATE_CATCHING && to != ATTACH_STATE_LIVE;
    case ATTACH_STATE_ASLEEP:
        return to == ATTACH_STATE_WAITING || to == ATTACH_STATE_GONE;
    case ATTACH_STATE_GONE:
        return false;
    }
    return false;
}

static void set_state(struct attach *a, enum attach_state state)
{
    assert(may_follow(a->state, state));
    a->state = (uint8_t)state;
}

/* On the pending list exactly while the sweep or a drained queue has something to do for it. */
static void update_pending(struct attach *a)
{
    bool is_pending =
        (a->fresh && a->state == ATTACH_STATE_WAITING) || a->owes_more || a->unacked;

    if (is_pending && !list_linked(&a->pending))
        list_add_tail(&a->session->all->pending, &a->pending);
    else if (!is_pending)
        list_del(&a->pending);
}

static struct gateway_metrics *metrics_of(const struct attach *a)
{
    return a->session->all->metrics;
}

static struct slice generation_of(const struct attach *a)
{
    return a->generation ? blob_slice(a->generation) : (struct slice){0};
}

static uint32_t unsettled_bytes(const struct attach *a)
{
    return a->unacked ? a->unacked->bytes : 0;
}

/* ---- life ---- */

static void put(char **at, struct slice text)
{
    if (text.len > 0)
        memcpy(*at, text.data, text.len);
    *at += text.len;
}

static struct attach_fresh *fresh_new(const struct enter_params *p, uint64_t now_ms)
{
    struct attach_fresh *fresh;
    char *at;

    if (p->generation.len > UINT16_MAX || p->trace.len > UINT16_MAX ||
        p->frame_id.len > UINT16_MAX)
        return NULL;
    fresh = malloc(sizeof(*fresh) + p->generation.len + p->trace.len + p->frame_id.len);
    if (!fresh)
        return NULL;
    fresh->since_ms = now_ms;
    fresh->last_seq = p->last_seq;
    fresh->flags = p->attach_flags & CLIENT_FLAGS;
    fresh->replay_limit = p->replay_limit;
    fresh->generation_len = (uint16_t)p->generation.len;
    fresh->trace_len = (uint16_t)p->trace.len;
    fresh->frame_id_len = (uint16_t)p->frame_id.len;
    at = fresh->bytes;
    put(&at, p->generation);
    put(&at, p->trace);
    put(&at, p->frame_id);
    return fresh;
}

void attach_free(struct attach *a)
{
    if (!a)
        return;
    assert(!list_linked(&a->pending));
    list_del(&a->of_session);
    unacked_free(a->unacked);
    blob_unref(a->generation);
    free(a->typing);
    free(a->fresh);
    free(a);
}
DEFINE_AUTO(struct attach, attach_free)

int attach_new(struct session *session, struct local_room *room,
               const struct enter_params *params, struct attach **ret_attach)
{
    struct sessions *all = session->all;
    AUTO(attach_free) struct attach *a = calloc(1, sizeof(*a));
    int r;

    if (!a)
        return -ENOMEM;
    list_init(&a->pending);
    list_init(&a->of_session);
    a->stream = session->stream;
    a->framing = session->framing;
    a->is_native = session->is_native;
    a->no_presence = params->no_presence;
    a->is_observer = params->attach_flags & ATTACH_OBSERVER;
    a->session = session;
    a->room = room;
    a->fresh = fresh_new(params, env_now_ms(all->env));
    if (!a->fresh)
        return -ENOMEM;
    r = attach_table_add(&all->attaches, a, &a->number);
    if (r < 0)
        return r;
    r = local_room_add(room, a);
    if (r < 0) {
        attach_table_remove(&all->attaches, a->number);
        return r;
    }
    list_add_tail(&session->attaches, &a->of_session);
    session->n_attaches++;
    all->metrics->attaches++;
    update_pending(a);
    *ret_attach = TAKE(a);
    return 0;
}

static void send_detach(struct attach *a)
{
    struct link *link = local_room_last_link(a->room);
    struct msg msg = {.type = MSG_DETACH};
    int r;

    msg.DETACH.attach = a->number;
    msg.DETACH.project = local_room_project(a->room);
    msg.DETACH.room = local_room_name(a->room);
    msg.DETACH.user = session_user(a->session);
    msg.DETACH.is_old = !a->is_native && !a->fresh;
    msg.DETACH.doubt_ms =
        a->session->said_goodbye ? OLD_CLIENT_CLOSED_DOUBT_MS : OLD_CLIENT_DOUBT_MS;
    msg.DETACH.cursor = a->cursor;
    local_room_detach_elsewhere(a->room, a->number);
    if (!link)
        return;
    r = link_send(link, &msg);
    (void)r; /* a link that cannot take it ends, and the shard lets its ghosts go */
}

void attach_leave(struct attach *a)
{
    struct session *s = a->session;

    if (a->state == ATTACH_STATE_GONE)
        return;
    if (a->epoch > 0) /* also between two ATTACHes: the shard may still have the first */
        send_detach(a);
    set_state(a, ATTACH_STATE_GONE);
    a->owes_more = false;
    list_del(&a->pending);
    attach_table_remove(&s->all->attaches, a->number);
    if (a->is_subscription)
        map_remove(&s->all->subscriptions, &a->subscription);
    metrics_of(a)->attaches--;
    s->n_attaches--;
    s->n_over = (uint16_t)(s->n_over - a->is_over);
    s->unsettled_bytes -= unsettled_bytes(a);
    local_room_remove(a->room, a);
    sessions_reap_attach(s->all, a);
    session_update_pause(s);
}

void attach_end(struct attach *a, unsigned code, struct slice reason)
{
    struct session *s = a->session;
    struct attach_fresh *fresh = a->fresh;
    struct say_ref ref = {.room = local_room_name(a->room)};
    int r;

    if (!s->many_rooms || code == CODE_TERMINATED) {
        session_end(s, code, reason);
        return;
    }
    if (fresh)
        ref.frame_id = slice_of(fresh->bytes + fresh->generation_len + fresh->trace_len,
                                fresh->frame_id_len);
    r = attach_answer_unsettled(a);
    if (r == 0)
        r = say_ended(s, code, reason, &ref);
    if (r < 0)
        session_end_failed(s, r);
    else
        attach_leave(a);
}

/* ---- to the shard ---- */

/* What the ATTACH says about where to begin; see "A catch-up that was cut" in the contracts. */
static void fill_start(const struct attach *a, struct msg_ATTACH *out)
{
    const struct attach_fresh *fresh = a->fresh;

    if (!fresh) {
        out->flags = ATTACH_REATTACH | (a->is_observer ? ATTACH_OBSERVER : 0) |
                     (a->was_cut && !a->is_native ? ATTACH_CUT : 0);
        out->last_seq = a->cursor;
        out->generation = generation_of(a);
        return;
    }
    out->flags = fresh->flags;
    out->replay_limit = fresh->replay_limit;
    out->last_seq = fresh->last_seq;
    out->generation = slice_of(fresh->bytes, fresh->generation_len);
    out->trace = slice_of(fresh->bytes + fresh->generation_len, fresh->trace_len);
    if (a->cursor > 0 && a->generation) { /* part of the catch-up was given: go on behind it */
        out->flags = (fresh->flags & ~ATTACH_CACHE) | ATTACH_HAS_SEQ;
        if (!(fresh->flags & ATTACH_HAS_SEQ) && !a->is_native)
            out->flags |= ATTACH_CUT;
        out->last_seq = a->cursor;
        out->generation = generation_of(a);
    }
}

int attach_request(struct attach *a)
{
    struct session *s = a->session;
    struct msg msg = {.type = MSG_ATTACH};
    char socket_id[37];

    assert(a->state == ATTACH_STATE_WAITING && !a->is_sent);
    uuid_format(s->socket_id, socket_id);
    fill_start(a, &msg.ATTACH);
    msg.ATTACH.attach = a->number;
    msg.ATTACH.flags |= s->is_native ? ATTACH_NATIVE : 0;
    msg.ATTACH.project = local_room_project(a->room);
    msg.ATTACH.room = local_room_name(a->room);
    msg.ATTACH.user = session_user(s);
    msg.ATTACH.roles = intern_slice(s->roles);
    msg.ATTACH.socket_id = slice_str(socket_id);
    msg.ATTACH.user_info = s->user_info ? blob_slice(s->user_info) : (struct slice){0};
    msg.ATTACH.epoch = ++a->epoch;
    a->is_sent = true;
    if (!a->fresh)
        metrics_of(a)->reattaches++;
    else if (msg.ATTACH.flags & ATTACH_HAS_SEQ)
        metrics_of(a)->resumes++;
    return link_send(a->room->link, &msg);
}

void attach_tell_roles(struct attach *a)
{
    struct msg msg = {.type = MSG_ROLES};
    int r;

    if (!a->is_sent || a->state == ATTACH_STATE_ASLEEP)
        return; /* the next ATTACH bears them */
    msg.ROLES.attach = a->number;
    msg.ROLES.roles = intern_slice(a->session->roles);
    r = link_send(a->room->link, &msg);
    (void)r; /* a link that cannot take it ends, and all of it is attached again */
}

void attach_restart(struct attach *a)
{
    a->is_sent = false;
    a->owes_more = false;
    if (a->unacked)
        unacked_rewind(a->unacked);
    a->was_cut |= a->state == ATTACH_STATE_CATCHING;
    if (a->state != ATTACH_STATE_WAITING) {
        set_state(a, ATTACH_STATE_WAITING);
        if (a->fresh)
            a->fresh->since_ms = env_now_ms(a->session->all->env);
    }
    update_pending(a);
}

void attach_sleep(struct attach *a)
{
    assert(a->state == ATTACH_STATE_LIVE && !a->unacked);
    a->owes_more = false;
    free(TAKE(a->typing));
    set_state(a, ATTACH_STATE_ASLEEP);
    update_pending(a);
}

static int send_frame(struct attach *a, uint64_t n, uint32_t flags, struct slice json)
{
    struct msg msg = {.type = MSG_FRAME};

    msg.FRAME.attach = a->number;
    msg.FRAME.n = n;
    msg.FRAME.flags = flags;
    msg.FRAME.json = json;
    return link_send(a->room->link, &msg);
}

static void flush_frames(struct attach *a)
{
    struct unacked *u = a->unacked;

    while (u && u->next && !link_is_full(a->room->link)) {
        struct unacked_frame *frame = u->next;
        bool is_resent = frame->n > 0;
        uint64_t n = is_resent ? frame->n : a->last_n + 1;

        if (send_frame(a, n, is_resent ? FRAME_RESENT : 0, unacked_json(frame)) < 0)
            return; /* the link ends; after the re-attach everything is sent again */
        if (is_resent)
            metrics_of(a)->frames_resent++;
        else
            a->last_n = n;
        unacked_sent(u, n);
    }
}

static void flush_more(struct attach *a)
{
    struct msg msg = {.type = MSG_MORE};

    /* Above this mark streams report on_drained; what is queued in this turn may well leave at
     * its end. */
    if (!a->owes_more || !a->is_sent || attach_queued(a) > SOCKET_QUEUE_SOFT)
        return;
    msg.MORE.attach = a->number;
    if (link_send(a->room->link, &msg) == 0)
        a->owes_more = false;
}

void attach_flush(struct attach *a)
{
    if (a->state == ATTACH_STATE_LIVE)
        flush_frames(a);
    flush_more(a);
    update_pending(a);
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
    update_pending(a);
}

int attach_keep_frame(struct attach *a, struct slice json)
{
    int r;

    if (!a->unacked) {
        a->unacked = unacked_new();
        if (!a->unacked)
            return -ENOMEM;
    }
    r = unacked_push(a->unacked, json, env_now_ms(a->session->all->env));
    if (r < 0)
        return r;
    a->session->unsettled_bytes += (uint32_t)json.len;
    update_pending(a);
    set_over(a, a->is_over || unacked_is_over(a->unacked));
    if (a->state == ATTACH_STATE_LIVE)
        flush_frames(a);
    else if (a->state == ATTACH_STATE_ASLEEP)
        local_room_wake(a->room);
    return 0;
}

void attach_pass_frame(struct attach *a, struct slice json)
{
    if (a->state == ATTACH_STATE_ASLEEP)
        local_room_wake(a->room);
    if (a->state != ATTACH_STATE_LIVE || link_is_full(a->room->link))
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
static void say_typing_again(struct attach *a)
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

/* ---- from the shard ---- */

static void set_generation(struct attach *a, struct slice generation)
{
    struct blob *blob;

    if (generation.len == 0 || slice_eq(generation_of(a), generation))
        return;
    blob = local_room_generation(a->room, generation);
    if (!blob)
        return; /* out of memory: with the old one the next re-attach starts over, which is safe
                 */
    blob_unref(a->generation);
    a->generation = blob;
}

/* Queues a frame for this one socket. <0: the session has been ended. */
static int write_frame(struct attach *a, struct slice json, struct framing_id id)
{
    AUTO(blob_unref) struct blob *frame = NULL;

    if (attach_queued(a) > SOCKET_QUEUE_HARD) {
        metrics_of(a)->slow_closed++;
        session_end_failed(a->session, -ENOBUFS);
        return -EPIPE;
    }
    frame = framing_build(a->framing, json, id);
    if (!frame || session_write(a->session, frame) < 0) {
        session_end_failed(a->session, -ENOMEM);
        return -ENOMEM;
    }
    return a->state == ATTACH_STATE_GONE ? -EPIPE : 0; /* the sink may have ended it */
}

/* An event of the room that is for some only, as its cursor says. The socket has had it in the
 * catch-up; see fan_out.c. */
static bool was_given(const struct attach *a, const struct msg_TO_ATTACH *in)
{
    return a->state == ATTACH_STATE_LIVE && in->cursor > 0 && in->cursor <= a->cursor;
}

void attach_on_bytes(struct attach *a, const struct msg_TO_ATTACH *in)
{
    struct framing_id id = {.seq = in->cursor,
                            .generation =
                                in->generation.len ? in->generation : generation_of(a)};

    if (a->state == ATTACH_STATE_WAITING)
        set_state(a, ATTACH_STATE_CATCHING);
    if (in->json.len > 0 && !was_given(a, in) && write_frame(a, in->json, id) < 0)
        return;
    set_generation(a, in->generation);
    if (in->cursor > 0 && (a->state == ATTACH_STATE_CATCHING || in->cursor > a->cursor))
        a->cursor = in->cursor;
    if (in->done_n > 0 && a->unacked) {
        uint32_t before = a->unacked->bytes;

        unacked_settle(a->unacked, in->done_n);
        after_settle(a, before);
    }
    update_pending(a);
}

void attach_on_attached(struct attach *a, const struct msg_ATTACHED *in)
{
    if (a->state != ATTACH_STATE_WAITING && a->state != ATTACH_STATE_CATCHING)
        return;
    set_generation(a, in->generation);
    a->cursor = in->seq;
    free(a->fresh);
    a->fresh = NULL;
    a->was_cut = false;
    set_state(a, ATTACH_STATE_LIVE);
    local_room_on_live(a->room);
    attach_flush(a);
    say_typing_again(a);
}

void attach_on_paged(struct attach *a)
{
    a->owes_more = true;
    attach_flush(a);
}

/* ---- time ---- */

/* Answers and forgets the frames that came before that time. */
static int answer_frames(struct attach *a, uint64_t before_ms)
{
    struct unacked_frame *frame;

    while (a->unacked && (frame = unacked_oldest(a->unacked, before_ms))) {
        enum error_code code = frame->n > 0 ? ERROR_outcome_unknown : ERROR_unavailable;
        uint32_t bytes = a->unacked->bytes;
        int r = client_frame_refuse(a->session, unacked_json(frame), code, 0);

        metrics_of(a)->frames_expired++;
        if (a->state == ATTACH_STATE_GONE)
            return 0; /* the sink has ended the session */
        unacked_drop_oldest(a->unacked);
        after_settle(a, bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

int attach_answer_unsettled(struct attach *a)
{
    return answer_frames(a, UINT64_MAX);
}

void attach_sweep(struct attach *a, uint64_t now_ms)
{
    int r = 0;

    if (a->fresh && a->state == ATTACH_STATE_WAITING &&
        now_ms - a->fresh->since_ms >= ATTACH_DEADLINE_MS) {
        metrics_of(a)->attach_timeouts++;
        attach_end(a, 1013, reason_unavailable);
        return;
    }
    if (now_ms > WRITE_DEADLINE_MS)
        r = answer_frames(a, now_ms - WRITE_DEADLINE_MS);
    if (r < 0)
        session_end_failed(a->session, r);
    else if (a->state != ATTACH_STATE_GONE)
        attach_flush(a);
}
