/*
 * catchup.c - what a socket has missed. See catchup.h.
 *
 * The seam: a page from the store carries the head H of its snapshot; what has
 * been released above H meanwhile is in the tail, and is given in the same turn
 * in which the socket becomes live. So nothing is given twice or left out.
 *
 *     start --> step --tail reaches--> give page --more--> PAGED, wait for MORE --> step
 *                 |                        |
 *                 +--store: reading------->+--caught up--> finish
 *
 * A cursor above our head is nonsense, or proof that somebody else has owned the
 * room since (we were stopped for a while): the room's row tells which.
 */
#include "shard/host/catchup.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "shard/host/frame_in.h"
#include "shard/host/newest.h"
#include "shard/host/op.h"
#include "shard/host/token_stream.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/room/reactions.h"

enum catchup_kind {
    CATCHUP_SNAPSHOT, /* the newest messages */
    CATCHUP_REPLAY,   /* replay frames from a cursor */
    CATCHUP_LIVE,     /* the frames that a live socket would have got */
};

struct catchup {
    struct attach *attach; /* NULL: gone, only the store's answer is awaited */
    struct op *op;         /* of the `resume` frame; NULL: on connect */
    enum catchup_kind kind;
    bool is_reset;   /* the cursor could not be resumed */
    bool is_doubted; /* the cursor is above our head: the row must say that we still own the
                        room */
    bool is_reading; /* a store call is open */
    bool is_waiting; /* for MORE */
    bool is_queued;  /* until the frames before the `resume` are settled */
    uint64_t began;  /* the cursor it came with */
    uint64_t at;     /* the socket has been given everything up to here */
    uint64_t retry_ms;
    struct timer retry;
    struct later dead;
};

static void step(struct catchup *c);

/* ---- life ---- */

static void free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

/* Ends the catchup's tie to its attach; the memory goes when nobody can hold it any more. */
static void release(struct catchup *c)
{
    struct env *env = c->attach->room->host->env;

    env_timer_cancel(env, &c->retry);
    c->attach->catchup = NULL;
    c->attach = NULL;
    c->op = NULL;
    if (!c->is_reading)
        env_free_later(env, &c->dead);
}

void catchup_cancel(struct attach *attach)
{
    if (attach->catchup)
        release(attach->catchup);
}

static void on_retry(struct timer *timer, void *arg)
{
    (void)timer;
    step(arg);
}

static struct catchup *catchup_new(struct attach *attach)
{
    struct catchup *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->attach = attach;
    timer_init(&c->retry, on_retry, c);
    later_init(&c->dead, free_now, c);
    attach->catchup = c;
    return c;
}

/* ---- what goes out ---- */

static struct frame_page page_of(const struct catchup *c, struct entry *const *entries,
                                 size_t n, uint64_t current_seq, bool has_more)
{
    const struct room_host *room = c->attach->room;

    return (struct frame_page){.room = room->id,
                               .generation = room->generation_text,
                               .entries = entries,
                               .n_entries = n,
                               .current_seq = current_seq,
                               .viewer = c->attach->user,
                               .now_us = host_now_us(room->host),
                               .has_more = has_more};
}

/* Gives up: the socket is closed (connect), or the resume is answered with an error. */
static void fail(struct catchup *c)
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
    release(c);
    op_settle(op, buf_slice(&room->host->json), slice_of(NULL, 0));
    frames_run_held(attach);
}

static void send_subscribed(struct attach *attach, uint64_t at)
{
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_subscription_succeeded(json, room->id, attach->socket_id, room->generation_text,
                                 MAX(at, room->seq), &room->roster);
    attach_send(attach, 0, 0, buf_slice(json));
}

