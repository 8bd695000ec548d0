/*
 * fan_out.c - one room event to all sockets of a room; see fan_out.h.
 *
 * Order: link events come in seq order, every live socket gets each event with
 * seq > cursor once, and its cursor moves with it, whether or not it may see the
 * bytes. The cursor of one that is too slow (behind.h) stays where it is. Nothing is
 * allocated or looked up per member.
 */
#include "gateway/session/fan_out.h"

#include <errno.h>

#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/behind.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"

/* How many members ahead the memory of an attach and of its stream is asked for. */
#define AHEAD 8u

/* The event in each form that members of the room take. */
struct frames {
    struct blob *of[FRAMING_COUNT];
};

static void frames_drop(struct frames *frames)
{
    for (unsigned i = 0; i < FRAMING_COUNT; i++)
        blob_unref(frames->of[i]);
}

/* False: out of memory. */
static bool frames_build(const struct local_room *room, const struct msg_ROOM_EVENT *event,
                         struct frames *ret)
{
    struct framing_id id = {.seq = event->seq};

    if (room->generation)
        id.generation = blob_slice(room->generation);
    *ret = (struct frames){0};
    for (unsigned i = 0; i < FRAMING_COUNT; i++) {
        if (room->n_framed[i] == 0)
            continue;
        ret->of[i] = framing_build((enum framing)i, event->json, id);
        if (!ret->of[i]) {
            frames_drop(ret);
            return false;
        }
    }
    return true;
}

/* Which sockets get the bytes. */
static bool may_see(const struct attach *a, const struct msg_ROOM_EVENT *event)
{
    if (a->is_native ? event->flags & EVENT_OLD_ONLY : event->flags & EVENT_NATIVE_ONLY)
        return false;
    if (a->no_presence && (event->flags & EVENT_PRESENCE))
        return false;
    return a->number != event->except;
}

/* A socket whose queue is over the soft mark. False: it does not get this event. The second
 * form of an event that it was given (seq 0) follows it in any case. */
static bool slow_may_have(struct attach *a, const struct msg_ROOM_EVENT *event)
{
    const struct sessions *all = a->session->all;

    if (event->flags & EVENT_EPHEMERAL) {
        all->metrics->slow_dropped++;
        a->owes_presence |= (event->flags & EVENT_PRESENCE) != 0;
        attach_update_pending(a);
        return false;
    }
    if (event->seq == 0 || attach_queued(a) <= all->marks.behind)
        return true;
    behind_mark(a);
    return false;
}

/* The news of many rooms about who is here must not stand before what is said in them. */
static int write_to(struct attach *a, const struct msg_ROOM_EVENT *event, struct blob *frame)
{
    if (!a->stream)
        return session_write(a->session, frame);
    return event->flags & EVENT_PRESENCE ? stream_write_unhurried(a->stream, frame)
                                         : stream_write(a->stream, frame);
}

/* True when the frame was queued. The member may be gone afterwards. */
static bool give(struct attach *a, const struct msg_ROOM_EVENT *event,
                 const struct frames *frames, size_t soft)
{
    if (a->state != ATTACH_STATE_LIVE)
        return false;
    if (event->seq > 0 && a->cursor >= event->seq)
        return false; /* it was in the catch-up */
    if (!may_see(a, event)) {
        a->cursor = MAX(a->cursor, event->seq);
        return false;
    }
    if (attach_queued(a) > soft && !slow_may_have(a, event))
        return false;
    a->cursor = MAX(a->cursor, event->seq);
    if (write_to(a, event, frames->of[a->framing]) < 0) {
        session_end_failed(a->session, -ENOMEM);
        return false;
    }
    return true;
}

void fan_out(struct local_room *room, const struct msg_ROOM_EVENT *event)
{
    size_t soft = room->all->marks.soft;
    struct frames frames;
    uint64_t given = 0;

    if (!frames_build(room, event, &frames)) {
        /* Out of memory: a hole would break the order, so the room starts over from the
         * cursors. */
        if (event->seq > 0) {
            local_room_unbind(room);
            sessions_queue_room(room->all, room);
        }
        return;
    }
    /* From the end: a member that is closed on the way is replaced by one that has been served.
     */
    for (uint32_t i = room->n; i-- > 0;) {
        if (i >= AHEAD)
            __builtin_prefetch(room->members[i - AHEAD]);
        if (i >= AHEAD / 2)
            __builtin_prefetch(room->members[i - AHEAD / 2]->stream);
        given += give(room->members[i], event, &frames, soft);
    }
    room->all->metrics->deliveries += given;
    frames_drop(&frames);
}
