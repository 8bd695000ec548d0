/* find.c - see find.h. */
#include "shard/host/find.h"

#include <stdlib.h>

struct find {
    struct host *host;
    uint64_t began_seq; /* of the room when the store was asked */
    find_fn fn;         /* NULL: cancelled, only the store's answer is awaited */
    void *arg;
    struct later failed; /* answers after find_start() has returned */
    struct slice project, room;
    char bytes[];
};

enum found find_in_memory(const struct room_host *room, int64_t id, struct entry **ret_entry)
{
    const struct tail *tail = &room->tail;
    struct entry *e = tail_find_id(tail, id);
    size_t first;

    if (e && e->kind != ENTRY_MESSAGE)
        return FOUND_NO;
    if (e) {
        *ret_entry = e;
        return FOUND_YES;
    }
    /* Ids rise with seq, and nothing is missing above the floor. */
    first = tail_index_after(tail, tail->seq_floor);
    if (tail->seq_floor == 0 || (first < tail->count && tail_at(tail, first)->id < id))
        return FOUND_NO;
    return FOUND_UNKNOWN;
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

static void on_entry(void *arg, enum store_result result, struct slice room,
                     struct entry *entry)
{
    (void)room;
    if (result == STORE_OK)
        finish(arg, entry->kind == ENTRY_MESSAGE ? FOUND_YES : FOUND_NO, entry);
    else
        finish(arg, result == STORE_NOT_FOUND ? FOUND_NO : FOUND_UNKNOWN, NULL);
}

struct find *find_start(struct room_host *room, int64_t id, find_fn fn, void *arg)
{
    struct find *f = calloc(1, sizeof(*f) + room->project.len + room->id.len);
    struct find_query query;

    if (!f)
        return NULL;
    f->host = room->host;
    f->began_seq = room->seq;
    f->fn = fn;
    f->arg = arg;
    memcpy(f->bytes, room->project.data, room->project.len);
    memcpy(f->bytes + room->project.len, room->id.data, room->id.len);
    f->project = slice_of(f->bytes, room->project.len);
    f->room = slice_of(f->bytes + room->project.len, room->id.len);
    later_init(&f->failed, on_failed, f);
    query = (struct find_query){.project = f->project, .room = f->room, .id = id};
    if (f->host->store->ops->find(f->host->store, &query, on_entry, f) < 0)
        env_later(room->host->env, &f->failed);
    return f;
}

void find_cancel(struct find *find)
{
    if (find)
        find->fn = NULL;
}
