/* skips.c - see skips.h. */
#include "shard/host/skips.h"

#include "common/wire/msg.h"
#include "shard/host/room_host.h"
#include "shard/metrics.h"
#include "shard/room/extra.h"

bool skips_wants(const struct room_host *room, const struct entry *e)
{
    return e->kind == ENTRY_MEMBERSHIP && !turnout_is_listed(room->roster.n_users) &&
           extra_membership_is_added(e->extra);
}

void skips_tell(struct room_host *room)
{
    struct skips *s = &room->skips;
    struct buf *json = &room->host->json;

    if (s->from_seq == 0)
        return;
    buf_clear(json);
    frame_skip(json, room->id, s->from_seq, s->to_seq);
    if (!buf_failed(json)) /* else the next number is a gap, and who sees it resumes */
        room_fanout(room, s->to_seq, EVENT_NATIVE_ONLY, NULL, buf_slice(json));
    s->from_seq = s->to_seq = 0;
    env_timer_cancel(room->host->env, &s->timer);
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    skips_tell(arg);
}

void skips_add(struct room_host *room, uint64_t seq)
{
    struct skips *s = &room->skips;
    struct turnout_size size = {room->roster.n_users, room->roster.n_sockets};

    room->host->metrics->events_skipped++;
    s->to_seq = seq;
    if (s->from_seq > 0)
        return;
    s->from_seq = seq;
    if (env_timer(room->host->env, &s->timer, turnout_interval_ms(size)) < 0)
        skips_tell(room);
}

void skips_init(struct room_host *room)
{
    timer_init(&room->skips.timer, on_timer, room);
}

void skips_stop(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->skips.timer);
}
