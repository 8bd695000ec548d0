/*
 * find.c - see find.h. The id, if it exists, belongs to a message with
 * low < seq <= high; each step asks for the first message above the middle.
 */
#include "shard/host/find.h"

#include <stdlib.h>

struct find {
    struct host *host;
    struct store *store;
    uint64_t began_seq; /* of the room when the store was asked */
    find_fn fn;         /* NULL: cancelled, only the store's answer is awaited */
    void *arg;
    int64_t id;
    uint64_t low, high, middle;
    struct later failed; /* answers after find_start() has returned */
    struct slice project, room;
    char bytes[];
};

enum found find_in_memory(const struct room_host *room, int64_t id, struct entry **ret_entry)
{
    const struct tail *tail = &room->tail;
    struct entry *e = tail_find_id(tail, id);

    if (e && e->kind != ENTRY_MESSAGE)
        return FOUND_NO;
    if (e) {
        *ret_entry = e;
        return FOUND_YES;
    }
    /* Ids rise with seq: behind one that is here and above the floor nothing is missing. */
    for (size_t i = tail_index_after(tail, tail->seq_floor); i < tail->count; i++)
        return tail_at(tail, i)->id < id || tail->seq_floor == 0 ? FOUND_NO : FOUND_UNKNOWN;
    return tail->seq_floor == 0 ? FOUND_NO : FOUND_UNKNOWN;
}

/* What the store has said may be old by now: changes that were released meanwhile are in
 * memory, unless there were so many that they have left it again. */
static void finish(struct find *f, enum found found, struct entry *entry)
{
    struct room_host *room =
        f->fn && found == FOUND_YES ? room_find(f->host, f->project, f->room) : NULL;

    if (room && room->state == ROOM_ACTIVE) {
        struct entry *newer = tail_find_seq(&room->tail, entry->seq);

        if (newer)
            entry = newer;
        else if (room->tail.floor > f->began_seq)
            found = FOUND_UNKNOWN;
    } else if (found == FOUND_YES) {
        found = FOUND_UNKNOWN;
    }
    if (f->fn)
        f->fn(f->arg, found, found == FOUND_YES ? entry : NULL);
    free(f);
}

static void on_failed(struct later *later, void *arg)
{
    (void)later;
    finish(arg, FOUND_UNKNOWN, NULL);
}

static void on_page(void *arg, enum store_result result, const struct page *page);

static int step(struct find *f)
{
    struct page_query query = {
        .project = f->project, .room = f->room, .kind = PAGE_AFTER_SEQ, .limit = 1};

    f->middle = f->low + (f->high - f->low) / 2;
    query.seq = f->middle;
    return f->store->ops->page(f->store, &query, on_page, f);
}

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct find *f = arg;
    struct entry *e = NULL;

    if (result != STORE_OK || !f->fn) {
        finish(f, FOUND_UNKNOWN, NULL);
        return;
    }
    if (page->n_entries > 0 && page->entries[0]->seq <= f->high)
        e = page->entries[0];
    if (e && e->id == f->id) {
        finish(f, e->kind == ENTRY_MESSAGE ? FOUND_YES : FOUND_NO, e);
        return;
    }
    if (e && e->id < f->id)
        f->low = e->seq;
    else
        f->high = f->middle;
    if (f->low >= f->high)
        finish(f, FOUND_NO, NULL);
    else if (step(f) < 0)
        finish(f, FOUND_UNKNOWN, NULL);
}

struct find *find_start(struct room_host *room, int64_t id, find_fn fn, void *arg)
{
    struct find *f = calloc(1, sizeof(*f) + room->project.len + room->id.len);

    if (!f)
        return NULL;
    f->host = room->host;
    f->store = room->host->store;
    f->began_seq = room->seq;
    f->fn = fn;
    f->arg = arg;
    f->id = id;
    f->high = room->tail.seq_floor;
    memcpy(f->bytes, room->project.data, room->project.len);
    memcpy(f->bytes + room->project.len, room->id.data, room->id.len);
    f->project = slice_of(f->bytes, room->project.len);
    f->room = slice_of(f->bytes + room->project.len, room->id.len);
    later_init(&f->failed, on_failed, f);
    if (step(f) < 0)
        env_later(room->host->env, &f->failed);
    return f;
}

void find_cancel(struct find *find)
{
    if (find)
        find->fn = NULL;
}
