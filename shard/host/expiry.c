/*
 * expiry.c - see expiry.h. Every shard asks for all that is due and takes what it
 * owns; a message stays due until it is buried, so nothing is kept in mind and a
 * step that fails is simply met again.
 *
 *   due --> room active --> message found --> EXPIRE queued --> settled
 */
#include "shard/host/expiry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/host/find.h"
#include "shard/host/room_host.h"
#include "shard/metrics.h"

/* One message on its way. */
struct work {
    struct room_request request;
    struct room_wait wait;
    struct list link;      /* expiry.works */
    struct expiry *expiry; /* NULL: gone */
    struct host *host;
    struct find *find;
    bool is_committing; /* the committer holds it */
    uint64_t seq;
    int64_t id;
    struct slice project, room;
    char bytes[];
};

struct expiry {
    struct host *host; /* NULL: gone, only the store's answer is awaited */
    bool is_asking;
    struct list works;
    size_t n_works;
};

static void work_free(struct work *work)
{
    list_del(&work->link);
    list_del(&work->wait.link);
    find_cancel(work->find);
    if (work->expiry)
        work->expiry->n_works--;
    free(work);
}

static void on_settled(struct room_request *request, const struct commit_result *result)
{
    struct work *work = container_of(request, struct work, request);

    if (work->expiry && result->outcome == COMMIT_DONE)
        work->host->metrics->expired++;
    work_free(work);
}

static void bury(struct work *work, struct room_host *room, struct entry *entry)
{
    struct mutation what = {.kind = MUTATION_EXPIRE};
    AUTO(mutation_unref) struct mutation *mutation = mutation_new(&what);
    struct commit_push push = {
        .entry = entry, .mutation = mutation, .requester = &work->request};

    if (!mutation || committer_push(&room->queue, &push) != 0) {
        work_free(work);
        return;
    }
    work->is_committing = true;
}

static void on_found(void *arg, enum found found, struct entry *entry)
{
    struct work *work = arg;
    struct room_host *room = room_find(work->host, work->project, work->room);

    work->find = NULL;
    if (found == FOUND_YES && room && room->state == ROOM_ACTIVE)
        bury(work, room, entry);
    else
        work_free(work);
}

static void on_room(struct room_wait *wait, enum room_wait_result result,
                    struct room_host *room)
{
    struct work *work = container_of(wait, struct work, wait);
    struct entry *entry = NULL;

    if (result != ROOM_WAIT_READY) {
        work_free(work);
        return;
    }
    room_touch(room);
    if (find_in_memory(room, work->id, &entry) == FOUND_YES) {
        bury(work, room, entry);
        return;
    }
    work->find = find_start(room, work->id, on_found, work);
    if (!work->find)
        work_free(work);
}

static bool is_under_way(const struct expiry *expiry, const struct due_row *row)
{
    const struct work *work;

    list_for_each(work, &expiry->works, link)
    {
        if (work->id == row->id && slice_eq(work->project, row->project))
            return true;
    }
    return false;
}

static struct work *work_new(struct expiry *expiry, const struct due_row *row)
{
    struct work *work = calloc(1, sizeof(*work) + row->project.len + row->room.len);

    if (!work)
        return NULL;
    memcpy(work->bytes, row->project.data, row->project.len);
    memcpy(work->bytes + row->project.len, row->room.data, row->room.len);
    work->project = slice_of(work->bytes, row->project.len);
    work->room = slice_of(work->bytes + row->project.len, row->room.len);
    work->expiry = expiry;
    work->host = expiry->host;
    work->seq = row->seq;
    work->id = row->id;
    work->request.on_settled = on_settled;
    work->wait.fn = on_room;
    list_init(&work->wait.link);
    list_add_tail(&expiry->works, &work->link);
    expiry->n_works++;
    return work;
}

static void take(struct expiry *expiry, const struct due_row *row)
{
    struct host *host = expiry->host;
    char object[sizeof("room//") + 2 * ID_MAX];
    int len = snprintf(object, sizeof(object), "room/%.*s/%.*s", (int)row->project.len,
                       row->project.data, (int)row->room.len, row->room.data);
    struct room_host *room;
    struct work *work;

    room = room_find(host, row->project, row->room);
    if (is_under_way(expiry, row) ||
        (!room && (!host_owns(host, slice_of(object, (size_t)len)) ||
                   moves_may_be_elsewhere(&host->moves, slice_of(object, (size_t)len)))))
        return;
    work = work_new(expiry, row);
    room = work ? room_open(expiry->host, row->project, row->room) : NULL;
    if (room)
        room_when_active(room, &work->wait);
    else if (work)
        work_free(work);
}

static void on_due(void *arg, enum store_result result, const struct due_row *rows, size_t n)
{
    struct expiry *expiry = arg;

    expiry->is_asking = false;
    if (!expiry->host) {
        free(expiry);
        return;
    }
    for (size_t i = 0; result == STORE_OK && i < n && expiry->n_works < EXPIRY_WORKS_MAX; i++)
        take(expiry, &rows[i]);
}

void expiry_sweep(struct expiry *expiry)
{
    struct host *host = expiry->host;

    if (expiry->is_asking || expiry->n_works >= EXPIRY_WORKS_MAX || !host->ring)
        return;
    expiry->is_asking = true;
    if (host->store->ops->due(host->store, host_now_us(host), EXPIRY_DUE_MAX, on_due, expiry) <
        0)
        expiry->is_asking = false; /* the store is away: the next second asks again */
}

int expiry_new(struct host *host, struct expiry **ret_expiry)
{
    struct expiry *expiry = calloc(1, sizeof(*expiry));

    if (!expiry)
        return -ENOMEM;
    expiry->host = host;
    list_init(&expiry->works);
    *ret_expiry = expiry;
    return 0;
}

void expiry_free(struct expiry *expiry)
{
    struct work *work, *next;

    if (!expiry)
        return;
    list_for_each_safe(work, next, &expiry->works, link)
    {
        if (!work->is_committing) {
            work_free(work);
            continue;
        }
        list_del(&work->link); /* the committer gives it back */
        work->expiry = NULL;
    }
    expiry->host = NULL;
    if (!expiry->is_asking)
        free(expiry);
}
