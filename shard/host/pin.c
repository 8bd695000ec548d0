/* pin.c - see pin.h. */
#include "shard/host/pin.h"

#include <errno.h>

#include "common/base/log.h"
#include "shard/host/find.h"
#include "shard/room/extra.h"

int pin_start(struct room_host *room, struct slice user, int64_t id, struct change_wait *wait)
{
    struct buf *extra = &room->host->json2;
    struct side_op op = {.kind = SIDE_PIN, .id = id, .actor = user};
    struct room_event event = {.kind = ENTRY_PIN, .user = user, .ops = &op, .n_ops = 1};

    buf_clear(extra);
    extra_write_pin(extra, id);
    if (buf_failed(extra))
        return -ENOMEM;
    event.extra = buf_slice(extra);
    return change_start_event(room, &event, wait);
}

static bool sets_pin(const struct commit_result *result)
{
    for (size_t i = 0; i < result->n_ops; i++) {
        if (result->ops[i].kind == SIDE_PIN)
            return true;
    }
    return false;
}

/* Who made the message go, so that the pin goes by his name. */
static struct slice culprit(const struct commit_result *result)
{
    if (result->mutation && result->mutation->actor.len > 0)
        return result->mutation->actor;
    return result->entry->user;
}

void pin_follow(struct room_host *room, const struct commit_result *result)
{
    const struct entry *e = result->entry;
    int64_t id = room->facts.pinned_id;
    struct entry *pinned = NULL;
    int r;

    if (id == 0 || !(sets_pin(result) || (e->id == id && e->deleted_us)))
        return;
    if (find_in_memory(room, id, &pinned) != FOUND_YES || !pinned->deleted_us)
        return;
    r = pin_start(room, culprit(result), 0, NULL);
    if (r < 0)
        log_warn("a deleted message stays pinned", L_SLICE("room", room->object), L_ERR(r));
}
