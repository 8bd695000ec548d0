/*
 * verb_history.c - HISTORY: pages of messages by seq or time, from the tail
 * where it holds all of the page, else from the store. See docs/protocol-client.md.
 *
 * A page "around" is two: the one up to and with the seq, then the one after it.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/limits.h"

enum history_kind { HISTORY_BEFORE_SEQ, HISTORY_BEFORE_TIME, HISTORY_AFTER, HISTORY_AROUND };

struct history {
    enum history_kind kind;
    bool is_ascending; /* in the answer */
    uint64_t seq;
    int64_t time_us;
    size_t limit;
    bool has_older; /* AROUND: the first half is here */
    /* What has been found, oldest first; owned references in the middle of an array of 2 *
     * SNAPSHOT_MAX. */
    size_t first, n;
    size_t bytes;
    bool has_more;
    bool is_full; /* no more fits */
    uint64_t head;
    struct entry *entries[2 * SNAPSHOT_MAX];
};

/* The seq that a query without a cursor goes back from: the largest that the store's column
 * holds. */
#define SEQ_NEWEST ((uint64_t)INT64_MAX)

void history_free(struct history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < history->n; i++)
        entry_unref(history->entries[history->first + i]);
    free(history);
}

/* ---- what was asked ---- */

static bool has(const struct json_fields *f, const char *name)
{
    const json_t *v = json_object_get(f->object, name);

    return v && !json_is_null(v);
}

static void read_cursor(struct history *h, struct json_fields *f)
{
    static const struct {
        const char *name;
        enum history_kind kind;
    } cursors[] = {
        {"beforeSeq", HISTORY_BEFORE_SEQ},
        {"afterSeq", HISTORY_AFTER},
        {"aroundSeq", HISTORY_AROUND},
    };
    struct slice before = json_get_str_opt(f, "before", 1, TIME_TEXT_MAX, ERROR_invalid_cursor);
    size_t n = before.data != NULL;

    h->kind = HISTORY_BEFORE_SEQ;
    h->seq = SEQ_NEWEST;
    if (before.data) {
        h->kind = HISTORY_BEFORE_TIME;
        if (time_parse(before, &h->time_us) < 0)
            json_fields_fail(f, ERROR_invalid_cursor, "before must be an RFC 3339 time");
    }
    for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
        if (!has(f, cursors[i].name))
            continue;
        n++;
        h->kind = cursors[i].kind;
        h->seq =
            (uint64_t)json_get_int(f, cursors[i].name, 0, INT64_MAX - 1, ERROR_invalid_cursor);
    }
    if (n > 1)
        json_fields_fail(f, ERROR_invalid_cursor, "only one cursor may be given");
}

static void read_params(struct history *h, struct json_fields *f)
{
    struct slice order = json_get_str_opt(f, "order", 1, ID_MAX, ERROR_bad_request);

    h->limit = (size_t)json_get_int_opt(f, "limit", SNAPSHOT_DEFAULT, 1, SNAPSHOT_MAX,
                                        ERROR_invalid_limit);
    h->is_ascending = slice_eq(order, SLICE_LIT("asc"));
    if (order.data && !h->is_ascending && !slice_eq(order, SLICE_LIT("desc")))
        json_fields_fail(f, ERROR_bad_request, "order must be asc or desc");
    read_cursor(h, f);
    h->first = SNAPSHOT_MAX;
}

/* ---- collecting ---- */

static bool is_shown(const struct call *call, const struct entry *e)
{
    return entry_is_live(e, host_now_us(call->host)) && entry_is_visible(e, call->user);
}

/* Adds at one end; false when the page is full or the limit of this half is reached. */
static bool add(struct call *call, struct entry *e, bool at_end, size_t limit)
{
    struct history *h = call->verb.history;

    if (!is_shown(call, e))
        return true;
    if (h->n >= limit || (h->n > 0 && h->bytes + entry_size(e) > PAGE_MAX_BYTES)) {
        h->is_full = true;
        return false;
    }
    if (!at_end)
        h->first--;
    h->entries[at_end ? h->first + h->n : h->first] = entry_ref(e);
    h->bytes += entry_size(e);
    h->n++;
    return true;
}

/* How many messages the part that is read now may bring the page to. */
static size_t part_limit(const struct history *h)
{
    if (h->kind != HISTORY_AROUND || h->has_older)
        return h->limit;
    return (h->limit + 1) / 2;
}

static bool is_forward(const struct history *h)
{
    return h->kind == HISTORY_AFTER || (h->kind == HISTORY_AROUND && h->has_older);
}

