/* old.c - see old.h. */
#include "shard/host/old.h"

#include "common/base/ident.h"
#include "shard/limits.h"

static uint64_t now_of(const struct host *host)
{
    return env_now_ms(host->env);
}

static struct reach_key key_of(const struct room_host *room, struct slice user)
{
    return (struct reach_key){.project = room->project, .room = room->id, .user = user};
}

/* What had surely arrived of what was sent before that. */
static uint64_t arrived(const struct room_host *room, uint32_t doubt_ms)
{
    return seq_marks_at(&room->marks, (int64_t)now_of(room->host) - doubt_ms);
}

/* ---- coming ---- */

bool old_was_cut(const struct attach *attach)
{
    return (attach->flags & ATTACH_CUT) && !(attach->flags & ATTACH_NATIVE);
}

/* Its own cursor, and of the numbers that we count in. */
static bool has_cursor(const struct attach *attach)
{
    struct slice generation = slice_of(attach->given_generation, attach->given_generation_len);

    return (attach->flags & (ATTACH_HAS_SEQ | ATTACH_REATTACH)) &&
           generations_know(&attach->room->generations, generation, attach->last_seq);
}

void old_on_enter(struct attach *attach)
{
    const struct room_host *room = attach->room;
    struct reach_key key = key_of(room, attach->user);
    bool is_again = attach->flags & ATTACH_REATTACH;
    uint64_t reach;

    attach->live_ms = 0;
    attach->is_noted = false;
    if (attach->flags & ATTACH_NATIVE)
        return;
    reach =
        is_again ? UINT64_MAX : reaches_find(&room->host->reaches, &key, now_of(room->host));
    /* The user's other socket may be this one's predecessor, whose end nobody has noticed. */
    if (is_again || attach->present || roster_find(&room->roster, attach->user))
        reach = MIN(reach, arrived(room, OLD_CLIENT_DOUBT_MS));
    if (has_cursor(attach))
        reach = MIN(reach, attach->last_seq);
    attach->reach = MAX(MIN(reach, room->seq), room->resume_floor);
}

bool old_missed(const struct attach *attach, uint64_t *ret_seq)
{
    uint64_t head = attach->room->seq;
    uint64_t floor = head > SNAPSHOT_REACH_SEQS ? head - SNAPSHOT_REACH_SEQS : 0;

    if ((attach->flags & (ATTACH_NATIVE | ATTACH_REATTACH | ATTACH_NO_REPLAY)) ||
        ((attach->flags & ATTACH_HAS_SEQ) && !old_was_cut(attach)))
        return false;
    *ret_seq = MAX(attach->reach, floor);
    return attach->reach < head;
}

void old_on_live(struct attach *attach)
{
    attach->live_ms = now_of(attach->room->host);
}

/* ---- going ---- */

static bool has_been_in(const struct attach *attach)
{
    return attach->state == ATTACH_CATCHING || attach->state == ATTACH_LIVE ||
           (attach->state == ATTACH_WAITING && (attach->flags & ATTACH_REATTACH));
}

/* What the socket had been given so long ago, if nothing else is said: all, when it was live by
 * then; what it came with, when it has come back since. */
static uint64_t given_by(const struct attach *attach, uint32_t before_ms)
{
    if (attach->live_ms > 0 && attach->live_ms + before_ms <= now_of(attach->room->host))
        return UINT64_MAX;
    return attach->flags & ATTACH_REATTACH ? attach->last_seq : 0;
}

/* The room is not in memory yet: what is known of it from when it last was. */
static uint64_t asleep_reach(const struct room_host *room, uint64_t cursor)
{
    struct reach_key key = key_of(room, slice_of(NULL, 0));

    return MIN(cursor, reaches_find(&room->host->reaches, &key, now_of(room->host)));
}

void old_on_gone(struct attach *attach, uint32_t doubt_ms, uint64_t cursor)
{
    struct room_host *room = attach->room;
    struct reach_key key = key_of(room, attach->user);
    uint64_t seq;

    if ((attach->flags & ATTACH_NATIVE) || attach->is_noted || !has_been_in(attach))
        return;
    attach->is_noted = true;
    if (attach->state == ATTACH_WAITING) {
        seq = asleep_reach(room, attach->last_seq);
    } else {
        seq = MIN(arrived(room, doubt_ms), given_by(attach, doubt_ms));
        seq = MIN(seq, cursor);
        seq = MAX(seq, attach->reach);
    }
    reaches_put(&room->host->reaches, &key, seq, now_of(room->host));
}

void old_on_gone_asleep(struct host *host, const struct msg_DETACH *msg)
{
    struct reach_key key = {.project = msg->project, .room = msg->room};
    const struct room_host *room;
    uint64_t seq = msg->cursor, now_ms = now_of(host);

    if (!msg->is_old || !ident_is_valid(msg->project) || !ident_is_valid(msg->room) ||
        !ident_is_valid(msg->user))
        return;
    seq = MIN(seq, reaches_find(&host->reaches, &key, now_ms));
    room = room_find(host, msg->project, msg->room);
    if (room && room->state == ROOM_ACTIVE) /* it has just woken */
        seq = MIN(seq, arrived(room, msg->doubt_ms));
    key.user = msg->user;
    reaches_put(&host->reaches, &key, seq, now_ms);
}

void old_on_sleep(struct room_host *room)
{
    struct reach_key key = key_of(room, slice_of(NULL, 0));
    uint64_t seq = arrived(room, OLD_CLIENT_DOUBT_MS);

    if (seq < room->seq)
        reaches_put(&room->host->reaches, &key, seq, now_of(room->host));
}
