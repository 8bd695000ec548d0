/* catchup_give.c - what a catch-up gives to its socket, and its end. See catchup.h. */
#include <errno.h>

#include "shard/host/catchup_priv.h"
#include "shard/host/frame_in.h"
#include "shard/host/op.h"
#include "shard/host/token_stream.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/room/reactions.h"

static struct frame_page page_of(const struct catchup *c, struct entry *const *entries,
                                 size_t n, uint64_t current_seq, bool has_more)
{
    const struct room_host *room = c->attach->room;

    return (struct frame_page){.room = room->id,
                               .generation = room_generation(room),
                               .entries = entries,
                               .n_entries = n,
                               .current_seq = current_seq,
                               .viewer = c->attach->user,
                               .now_us = host_now_us(room->host),
                               .has_more = has_more};
}

void catchup_fail(struct catchup *c)
{
    struct attach *attach = c->attach;
    struct room_host *room = attach->room;
    struct op *op = c->op;
    struct frame_ref ref = {0};

    if (!op) {
        attach_close(attach, 1013, "unavailable");
        return;
    }
    ref.frame_id = op->frame_id;
    buf_clear(&room->host->json);
    frame_error(&room->host->json, room->id, &ref, ERROR_unavailable,
                SLICE_LIT("resume_failed"), 0);
    catchup_release(c);
    op_settle(op, buf_slice(&room->host->json), slice_of(NULL, 0));
    frames_run_held(attach);
}

void catchup_say_subscribed(struct attach *attach, uint64_t at, uint64_t cursor)
{
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;
    struct slice generation = room_generation(room);

    /* Ahead of the catch-up the client's cursor still is of the generation that it came with.
     */
    if ((attach->flags & ATTACH_SUBSCRIBE) && attach->given_generation_len > 0)
        generation = slice_of(attach->given_generation, attach->given_generation_len);
    buf_clear(json);
    frame_subscription_succeeded(json, room->id, attach->socket_id, generation,
                                 MAX(at, room->seq), &room->roster);
    attach_send(attach, 0, cursor, buf_slice(json));
}

void catchup_finish(struct catchup *c)
{
    struct attach *attach = c->attach;
    uint64_t at = c->at;
    bool was_resume = c->op != NULL;
    uint64_t cursor = c->kind == CATCHUP_CHANGES ? at : 0; /* none of its frames has told it */

    attach->is_between = false;
    catchup_release(c);
    if (was_resume) {
        frames_run_held(attach);
        return;
    }
    token_streams_tell(attach);
    if (!(attach->flags & (ATTACH_REATTACH | ATTACH_SUBSCRIBE)))
        catchup_say_subscribed(attach, at, cursor);
    attach_become_live(attach, at);
}

/* One frame of the answer; the last one settles the `resume` that asked for it. */
static void send_frame(struct catchup *c, struct slice json, uint64_t cursor, bool is_last)
{
    struct op *op = c->op;

    if (op && is_last)
        op_settle(op, json, slice_of(NULL, 0));
    else
        attach_send(c->attach, 0, op ? 0 : cursor, json);
}

static void give_replay(struct catchup *c, struct entry *const *entries, size_t n, uint64_t to,
                        bool more)
{
    struct room_host *room = c->attach->room;
    struct frame_page page = page_of(c, entries, n, MAX(room->seq, to), more);
    struct frame_range range = {
        .from_seq = c->at, .to_seq = to, .is_native = c->attach->flags & ATTACH_NATIVE};
    struct buf *json = &room->host->json;

    if (more)
        page.generation = generations_partial(&room->generations);
    buf_clear(json);
    frame_replay(json, &page, &range);
    c->attach->is_between = more && !c->op;
    send_frame(c, buf_slice(json), to, !more);
}

/* Every number after the cursor is that of an entry which the socket may see as it was made:
 * then live frames tell all. */
static bool is_plain(const struct catchup *c, struct entry *const *entries, size_t n,
                     uint64_t to)
{
    const struct attach *attach = c->attach;
    int64_t now_us = host_now_us(attach->room->host);

    if (c->at + n != to)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = entries[i];

        if (e->seq != c->at + 1 + i || e->updated_seq != e->seq ||
            !entry_is_visible(e, attach->user) ||
            (e->kind == ENTRY_MESSAGE && !entry_is_live(e, now_us)))
            return false;
    }
    return true;
}

struct reaction_frames {
    struct catchup *c;
    const struct entry *entry;
    size_t left;
};

static bool give_reaction(void *arg, struct slice emoji, struct slice user)
{
    struct reaction_frames *r = arg;
    struct room_host *room = r->c->attach->room;
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_reaction(json, room->id, r->entry, user, emoji, true);
    attach_send(r->c->attach, 0, 0, buf_slice(json));
    return --r->left > 0;
}

static void give_reactions(struct catchup *c, struct entry *e)
{
    struct reaction_frames reactions = {c, e, CATCHUP_REACTIONS_MAX};

    reactions_each(e->reactions, give_reaction, &reactions);
}

/* The forms of a change that sockets which are not native get beside it, as they get them live.
 */
static void give_second_form(struct attach *attach, const struct entry *e)
{
    struct buf *json = &attach->room->host->json;

    if ((attach->flags & ATTACH_NATIVE) || e->visible_to.len > 0)
        return;
    buf_clear(json);
    if (!e->deleted_us)
        frame_message_updated(json, attach->room->id, e);
    else if (!(e->flags & ENTRY_EXPIRED))
        frame_message_deleted(json, attach->room->id, e, slice_of(NULL, 0));
    if (json->len > 0)
        attach_send(attach, 0, 0, buf_slice(json));
}

