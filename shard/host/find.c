/*
 * find.c - see find.h. The id, if it exists, belongs to a message with
 * low < seq <= high; each step asks for the first message above the middle.
 */
#include "shard/host/find.h"

#include <stdlib.h>

struct find {
    struct store *store;
    find_fn fn; /* NULL: cancelled, only the store's answer is awaited */
    void *arg;
    int64_t id;
    uint64_t low, high, middle;
    struct later failed; /* answers after find_start() has returned */
    struct slice project, room;
    char bytes[];
};

enum found find_in_memory(const struct room_host *room, int64_t id)
{
    const struct tail *tail = &room->tail;
    size_t low = 0, high = tail->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tail_at(tail, middle)->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < tail->count && tail_at(tail, low)->id == id)
        return tail_at(tail, low)->kind == ENTRY_MESSAGE ? FOUND_YES : FOUND_NO;
    /* Between or above those that are here, or nothing is older. */
    return low > 0 || tail->floor == 0 ? FOUND_NO : FOUND_UNKNOWN;
}

static void finish(struct find *f, enum found found)
{
    if (f->fn)
        f->fn(f->arg, found);
    free(f);
}

static void on_failed(struct later *later, void *arg)
{
    (void)later;
    finish(arg, FOUND_UNKNOWN);
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
    const struct entry *e = NULL;

    if (result != STORE_OK || !f->fn) {
        finish(f, FOUND_UNKNOWN);
        return;
    }
    if (page->n_entries > 0 && page->entries[0]->seq <= f->high)
        e = page->entries[0];
    if (e && e->id == f->id) {
        finish(f, e->kind == ENTRY_MESSAGE && e->deleted_us == 0 ? FOUND_YES : FOUND_NO);
        return;
    }
    if (e && e->id < f->id)
        f->low = e->seq;
    else
        f->high = f->middle;
    if (f->low >= f->high)
        finish(f, FOUND_NO);
    else if (step(f) < 0)
        finish(f, FOUND_UNKNOWN);
}

struct find *find_start(struct room_host *room, int64_t id, find_fn fn, void *arg)
{
    struct find *f = calloc(1, sizeof(*f) + room->project.len + room->id.len);

    if (!f)
        return NULL;
    f->store = room->host->store;
    f->fn = fn;
    f->arg = arg;
    f->id = id;
    f->high = room->tail.floor;
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
