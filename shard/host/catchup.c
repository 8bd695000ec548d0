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
 * An old client has no cursor. Where it may have been before (old.h), its snapshot
 * reaches back to there and is followed, page by page, by what has changed since.
 *
 * A cursor above our head is nonsense, or proof that somebody else has owned the
 * room since (we were stopped for a while): the room's row tells which. So is a snapshot
 * above it that changes are to follow: without what is between, they would end too early.
 */
#include "shard/host/catchup_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/broken.h"
#include "common/base/log.h"
#include "shard/host/newest.h"
#include "shard/host/old.h"
#include "shard/host/op.h"
#include "shard/limits.h"
#include "shard/metrics.h"

static void step(struct catchup *c);

/* ---- life ---- */

static void free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

void catchup_release(struct catchup *c)
{
    struct env *env = c->attach->room->host->env;

    env_timer_cancel(env, &c->retry);
    list_del(&c->in_pace);
    c->attach->catchup = NULL;
    c->attach = NULL;
    c->op = NULL;
    if (!c->is_reading)
        env_free_later(env, &c->dead);
}

void catchup_cancel(struct attach *attach)
{
    if (attach->catchup)
        catchup_release(attach->catchup);
}

static void on_retry(struct timer *timer, void *arg)
{
    (void)timer;
    catchup_run(arg);
}

static struct catchup *catchup_new(struct attach *attach)
{
    struct catchup *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->attach = attach;
    c->pace = attach->gate->host->pace;
    list_init(&c->in_pace);
    timer_init(&c->retry, on_retry, c);
    later_init(&c->dead, free_now, c);
    attach->catchup = c;
    return c;
}

/* ---- from memory ---- */

/* How many of the first n entries fit into a page. At least one. A replay tells each twice, as
 * event and as message. */
static size_t fit(const struct catchup *c, struct entry *const *entries, size_t n)
{
    size_t max_bytes = c->attach->flags & ATTACH_NATIVE || c->kind == CATCHUP_REPLAY
                           ? PAGE_MAX_BYTES / 2
                           : PAGE_MAX_BYTES;
    size_t bytes = 0, i;

    for (i = 0; i < n; i++) {
        bytes += entry_size(entries[i]);
        if (i > 0 && bytes > max_bytes)
            break;
    }
    return i;
}

static uint32_t page_entries(const struct catchup *c)
{
    uint32_t n = c->attach->room->host->config.page_entries;

    return n > 0 ? MIN(n, (uint32_t)RESUME_PAGE) : RESUME_PAGE;
}

static void page_from_tail(struct catchup *c)
{
    const struct room_host *room = c->attach->room;
    const struct tail *tail = &room->tail;
    struct entry *entries[RESUME_PAGE];
    uint32_t at = tail_touched_after(tail, c->at);
    size_t n = 0, fits;
    uint64_t to = MAX(room->seq, c->at);

    for (; n < page_entries(c) && at != TAIL_NONE; at = tail_next(tail, at))
        entries[n++] = tail_touched(tail, at);
    fits = fit(c, entries, n);
    if (n > 0 && (fits < n || at != TAIL_NONE))
        to = entries[fits - 1]->updated_seq;
    catchup_give_page(c, entries, fits, to, to < room->seq);
}

/* Messages that the snapshot may need. */
static uint32_t snapshot_limit(const struct catchup *c)
{
    uint32_t limit = c->attach->replay_limit;

    if (!c->has_reach)
        return limit;
    return (uint32_t)MIN(MAX(c->attach->room->seq - c->reach, limit), SNAPSHOT_REACH_MAX);
}

static struct newest newest_for(const struct catchup *c)
{
    const struct attach *attach = c->attach;

    return (struct newest){.limit = attach->replay_limit,
                           .viewer = attach->user,
                           .now_us = host_now_us(attach->room->host),
                           .tail = &attach->room->tail,
                           .has_reach = c->has_reach,
                           .reach = c->reach};
}

static void snapshot_from_tail(struct catchup *c)
{
    struct room_host *room = c->attach->room;
    struct newest newest = newest_for(c);

    newest_from_tail(&newest, &room->tail, 0);
    catchup_give_snapshot(c, newest_entries(&newest), newest.n, room->seq,
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
    return newest_is_full(&newest, tail->seq_floor);
}

/* ---- from the store ---- */

static void retry_later(struct catchup *c)
{
    struct env *env = c->attach->room->host->env;

    c->retry_ms = c->retry_ms ? MIN(c->retry_ms * 2, STORE_RETRY_MAX_MS) : STORE_RETRY_MIN_MS;
    if (env_timer(env, &c->retry, env_jitter_ms(env, c->retry_ms)) < 0)
        catchup_fail(c);
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
    catchup_give_snapshot(c, newest_entries(&newest), newest.n, MAX(page->head, room->seq),
                          newest.is_cut || page->more);
}

static void changes_from_page(struct catchup *c, const struct page *page)
{
    size_t n = fit(c, page->entries, page->n_entries);
    bool is_whole = n == page->n_entries && !page->more;
    uint64_t to = is_whole ? MAX(page->head, c->at) : page->entries[n - 1]->updated_seq;

    catchup_give_page(c, page->entries, n, to, !is_whole || to < c->attach->room->seq);
}

static void take_page(struct catchup *c, enum store_result result, const struct page *page)
{
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
        catchup_fail(c);
        return;
    }
}

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct catchup *c = arg;
    struct pace *pace = c->pace;
    struct gate *gate = c->attach ? c->attach->gate : NULL;
    uint64_t before = gate ? gate->pace.sent : 0;

    c->is_reading = false;
    if (gate) {
        take_page(c, result, page);
        pace_given(pace, gate, before);
    } else {
        free(c);
    }
    pace_read_ended(pace);
}