/* The socket had the entry: what it has become, by frames that it knows. */
static void give_changed(struct catchup *c, struct entry *e, uint64_t cursor)
{
    struct attach *attach = c->attach;
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;

    if (e->deleted_us && (e->flags & ENTRY_EXPIRED)) {
        buf_clear(json);
        frame_message_expired(json, room->id, e);
        attach_send(attach, 0, 0, buf_slice(json));
    }
    buf_clear(json);
    if (e->deleted_us)
        frame_delete(json, room->id, e, slice_of(NULL, 0));
    else
        frame_edit(json, room->id, e);
    attach_send(attach, 0, cursor, buf_slice(json));
    give_second_form(attach, e);
    if (!e->deleted_us)
        give_reactions(c, e);
}

static bool is_for_old(const struct entry *e, const struct attach *attach, int64_t now_us)
{
    if (frame_is_native(e) || !entry_is_visible(e, attach->user))
        return false;
    return e->kind != ENTRY_MESSAGE || e->deleted_us || entry_is_live(e, now_us);
}

/* A row may come twice, when it has changed between two pages: it is given as a new one, which
 * a client that knows it passes by, and as a changed one, which one that does not passes by. */
static void give_entry(struct catchup *c, struct entry *e, uint64_t cursor)
{
    struct attach *attach = c->attach;
    struct buf *json = &attach->room->host->json;
    bool is_in_snapshot = c->kind == CATCHUP_CHANGES && e->kind == ENTRY_MESSAGE;
    bool is_known = e->seq <= (is_in_snapshot || c->kind == CATCHUP_LIVE ? c->known : c->reach);

    if (!is_known && !e->deleted_us) {
        buf_clear(json);
        frame_entry(json, attach->room->id, e);
        attach_send(attach, 0, cursor, buf_slice(json));
    }
    if (e->updated_seq != e->seq && (is_known || e->seq <= c->at))
        give_changed(c, e, cursor);
    else if (!is_known)
        give_reactions(c, e);
}

/* Behind the snapshot of an old client the cursor stays where it was: should it be cut here, it
 * starts over, for it takes a replay for what it knows already. */
static void give_live(struct catchup *c, struct entry *const *entries, size_t n, uint64_t to,
                      bool more)
{
    struct attach *attach = c->attach;
    bool is_native = attach->flags & ATTACH_NATIVE;
    bool has_cursor = c->kind == CATCHUP_LIVE;
    int64_t now_us = host_now_us(attach->room->host);
    uint64_t cursor = c->at;

    /* A page that native sockets get in this form leaves nothing out: see is_plain(). */
    if (!is_native)
        attach->is_between = true;
    for (size_t i = 0; i < n && attach->catchup; i++) {
        if (!is_native && !is_for_old(entries[i], attach, now_us))
            continue;
        cursor = entries[i]->updated_seq;
        give_entry(c, entries[i], has_cursor ? cursor : 0);
    }
    if (!is_native)
        attach->is_between = more;
    if (has_cursor && cursor < to)
        attach_send(attach, 0, to, slice_of(NULL, 0));
}

void catchup_wait_for_more(struct catchup *c)
{
    const struct attach *attach = c->attach;
    struct msg msg = {.type = MSG_PAGED,
                      .PAGED = {.attach = attach->number, .epoch = attach->epoch}};

    c->is_waiting = true;
    gate_send(attach->gate, &msg);
}

void catchup_give_page(struct catchup *c, struct entry *const *entries, size_t n, uint64_t to,
                       bool more)
{
    struct attach *attach = c->attach;
    struct shard_metrics *metrics = attach->room->host->metrics;

    metrics->resume_events += n;
    if (c->kind == CATCHUP_REPLAY ||
        ((attach->flags & ATTACH_NATIVE) && (c->is_renamed || !is_plain(c, entries, n, to))))
        give_replay(c, entries, n, to, more);
    else
        give_live(c, entries, n, to, more);
    if (!attach->catchup)
        return; /* could not be sent */
    c->at = to;
    if (more) {
        metrics->resume_paged++;
        catchup_wait_for_more(c);
        return;
    }
    metrics->resume_full++;
    catchup_finish(c);
}

void catchup_give_snapshot(struct catchup *c, struct entry *const *entries, size_t n,
                           uint64_t head, bool has_more)
{
    struct attach *attach = c->attach;
    struct room_host *room = attach->room;
    struct frame_page page = page_of(c, entries, n, head, has_more);
    struct frame_range range = {.from_seq = head, .to_seq = head, .is_reset = true};
    struct buf *json = &room->host->json;
    bool is_old_reattach =
        (attach->flags & ATTACH_REATTACH) && !(attach->flags & ATTACH_NATIVE);

    buf_clear(json);
    if (c->is_reset && !is_old_reattach)
        frame_replay(json, &page, &range);
    else
        frame_snapshot(json, &page, c->is_reset || (attach->flags & ATTACH_AS_REPLAY));
    /* Never 0, which would leave the gateway without a cursor: a catch-up that is cut by the
     * end of this process would start as if nothing had been shown. Entry 1 as it was made is
     * in the snapshot. */
    send_frame(c, buf_slice(json), c->has_reach ? MAX(c->reach, 1u) : head, true);
    if (!attach->catchup)
        return;
    if (c->has_reach) {
        c->kind = CATCHUP_CHANGES;
        c->at = c->reach;
        c->known = head;
        c->is_doubted = head > room->seq;
        catchup_wait_for_more(c);
        return;
    }
    c->at = head;
    catchup_finish(c);
}
