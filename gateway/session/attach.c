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
 *   LIVE -- the socket is too slow --> BEHIND -- it has drained --> WAITING (behind.h)
 *   any -- the socket closes, or the shard says CLOSE --> GONE
 *
 * Answers bear the epoch of the ATTACH they belong to; older ones are dropped
 * by the caller. While WAITING or CATCHING the client's frames queue in unacked.
 *
 * A page of a catch-up comes only with a credit, of which a socket has a few for
 * all of its rooms: an ATTACH without one asks the shard to wait for MORE.
 */
#include "gateway/session/attach.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/behind.h"
#include "gateway/session/say.h"

/* The flags that who enters chooses. */
#define CLIENT_FLAGS                                                                           \
    (ATTACH_HAS_SEQ | ATTACH_NO_REPLAY | ATTACH_AS_REPLAY | ATTACH_CACHE | ATTACH_OBSERVER |   \
     ATTACH_SUBSCRIBE)
static_assert(ROOMS_PER_SOCKET_MAX <= UINT8_MAX, "session.n_waiting counts them");

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
    case ATTACH_STATE_BEHIND:
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
void attach_update_pending(struct attach *a)
{
    bool is_pending = (a->fresh && a->state == ATTACH_STATE_WAITING) || a->owes_more ||
                      a->unacked || a->behind || a->owes_presence;
    bool is_waiting = a->owes_more || a->state == ATTACH_STATE_BEHIND;

    a->session->n_waiting = (uint8_t)(a->session->n_waiting + is_waiting - a->is_waiting);
    a->is_waiting = is_waiting;
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

static void return_credit(struct attach *a)
{
    a->session->n_credits = (uint8_t)(a->session->n_credits - a->has_credit);
    a->has_credit = false;
}

static void take_credit(struct attach *a)
{
    a->session->n_credits = (uint8_t)(a->session->n_credits + !a->has_credit);
    a->has_credit = true;
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
    behind_free(a->behind);
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
    attach_update_pending(a);
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
    if (a->behind) /* so long it may have lain in the queue */
        msg.DETACH.doubt_ms +=
            (uint32_t)(env_now_ms(a->session->all->env) - a->behind->since_ms);
    msg.DETACH.cursor = a->cursor;
    msg.DETACH.hold = a->session->is_sent_away;
    /* When it crosses a SLEEP, nobody would tell the others that he has left. */
    msg.DETACH.wake = a->state != ATTACH_STATE_ASLEEP;
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
    return_credit(a);
    s->n_waiting = (uint8_t)(s->n_waiting - a->is_waiting);
    metrics_of(a)->sockets_behind -= a->behind != NULL;
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
    session_next_page(s);
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
    msg.ATTACH.gap_n = a->gap_n;
    msg.ATTACH.flags |= s->is_native ? ATTACH_NATIVE : 0;
    msg.ATTACH.flags |= a->behind ? ATTACH_BEHIND : 0;
    msg.ATTACH.flags |= a->no_presence ? ATTACH_NO_PRESENCE : 0;
    if (session_may_page(s))
        take_credit(a);
    else
        msg.ATTACH.flags |= ATTACH_PAUSED;
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
    a->owes_presence = false; /* who is attached again is told */
    return_credit(a);
    if (a->unacked)
        unacked_rewind(a->unacked);
    a->was_cut |= a->state == ATTACH_STATE_CATCHING;
    if (a->state != ATTACH_STATE_WAITING) {
        set_state(a, ATTACH_STATE_WAITING);
        if (a->fresh)
            a->fresh->since_ms = env_now_ms(a->session->all->env);
    }
    attach_update_pending(a);
}

void attach_sleep(struct attach *a)
{
    assert(a->state == ATTACH_STATE_LIVE && !a->unacked);
    a->owes_more = false;
    free(TAKE(a->typing));
    set_state(a, ATTACH_STATE_ASLEEP);
    attach_update_pending(a);
}

void attach_set_behind(struct attach *a)
{
    a->owes_presence = false;
    set_state(a, ATTACH_STATE_BEHIND);
    attach_update_pending(a);
}

static void flush_more(struct attach *a)
{
    struct msg msg = {.type = MSG_MORE};
    struct session *s = a->session;
    bool is_resume = a->state == ATTACH_STATE_LIVE || a->state == ATTACH_STATE_BEHIND;

    /* Above this mark streams report on_drained; what is queued in this turn may well leave at
     * its end. What a `resume` of the client brings is one page at a time anyway. */
    if (!a->owes_more || !a->is_sent || attach_queued(a) > s->all->marks.soft ||
        (!is_resume && !session_may_page(s)))
        return;
    msg.MORE.attach = a->number;
    if (link_send(a->room->link, &msg) < 0)
        return; /* the link ends; the catch-up starts over */
    a->owes_more = false;
    if (!is_resume)
        take_credit(a);
    behind_on_progress(a);
}

/* What was left out about who is here is told again, to this socket. */
static void flush_presence(struct attach *a)
{
    struct msg msg = {.type = MSG_REFRESH,
                      .REFRESH = {.attach = a->number,
                                  .project = local_room_project(a->room),
                                  .room = local_room_name(a->room)}};

    if (!a->owes_presence || a->state != ATTACH_STATE_LIVE ||
        attach_queued(a) > a->session->all->marks.low || link_is_full(a->room->link))
        return;
    if (link_send(a->room->link, &msg) == 0)
        a->owes_presence = false;
}

void attach_flush(struct attach *a)
{
    attach_flush_frames(a);
    flush_more(a);
    flush_presence(a);
    behind_start(a);
    attach_update_pending(a);
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

/* Queues a frame for this one socket. <0: the session has been ended. Pages have their own
 * bound, the credits. */
static int write_frame(struct attach *a, struct slice json, struct framing_id id)
{
    bool is_page = a->state == ATTACH_STATE_CATCHING;
    AUTO(blob_unref) struct blob *frame = NULL;
    int r = -ENOMEM;

    if (!is_page && session_is_overfull(a->session)) {
        metrics_of(a)->slow_closed++;
        session_end_failed(a->session, -ENOBUFS);
        return -EPIPE;
    }
    frame = framing_build(a->framing, json, id);
    if (is_page && frame)
        a->session->page_bytes += frame->len;
    if (frame)
        r = is_page ? session_write_unhurried(a->session, frame)
                    : session_write(a->session, frame);
    if (r < 0) {
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
    if (a->state == ATTACH_STATE_LIVE && in->cursor > a->cursor &&
        attach_queued(a) > a->session->all->marks.behind) {
        behind_mark(a);
        return; /* what else it says will be said again */
    }
    if (a->state == ATTACH_STATE_BEHIND) {
        if (behind_hold(a, in))
            attach_settle(a, in->done_n, in->json);
        return;
    }
    if (in->json.len > 0 && !was_given(a, in) && write_frame(a, in->json, id) < 0)
        return;
    set_generation(a, in->generation);
    if (in->cursor > 0 && (a->state == ATTACH_STATE_CATCHING || in->cursor > a->cursor))
        a->cursor = in->cursor;
    if (in->done_n > 0)
        attach_settle(a, in->done_n, in->json);
    attach_update_pending(a);
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
    return_credit(a);
    local_room_on_live(a->room);
    if (a->behind)
        behind_end(a);
    if (a->state == ATTACH_STATE_GONE)
        return;
    attach_flush(a);
    attach_say_typing_again(a);
    session_next_page(a->session);
}

void attach_on_paged(struct attach *a)
{
    a->owes_more = true;
    return_credit(a);
    attach_flush(a);
    session_next_page(a->session);
}

/* ---- time ---- */

void attach_sweep(struct attach *a, uint64_t now_ms)
{
    int r = 0;

    if (a->fresh && a->state == ATTACH_STATE_WAITING &&
        now_ms - a->fresh->since_ms >= ATTACH_DEADLINE_MS) {
        metrics_of(a)->attach_timeouts++;
        attach_end(a, 1013, reason_unavailable);
        return;
    }
    if (!behind_sweep(a, now_ms))
        return;
    if (now_ms > WRITE_DEADLINE_MS)
        r = attach_answer_frames(a, now_ms - WRITE_DEADLINE_MS);
    if (r < 0)
        session_end_failed(a->session, r);
    else if (a->state != ATTACH_STATE_GONE)
        attach_flush(a);
}