static void finish(struct catchup *c)
{
    struct attach *attach = c->attach;
    uint64_t at = c->at;
    bool was_resume = c->op != NULL;

    release(c);
    if (was_resume) {
        frames_run_held(attach);
        return;
    }
    token_streams_tell(attach);
    if (!(attach->flags & (ATTACH_REATTACH | ATTACH_SUBSCRIBE)))
        send_subscribed(attach, at);
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

    buf_clear(json);
    frame_replay(json, &page, &range);
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

/* An old socket had the entry: what it has become, by frames that it knows. */
static void give_changed(struct catchup *c, struct entry *e)
{
    struct attach *attach = c->attach;
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;

    buf_clear(json);
    if (e->deleted_us)
        frame_delete(json, room->id, e, slice_of(NULL, 0));
    else
        frame_edit(json, room->id, e);
    attach_send(attach, 0, e->updated_seq, buf_slice(json));
    if (!e->deleted_us)
        give_reactions(c, e);
}

/* The socket has not had the entry when the catch-up began. A page before may have brought it,
 * or have left it to this one because it has changed: then an old socket is told both ways. */
static void give_new(struct catchup *c, struct entry *e)
{
    struct attach *attach = c->attach;
    struct room_host *room = attach->room;
    struct buf *json = &room->host->json;

    if (!e->deleted_us) {
        buf_clear(json);
        frame_entry(json, room->id, e);
        attach_send(attach, 0, e->updated_seq, buf_slice(json));
    }
    if (e->seq <= c->at)
        give_changed(c, e);
    else
        give_reactions(c, e);
}

static bool is_for_old(const struct entry *e, const struct attach *attach, int64_t now_us)
{
    if (frame_is_native(e) || !entry_is_visible(e, attach->user))
        return false;
    return e->kind != ENTRY_MESSAGE || e->deleted_us || entry_is_live(e, now_us);
}

static void give_live(struct catchup *c, struct entry *const *entries, size_t n, uint64_t to)
{
    struct attach *attach = c->attach;
    struct room_host *room = attach->room;
    bool is_native = attach->flags & ATTACH_NATIVE;
    int64_t now_us = host_now_us(room->host);
    uint64_t cursor = c->at;

    for (size_t i = 0; i < n; i++) {
        if (!is_native && !is_for_old(entries[i], attach, now_us))
            continue;
        if (entries[i]->seq <= c->began)
            give_changed(c, entries[i]);
        else
            give_new(c, entries[i]);
        cursor = entries[i]->updated_seq;
    }
    if (cursor < to)
        attach_send(attach, 0, to, slice_of(NULL, 0));
}

/* Entries with c->at < updated_seq <= to; more: this is not the head yet. */
static void give_page(struct catchup *c, struct entry *const *entries, size_t n, uint64_t to,
                      bool more)
{
    struct attach *attach = c->attach;
    struct shard_metrics *metrics = attach->room->host->metrics;
    struct msg msg = {.type = MSG_PAGED,
                      .PAGED = {.attach = attach->number, .epoch = attach->epoch}};

    metrics->resume_events += n;
    if (c->kind == CATCHUP_REPLAY ||
        ((attach->flags & ATTACH_NATIVE) && !is_plain(c, entries, n, to)))
        give_replay(c, entries, n, to, more);
    else
        give_live(c, entries, n, to);
    if (!attach->catchup)
        return; /* could not be sent */
    c->at = to;
    if (more) {
        metrics->resume_paged++;
        c->is_waiting = true;
        gate_send(attach->gate, &msg);
        return;
    }
    metrics->resume_full++;
    finish(c);
}

static void give_snapshot(struct catchup *c, struct entry *const *entries, size_t n,
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
    send_frame(c, buf_slice(json), head, true);
    if (!attach->catchup)
        return;
    c->at = head;
    finish(c);
}

/* ---- from memory ---- */

/* How many of the first n entries fit into a page. At least one. */
static size_t fit(struct entry *const *entries, size_t n)
{
    size_t bytes = 0, i;

    for (i = 0; i < n && i < RESUME_PAGE; i++) {
        bytes += entry_size(entries[i]);
        if (i > 0 && bytes > PAGE_MAX_BYTES)
            break;
    }
    return i;
}

static void page_from_tail(struct catchup *c)
{
    const struct room_host *room = c->attach->room;
    const struct tail *tail = &room->tail;
    struct entry *entries[RESUME_PAGE];
    uint32_t at = tail_touched_after(tail, c->at);
    size_t n = 0, fits;
    uint64_t to = MAX(room->seq, c->at);

    for (; n < RESUME_PAGE && at != TAIL_NONE; at = tail_next(tail, at))
        entries[n++] = tail_touched(tail, at);
    fits = fit(entries, n);
    if (n > 0 && (fits < n || at != TAIL_NONE))
        to = entries[fits - 1]->updated_seq;
    give_page(c, entries, fits, to, to < room->seq);
}

static struct newest newest_for(const struct catchup *c)
{
    const struct attach *attach = c->attach;

    return (struct newest){.limit = attach->replay_limit,
                           .viewer = attach->user,
                           .now_us = host_now_us(attach->room->host),
                           .tail = &attach->room->tail};
}

static void snapshot_from_tail(struct catchup *c)
{
    struct room_host *room = c->attach->room;
    struct newest newest = newest_for(c);

    newest_from_tail(&newest, &room->tail, 0);
    give_snapshot(c, newest_entries(&newest), newest.n, room->seq,
                  newest.is_cut || room->tail.seq_floor > 0);
}

/* The tail alone fills the snapshot, or there is nothing below it. */
static bool tail_has_snapshot(const struct catchup *c)
{
    const struct tail *tail = &c->attach->room->tail;
    struct newest newest = newest_for(c);

    if (tail_has_seqs(tail, 0))
        return true;
    newest_from_tail(&newest, tail, 0);
    return newest.is_cut || newest.n == newest.limit;
}

/* ---- from the store ---- */

static void retry_later(struct catchup *c)
{
    struct env *env = c->attach->room->host->env;

    c->retry_ms = c->retry_ms ? MIN(c->retry_ms * 2, STORE_RETRY_MAX_MS) : STORE_RETRY_MIN_MS;
    if (env_timer(env, &c->retry, env_jitter_ms(env, c->retry_ms)) < 0)
        fail(c);
}

static void snapshot_from_page(struct catchup *c, const struct page *page)
{
    struct room_host *room = c->attach->room;
    struct newest newest = newest_for(c);

    if (!tail_covers(&room->tail, page->head)) {
        step(c); /* more has been released meanwhile than the tail holds */
        return;
    }
    newest_from_tail(&newest, &room->tail, page->head);
    for (size_t i = 0; i < page->n_entries; i++) {
        if (!newest_add(&newest, page->entries[i]))
            break;
    }
    give_snapshot(c, newest_entries(&newest), newest.n, MAX(page->head, room->seq),
                  newest.is_cut || page->more);
}

static void changes_from_page(struct catchup *c, const struct page *page)
{
    size_t n = fit(page->entries, page->n_entries);
    bool is_whole = n == page->n_entries && !page->more;
    uint64_t to = is_whole ? MAX(page->head, c->at) : page->entries[n - 1]->updated_seq;

    give_page(c, page->entries, n, to, !is_whole || to < c->attach->room->seq);
}

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct catchup *c = arg;

    c->is_reading = false;
    if (!c->attach) {
        free(c);
        return;
    }
    switch (result) {
    case STORE_OK:
        c->retry_ms = 0;
        if (c->kind == CATCHUP_SNAPSHOT)
            snapshot_from_page(c, page);
        else
            changes_from_page(c, page);
        return;
    case STORE_UNAVAILABLE:
    case STORE_UNKNOWN:
        retry_later(c);
        return;
    case STORE_NOT_FOUND:
    case STORE_BAD_DATA:
    case STORE_FAILED:
        fail(c);
        return;
    }
}

