/*
 * release.c - the output gate's far side: an entry is committed, now everybody
 * may see it. In seq order: into the tail and the member list, out to the
 * gateways, then the requester's acknowledgement.
 */
#include <errno.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/wire/msg.h"
#include "shard/host/change.h"
#include "shard/host/room_host.h"
#include "shard/metrics.h"

static bool has_listeners(const struct room_host *room)
{
    struct room_gate *rg;

    list_for_each(rg, &room->gates, in_room)
    {
        if (rg->n_live > 0)
            return true;
    }
    return false;
}

/* -ENOMEM: the room's memory no longer says what the store says. */
static int take_in(struct room_host *room, const struct commit_result *result)
{
    struct entry *e = result->entry;

    room->seq = e->seq;
    tail_push(&room->tail, e);
    for (size_t i = 0; i < result->n_ops; i++) {
        const struct side_op *op = &result->ops[i];

        if (op->kind == SIDE_MEMBER &&
            members_apply(&room->members, op->user, op->role, op->at_us) < 0)
            return -ENOMEM;
        if (op->kind == SIDE_RESTRICT &&
            restrictions_put(&room->restrictions, op->user, op->muted_us, op->banned_us) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int fan_out(struct room_host *room, const struct entry *e)
{
    struct buf *json = &room->host->json;

    if (!has_listeners(room))
        return 0;
    buf_clear(json);
    frame_entry(json, room->id, e);
    if (buf_failed(json))
        return -1;
    room_fanout(room, e->seq, e->kind == ENTRY_MEMBERSHIP ? EVENT_NATIVE_ONLY : 0, NULL,
                buf_slice(json));
    return 0;
}

static void release(struct room_host *room, const struct commit_result *result)
{
    struct entry *e = result->entry;

    if (take_in(room, result) < 0 || fan_out(room, e) < 0) {
        log_error("room dropped: out of memory", L_SLICE("room", room->object));
        room->host->metrics->moves_memory++;
        room_close(room, ROOM_END_MOVED); /* its sockets come back and get what they missed */
        return;
    }
    if (e->kind == ENTRY_MESSAGE)
        room->host->metrics->messages++;
    for (size_t i = 0; i < result->n_ops; i++) {
        const struct side_op *op = &result->ops[i];

        if (op->kind == SIDE_RESTRICT || (op->kind == SIDE_MEMBER && op->role == ROLE_NONE))
            change_expel(room, op->user);
    }
    room_touch(room);
}

static void on_settled(void *owner, const struct commit_result *result)
{
    struct room_host *room = owner;
    struct room_request *request = result->requester;

    if (result->outcome == COMMIT_DONE && room->state != ROOM_CLOSED)
        release(room, result);
    if (request)
        request->on_settled(request, result);
}

/* Somebody else claimed the room. If the ring still gives it to us, its sockets come straight
 * back. */
static void on_lost(void *owner)
{
    struct room_host *room = owner;

    log_info("room lost its fence", L_SLICE("room", room->object), L_U64("seq", room->seq));
    room->host->metrics->fenced++;
    room->host->metrics->moves_fence++;
    room_close(room, ROOM_END_MOVED);
}

const struct commit_events room_commit_events = {.on_settled = on_settled, .on_lost = on_lost};
