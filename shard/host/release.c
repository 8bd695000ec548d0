/*
 * release.c - the output gate's far side: an entry is committed, now everybody
 * may see it. In seq order: into the tail and the member list, out to the
 * gateways, then the requester's acknowledgement.
 */
#include <errno.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/wire/msg.h"
#include "shard/host/attach.h"
#include "shard/host/change.h"
#include "shard/host/pin.h"
#include "shard/host/room_host.h"
#include "shard/host/search_index.h"
#include "shard/host/token_stream.h"
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

    room->seq = e->updated_seq;
    seq_marks_put(&room->marks, (int64_t)env_now_ms(room->host->env), room->seq);
    tail_put(&room->tail, e);
    for (size_t i = 0; i < result->n_ops; i++) {
        const struct side_op *op = &result->ops[i];

        if (op->kind == SIDE_MEMBER &&
            members_apply(&room->members, op->user, op->role, op->at_us) < 0)
            return -ENOMEM;
        if (op->kind == SIDE_RESTRICT &&
            restrictions_put(&room->restrictions, op->user, op->muted_us, op->banned_us) < 0)
            return -ENOMEM;
        if (room_facts_apply(&room->facts, op, e->created_us) < 0)
            return -ENOMEM;
        if (op->kind == SIDE_ROOM)
            room_apply_rate(room);
    }
    return 0;
}

static struct attach *next_live(struct room_gate *rg, const struct attach *after)
{
    struct list *at = after ? after->in_room_gate.next : rg->attaches.next;

    while (at != &rg->attaches) {
        struct attach *attach = list_entry(at, struct attach, in_room_gate);

        if (attach->state == ATTACH_LIVE)
            return attach;
        at = at->next;
    }
    return NULL;
}

/* To those who may see it, one by one; the others learn only that the number is taken. The
 * bytes go first on each link, and move the cursor of their sockets, so that the skip passes
 * them by. */
static int whisper(struct room_host *room, const struct entry *e, uint64_t seq,
                   struct slice frame)
{
    struct buf *json = &room->host->json2;
    struct room_gate *rg;

    list_for_each(rg, &room->gates, in_room)
    {
        for (struct attach *a = next_live(rg, NULL); a; a = next_live(rg, a)) {
            if (entry_is_visible(e, a->user))
                attach_send(a, 0, seq, frame);
        }
    }
    if (seq == 0)
        return 0; /* a second form of an event that has had its number */
    buf_clear(json);
    frame_skip(json, room->id, seq, 0);
    if (buf_failed(json))
        return -ENOMEM;
    room_fanout(room, seq, EVENT_NATIVE_ONLY, NULL, buf_slice(json));
    return 0;
}

int room_show(struct room_host *room, const struct entry *e, uint64_t seq, uint32_t flags)
{
    struct buf *json = &room->host->json;

    if (buf_failed(json))
        return -ENOMEM;
    if (e->visible_to.len > 0)
        return whisper(room, e, seq, buf_slice(json));
    room_fanout(room, seq, flags, NULL, buf_slice(json));
    return 0;
}

static int show_new(struct room_host *room, const struct entry *e)
{
    struct buf *json = &room->host->json;

    buf_clear(json);
    frame_entry(json, room->id, e);
    return room_show(room, e, e->seq, frame_is_native(e) ? EVENT_NATIVE_ONLY : 0);
}

static int show_deleted(struct room_host *room, const struct entry *e, const struct mutation *m)
{
    struct buf *json = &room->host->json;
    int r = 0;

    if (m->kind == MUTATION_EXPIRE) {
        buf_clear(json);
        frame_message_expired(json, room->id, e);
        r = room_show(room, e, 0, 0);
    }
    buf_clear(json);
    frame_delete(json, room->id, e, m->actor);
    if (r == 0)
        r = room_show(room, e, e->updated_seq, 0);
    if (r < 0 || m->kind == MUTATION_EXPIRE || e->visible_to.len > 0)
        return r;
    buf_clear(json);
    frame_message_deleted(json, room->id, e, m->actor);
    return room_show(room, e, 0, EVENT_OLD_ONLY);
}

static int show_edited(struct room_host *room, const struct entry *e)
{
    struct buf *json = &room->host->json;
    int r;

    buf_clear(json);
    frame_edit(json, room->id, e);
    r = room_show(room, e, e->updated_seq, 0);
    if (r < 0 || e->visible_to.len > 0)
        return r;
    buf_clear(json);
    frame_message_updated(json, room->id, e);
    return room_show(room, e, 0, EVENT_OLD_ONLY);
}

static int fan_out(struct room_host *room, const struct commit_result *result)
{
    const struct mutation *m = result->mutation;
    const struct entry *e = result->entry;
    struct buf *json = &room->host->json;

    if (!has_listeners(room))
        return 0;
    if (!m && skips_wants(room, e)) {
        skips_add(room, e->seq);
        return 0;
    }
    skips_tell(room);
    if (!m)
        return show_new(room, e);
    switch (m->kind) {
    case MUTATION_DELETE:
    case MUTATION_EXPIRE:
        return show_deleted(room, e, m);
    case MUTATION_EDIT:
    case MUTATION_STREAM_END:
        return show_edited(room, e);
    case MUTATION_REACTION:
        buf_clear(json);
        frame_reaction(json, room->id, e, m->actor, m->emoji, m->is_added);
        return room_show(room, e, e->updated_seq, 0);
    }
    return 0;
}

static void release(struct room_host *room, const struct commit_result *result)
{
    struct entry *e = result->entry;

    if (take_in(room, result) < 0 || fan_out(room, result) < 0) {
        log_error("room dropped: out of memory", L_SLICE("room", room->object));
        room->host->metrics->moves_memory++;
        room_close(room, ROOM_END_MOVED); /* its sockets come back and get what they missed */
        return;
    }
    if (e->kind == ENTRY_MESSAGE && !result->mutation) {
        room->host->metrics->messages++;
        notices_on_message(room, result);
    }
    room->host->metrics->changes += result->mutation != NULL;
    for (size_t i = 0; i < result->n_ops; i++) {
        const struct side_op *op = &result->ops[i];

        if (op->kind == SIDE_RESTRICT || (op->kind == SIDE_MEMBER && op->role == ROLE_NONE))
            change_expel(room, op->user);
    }
    search_index_mark(room->host->search, room->project, room->id);
    pin_follow(room, result);
    if (result->mutation && e->deleted_us)
        token_streams_on_deleted(room, e->seq);
    room_touch(room);
}

/* What was found in the store has a number that this room has not reached: a batch that was
 * lost has come through after all, when its parts had been given up. Nobody has been shown what
 * lies between, and the next batch would find another head. So it is read again, now. */
static void check_behind(struct room_host *room, const struct commit_result *result)
{
    uint64_t seq = result->change_seq ? result->change_seq : result->entry->seq;

    if (seq <= room->seq)
        return;
    log_info("room is behind the store", L_SLICE("room", room->object), L_U64("seq", room->seq),
             L_U64("found", seq));
    room->host->metrics->moves_fence++;
    room_close(room, ROOM_END_MOVED);
}

static void on_settled(void *owner, const struct commit_result *result)
{
    struct room_host *room = owner;
    struct room_request *request = result->requester;

    if (result->outcome == COMMIT_DONE && room->state != ROOM_CLOSED)
        release(room, result);
    if (result->outcome == COMMIT_DUPLICATE && room->state != ROOM_CLOSED)
        check_behind(room, result);
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