static void read_page(struct catchup *c)
{
    const struct room_host *room = c->attach->room;
    struct store *store = room->host->store;
    struct page_query query = {.project = room->project, .room = room->id};
    int r;

    if (c->kind == CATCHUP_SNAPSHOT) {
        query.kind = PAGE_BEFORE_SEQ;
        query.seq = INT64_MAX; /* the largest that the store's column holds */
        query.limit = c->attach->replay_limit;
        query.live_messages_only = true;
        query.viewer = c->attach->user;
    } else {
        query.kind = PAGE_CHANGED_AFTER;
        query.seq = c->at;
        query.limit = RESUME_PAGE;
    }
    c->is_reading = true;
    r = store->ops->page(store, &query, on_page, c);
    if (r < 0) {
        c->is_reading = false;
        retry_later(c);
    }
}

/* ---- a cursor above our head ---- */

static void reset(struct catchup *c)
{
    c->attach->room->host->metrics->resume_reset++;
    c->kind = CATCHUP_SNAPSHOT;
    c->is_reset = true;
}

static void on_fence(void *arg, enum store_result result, const struct fence_state *rows)
{
    struct catchup *c = arg;
    struct room_host *room;

    c->is_reading = false;
    if (!c->attach) {
        free(c);
        return;
    }
    room = c->attach->room;
    if (result == STORE_OK && rows[0].fence != room->host->config.incarnation) {
        log_info("room has another fence", L_SLICE("room", room->object));
        room->host->metrics->moves_fence++;
        room_close(room, ROOM_END_MOVED); /* the catchup goes with its attach */
        return;
    }
    if (result != STORE_OK || rows[0].last_seq > room->seq) {
        retry_later(c); /* a commit of ours may be on its way back */
        return;
    }
    c->is_doubted = false;
    reset(c);
    step(c);
}