static void read_page(struct catchup *c)
{
    const struct room_host *room = c->attach->room;
    struct store *store = room->host->store;
    struct page_query query = {.project = room->project, .room = room->id};
    int r;

    if (!pace_may_read(c->pace, c))
        return;
    if (c->kind == CATCHUP_SNAPSHOT) {
        query.kind = PAGE_BEFORE_SEQ;
        query.seq = INT64_MAX; /* the largest that the store's column holds */
        query.limit = snapshot_limit(c);
        query.live_messages_only = true;
        query.viewer = c->attach->user;
    } else {
        query.kind = PAGE_CHANGED_AFTER;
        query.seq = c->at;
        query.limit = page_entries(c);
    }
    c->is_reading = true;
    r = store->ops->page(store, &query, on_page, c);
    if (r < 0) {
        c->is_reading = false;
        pace_read_ended(c->pace);
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

/* The room has caught up with what the socket knows. */
static bool is_reached(const struct catchup *c)
{
    return MAX(c->at, c->known) <= c->attach->room->seq;
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
    if (!is_reached(c))
        reset(c);
    step(c);
}

static void ask_fence(struct catchup *c)
{
    const struct room_host *room = c->attach->room;
    struct store *store = room->host->store;
    struct fence_probe probe = {.project = room->project, .room = room->id};

    if (is_reached(c)) {
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

    if (!generations_know(&room->generations, generation, last_seq) ||
        last_seq < room->resume_floor) {
        reset(c);
        return;
    }
    c->kind = kind;
    c->at = IS_BROKEN(BREAK_REPLAY) ? MIN(last_seq + 1, MAX(room->seq, last_seq)) : last_seq;
    /* Below a cursor where a catch-up was cut may be what its next page would have brought, as
     * it had changed: an old socket may not know any of it. */
    c->known = old_was_cut(c->attach) ? 0 : last_seq;
    c->is_doubted = last_seq > room->seq + room->queue.n_items;
    c->is_renamed =
        generation.len > 0 && !generations_is_current(&room->generations, generation);
}

static void begin(struct catchup *c)
{
    struct attach *attach = c->attach;
    struct slice generation = slice_of(attach->given_generation, attach->given_generation_len);

    c->has_begun = true;
    if ((attach->flags & ATTACH_SUBSCRIBE) && !(attach->flags & ATTACH_REATTACH))
        catchup_say_subscribed(attach, 0, 0);
    if ((attach->flags & ATTACH_CACHE) && !(attach->flags & ATTACH_REATTACH))
        send_cached(attach);
    if (!attach->catchup)
        return; /* could not be sent */
    if (attach->flags & ATTACH_REATTACH) {
        set_cursor(c, CATCHUP_LIVE, attach->last_seq, generation);
    } else if (old_missed(attach, &c->reach)) {
        c->has_reach = true;
        attach->room->host->metrics->reach_returns++;
    } else if ((attach->flags & ATTACH_HAS_SEQ) && !old_was_cut(attach)) {
        set_cursor(c, CATCHUP_REPLAY, attach->last_seq, generation);
    } else if (attach->flags & ATTACH_NO_REPLAY) {
        c->at = attach->room->seq;
        catchup_finish(c);
        return;
    }
    if (attach->flags & ATTACH_PAUSED)
        catchup_wait_for_more(c);
    else
        step(c);
}

void catchup_run(struct catchup *c)
{
    struct gate *gate = c->attach->gate;
    struct pace *pace = c->pace;
    uint64_t before = gate->pace.sent;

    if (c->has_begun)
        step(c);
    else
        begin(c);
    pace_given(pace, gate, before);
}

int catchup_start(struct attach *attach)
{
    struct catchup *c = catchup_new(attach);

    if (!c)
        return -ENOMEM;
    pace_enter(c->pace, c);
    return 0;
}

int catchup_resume(struct attach *attach, struct op *op, uint64_t last_seq,
                   struct slice generation)
{
    struct catchup *c = catchup_new(attach);

    if (!c)
        return -ENOMEM;
    c->op = op;
    c->has_begun = true;
    set_cursor(c, CATCHUP_REPLAY, last_seq, generation);
    pace_enter(c->pace, c);
    return 0;
}

void catchup_on_settled(struct attach *attach)
{
    if (attach->catchup && attach->catchup->is_queued)
        catchup_run(attach->catchup);
}

void catchup_more(struct catchup *catchup)
{
    if (!catchup->is_waiting)
        return;
    catchup->is_waiting = false;
    pace_enter(catchup->pace, catchup);
}