static void reply(struct call *call)
{
    struct history *h = call->verb.history;
    struct room_host *room = room_find(call->host, call->project, call->room_id);
    struct buf *body = &call->host->json;
    struct frame_page page = {.room = call->room_id,
                              .entries = h->entries + h->first,
                              .n_entries = h->n,
                              .current_seq = h->head,
                              .viewer = call->user,
                              .now_us = host_now_us(call->host),
                              .has_more = h->has_more};

    if (!room || room->state != ROOM_ACTIVE) { /* it may be of another generation by now */
        call_moved(call);
        return;
    }
    page.generation = room_generation(room);
    for (size_t i = 0; i < h->n / 2 && !h->is_ascending; i++) {
        struct entry **a = &h->entries[h->first + i],
                     **b = &h->entries[h->first + h->n - 1 - i];
        struct entry *e = *a;

        *a = *b;
        *b = e;
    }
    buf_clear(body);
    frame_history_body(body, &page);
    call_reply_buf(call, body);
}

static void next_part(struct call *call, struct room_host *room);

static void part_done(struct call *call, bool more)
{
    struct history *h = call->verb.history;

    h->has_more = h->has_more || more || h->is_full;
    if (h->kind == HISTORY_AROUND && !h->has_older) {
        h->has_older = true;
        h->is_full = false;
        call_find_room(call); /* comes back to verb_history() for the other half */
        return;
    }
    reply(call);
}

/* ---- from memory ---- */

static bool is_before(const struct history *h, const struct entry *e)
{
    if (h->kind == HISTORY_BEFORE_TIME)
        return e->created_us < h->time_us;
    return h->kind == HISTORY_AROUND ? e->seq <= h->seq : e->seq < h->seq;
}

/* True when the tail has answered. */
static bool backward_from_tail(struct call *call, struct room_host *room)
{
    struct history *h = call->verb.history;
    const struct tail *tail = &room->tail;
    size_t found = 0, first = tail_index_after(tail, tail->seq_floor), i;

    for (i = tail->count; i > first && found <= part_limit(h); i--) {
        const struct entry *e = tail_at(tail, i - 1);

        found += is_before(h, e) && is_shown(call, e);
    }
    if (found < part_limit(h) && tail->seq_floor > 0)
        return false;
    for (i = tail->count; i > first; i--) {
        struct entry *e = tail_at(tail, i - 1);

        if (is_before(h, e) && !add(call, e, false, part_limit(h)))
            break;
    }
    part_done(call, tail->seq_floor > 0);
    return true;
}

static bool forward_from_tail(struct call *call, struct room_host *room)
{
    struct history *h = call->verb.history;
    const struct tail *tail = &room->tail;

    if (!tail_has_seqs(tail, h->seq))
        return false;
    for (size_t i = tail_index_after(tail, h->seq); i < tail->count; i++) {
        if (!add(call, tail_at(tail, i), true, part_limit(h)))
            break;
    }
    part_done(call, false);
    return true;
}

/* ---- from the store ---- */

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct call *call = arg;
    struct history *h = call->verb.history;

    if (!call_release(call))
        return;
    if (result != STORE_OK) {
        call_refuse(call, ERROR_unavailable, "", 0);
        return;
    }
    h->head = MAX(h->head, page->head);
    for (size_t i = 0; i < page->n_entries; i++) {
        if (!add(call, page->entries[i], is_forward(h), part_limit(h)))
            break;
    }
    part_done(call, page->more);
}

static void read_page(struct call *call)
{
    struct history *h = call->verb.history;
    struct store *store = call->host->store;
    struct page_query query = {.project = call->project,
                               .room = call->room_id,
                               .seq = h->seq,
                               .time_us = h->time_us,
                               .limit = (uint32_t)(part_limit(h) - h->n),
                               .live_messages_only = true,
                               .viewer = call->user};

    if (is_forward(h)) {
        query.kind = PAGE_AFTER_SEQ;
    } else if (h->kind == HISTORY_BEFORE_TIME) {
        query.kind = PAGE_BEFORE_TIME;
    } else {
        query.kind = PAGE_BEFORE_SEQ;
        query.seq += h->kind == HISTORY_AROUND;
    }
    call_hold(call);
    if (store->ops->page(store, &query, on_page, call) < 0 && call_release(call))
        call_refuse(call, ERROR_unavailable, "", 0);
}

static void next_part(struct call *call, struct room_host *room)
{
    struct history *h = call->verb.history;

    h->head = MAX(h->head, room->seq);
    if (part_limit(h) == h->n) { /* AROUND with a limit of 1 */
        part_done(call, h->seq < room->seq);
        return;
    }
    if (!(is_forward(h) ? forward_from_tail(call, room) : backward_from_tail(call, room)))
        read_page(call);
}

void verb_history(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct json_fields f = json_fields(call->params);

    if (!rules_may_read(&actor)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    if (!call->verb.history) {
        call->verb.history = calloc(1, sizeof(*call->verb.history));
        if (!call->verb.history) {
            call_refuse(call, ERROR_overloaded, "", 0);
            return;
        }
        read_params(call->verb.history, &f);
    }
    if (json_fields_failed(&f))
        call_refuse_fields(call, &f);
    else
        next_part(call, room);
}