static void ask_fence(struct catchup *c)
{
    const struct room_host *room = c->attach->room;
    struct store *store = room->host->store;
    struct fence_probe probe = {.project = room->project, .room = room->id};

    if (c->at <= room->seq) { /* we have caught up with it meanwhile */
        c->is_doubted = false;
        step(c);
        return;
    }
    c->is_reading = true;
    if (store->ops->probe_fences(store, &probe, 1, on_fence, c) < 0) {
        c->is_reading = false;
        retry_later(c);
    }
}

/* The last page leaves when it is the op's turn. Live frames may not overtake it: to a client
 * that has seen them it would bring back what they have changed. */
static bool is_turn(const struct catchup *c)
{
    return !c->op || op_is_first(c->op);
}

static void step(struct catchup *c)
{
    bool is_snapshot = c->kind == CATCHUP_SNAPSHOT;
    bool is_here =
        is_snapshot ? tail_has_snapshot(c) : tail_covers(&c->attach->room->tail, c->at);

    c->is_queued = !is_turn(c);
    if (c->is_queued)
        return;
    if (c->is_doubted)
        ask_fence(c);
    else if (!is_here)
        read_page(c);
    else if (is_snapshot)
        snapshot_from_tail(c);
    else
        page_from_tail(c);
}

/* ---- beginning ---- */

static void send_cached(struct attach *attach)
{
    struct room_host *room = attach->room;
    struct newest newest = {
        .limit = 1, .viewer = attach->user, .now_us = host_now_us(room->host)};
    struct buf *json = &room->host->json;

    newest_from_tail(&newest, &room->tail, 0);
    if (newest.n == 0)
        return;
    buf_clear(json);
    frame_cache_snapshot(json, room->id, *newest_entries(&newest),
                         newest_entries(&newest)[0]->created_us);
    attach_send(attach, 0, 0, buf_slice(json));
}

/* A cursor is good for the numbers that we count in, and for what is still kept. What is queued
 * may have been seen already: in a page that the store read between a commit and its answer. */
static void set_cursor(struct catchup *c, enum catchup_kind kind, uint64_t last_seq,
                       struct slice generation)
{
    const struct room_host *room = c->attach->room;

    if ((generation.len > 0 && !slice_eq(generation, room->generation_text)) ||
        last_seq < room->resume_floor) {
        reset(c);
        return;
    }
    c->kind = kind;
    c->at = c->began = last_seq;
    c->is_doubted = last_seq > room->seq + room->queue.n_items;
}

int catchup_start(struct attach *attach)
{
    struct slice generation = slice_of(attach->given_generation, attach->given_generation_len);
    struct catchup *c = catchup_new(attach);

    if (!c)
        return -ENOMEM;
    if ((attach->flags & ATTACH_SUBSCRIBE) && !(attach->flags & ATTACH_REATTACH))
        send_subscribed(attach, 0);
    if ((attach->flags & ATTACH_CACHE) && !(attach->flags & ATTACH_REATTACH))
        send_cached(attach);
    if (!attach->catchup)
        return 0; /* could not be sent */
    if (attach->flags & ATTACH_REATTACH) {
        set_cursor(c, CATCHUP_LIVE, attach->last_seq, generation);
    } else if (attach->flags & ATTACH_HAS_SEQ) {
        set_cursor(c, CATCHUP_REPLAY, attach->last_seq, generation);
    } else if (attach->flags & ATTACH_NO_REPLAY) {
        c->at = attach->room->seq;
        finish(c);
        return 0;
    }
    step(c);
    return 0;
}

int catchup_resume(struct attach *attach, struct op *op, uint64_t last_seq,
                   struct slice generation)
{
    struct catchup *c = catchup_new(attach);

    if (!c)
        return -ENOMEM;
    c->op = op;
    set_cursor(c, CATCHUP_REPLAY, last_seq, generation);
    step(c);
    return 0;
}

void catchup_on_settled(struct attach *attach)
{
    if (attach->catchup && attach->catchup->is_queued)
        step(attach->catchup);
}

void catchup_more(struct catchup *catchup)
{
    if (!catchup->is_waiting)
        return;
    catchup->is_waiting = false;
    step(catchup);
}
