/* room_host.c - a room's life: claim, activation, leaving, end. See room_host.h. */
#include "shard/host/room_host.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/cluster/ring.h"
#include "shard/host/attach.h"
#include "shard/host/change.h"
#include "shard/host/old.h"
#include "shard/host/presence.h"
#include "shard/host/search_index.h"
#include "shard/host/signal.h"
#include "shard/host/stream_handover.h"
#include "shard/host/token_stream.h"
#include "shard/limits.h"
#include "shard/metrics.h"

/* A claim under way. Outlives the room when that is closed meanwhile. */
struct claim {
    struct room_host *room; /* NULL: closed */
};

/* ---- making ---- */

struct room_key {
    struct slice project, id;
};

static bool key_eq(const struct map_node *node, const void *key)
{
    const struct room_host *room = container_of(node, const struct room_host, node);
    const struct room_key *want = key;

    return slice_eq(room->id, want->id) && slice_eq(room->project, want->project);
}

struct room_host *room_find(const struct host *host, struct slice project, struct slice id)
{
    struct room_key key = {project, id};
    struct map_node *node = map_find(&host->rooms, hash_two(project, id), key_eq, &key);

    return node ? container_of(node, struct room_host, node) : NULL;
}

static void free_now(struct later *later, void *arg)
{
    struct room_host *room = arg;

    (void)later;
    members_deinit(&room->members);
    restrictions_deinit(&room->restrictions);
    tail_deinit(&room->tail);
    streams_drop_handovers(room);
    presence_deinit(room);
    signals_drop(room);
    roster_deinit(&room->roster);
    limiter_deinit(&room->limiter);
    limiter_deinit(&room->report_limiter);
    limiter_deinit(&room->slow_limiter);
    limiter_deinit(&room->event_limiter);
    limiter_deinit(&room->agent_limiter);
    room_facts_deinit(&room->facts);
    free(room);
}

static bool is_wanted(const struct room_host *room)
{
    return !list_empty(&room->gates) || !list_empty(&room->waits);
}

static void on_retry(struct timer *timer, void *arg)
{
    struct room_host *room = arg;

    (void)timer;
    if (is_wanted(room))
        claims_want(room);
    else
        room_close(room, ROOM_END_SILENT);
}

static void on_leave_timeout(struct timer *timer, void *arg)
{
    (void)timer;
    room_close(arg, ROOM_END_MOVED);
}

static void init_lists(struct room_host *room)
{
    list_init(&room->by_use);
    list_init(&room->in_claims);
    list_init(&room->in_drops);
    list_init(&room->gates);
    list_init(&room->waiting);
    list_init(&room->waits);
    list_init(&room->changes);
    skips_init(room);
    list_init(&room->streams);
    list_init(&room->handovers);
    presence_init(room);
    move_node_init(&room->move);
    timer_init(&room->retry, on_retry, room);
    timer_init(&room->leave_timer, on_leave_timeout, room);
    later_init(&room->dead, free_now, room);
}

static struct room_host *room_new(struct host *host, struct slice project, struct slice id)
{
    static const struct slice prefix = {"room/", 5};
    struct room_host *room = calloc(1, sizeof(*room) + prefix.len + project.len + 1 + id.len);
    char *at;

    if (!room)
        return NULL;
    room->host = host;
    at = room->bytes;
    memcpy(at, prefix.data, prefix.len);
    memcpy(at + prefix.len, project.data, project.len);
    at[prefix.len + project.len] = '/';
    memcpy(at + prefix.len + project.len + 1, id.data, id.len);
    room->project = slice_of(at + prefix.len, project.len);
    room->id = slice_of(at + prefix.len + project.len + 1, id.len);
    room->object = slice_of(at, prefix.len + project.len + 1 + id.len);
    room->state = ROOM_CLAIMING;
    room->last_use_ms = env_now_ms(host->env);
    init_lists(room);
    room_facts_init(&room->facts);
    reads_init(room);
    notices_init(room);
    members_init(&room->members);
    restrictions_init(&room->restrictions);
    roster_init(&room->roster);
    tail_init(&room->tail, host->config.tail_entries, host->config.tail_bytes, 0, 0);
    limiter_init(&room->limiter, (uint64_t)MESSAGES_PER_MINUTE * host->config.rate_scale);
    limiter_init(&room->slow_limiter, 0);
    limiter_init(&room->report_limiter, (uint64_t)REPORTS_PER_MINUTE * host->config.rate_scale);
    limiter_init(&room->event_limiter,
                 (uint64_t)CLIENT_EVENTS_PER_MINUTE * host->config.rate_scale);
    limiter_init(&room->agent_limiter,
                 (uint64_t)AGENT_SIGNALS_PER_MINUTE * host->config.rate_scale);
    return room;
}

struct room_host *room_open(struct host *host, struct slice project, struct slice id)
{
    struct room_host *room = room_find(host, project, id);

    if (room)
        return room;
    if (claims_are_full(&host->claims)) {
        host->metrics->rooms_refused++;
        return NULL;
    }
    room = room_new(host, project, id);
    if (!room)
        return NULL;
    if (map_insert(&host->rooms, &room->node, hash_two(project, id)) < 0) {
        free_now(NULL, room);
        return NULL;
    }
    list_add_tail(&host->rooms_by_use, &room->by_use);
    host->metrics->rooms_waiting++;
    claims_want(room);
    return room->state == ROOM_CLOSED ? NULL : room; /* closed: out of memory */
}

struct actor room_actor(const struct room_host *room, struct slice user, unsigned project_roles)
{
    struct actor actor = {.type = room->facts.type,
                          .join = room->facts.settings.join_policy,
                          .role = members_role(&room->members, user),
                          .project_roles = project_roles};

    if (restrictions_count(&room->restrictions) > 0) {
        int64_t now_us = room_now_us(room);

        actor.is_muted = restrictions_muted(&room->restrictions, user, now_us) > 0;
        actor.is_banned = restrictions_banned(&room->restrictions, user, now_us) > 0;
    }
    return actor;
}

void room_touch(struct room_host *room)
{
    room->last_use_ms = env_now_ms(room->host->env);
    heat_add(&room->heat, room->last_use_ms);
    list_del(&room->by_use);
    list_add_tail(&room->host->rooms_by_use, &room->by_use);
}

/* ---- claiming ---- */

static void claim_again(struct room_host *room)
{
    struct host *host = room->host;

    room->retry_ms =
        room->retry_ms ? MIN(room->retry_ms * 2, STORE_RETRY_MAX_MS) : STORE_RETRY_MIN_MS;
    if (env_timer(host->env, &room->retry, env_jitter_ms(host->env, room->retry_ms)) < 0)
        room_close(room, ROOM_END_MOVED);
}

void room_claim_soon(struct room_host *room)
{
    struct env *env = room->host->env;

    if (room->state != ROOM_CLAIMING || !timer_is_armed(&room->retry))
        return;
    room->retry_ms = 0;
    if (env_timer(env, &room->retry, env_random_u64(env) % STORE_RETRY_MIN_MS) < 0)
        claim_again(room);
}

void room_apply_rate(struct room_host *room)
{
    uint64_t per_minute = room->facts.settings.messages_per_minute;

    /* The scale is for what protects the service, not for what a room wants of its members. */
    if (per_minute == 0)
        per_minute = (uint64_t)MESSAGES_PER_MINUTE * room->host->config.rate_scale;
    limiter_set_rate(&room->limiter, per_minute);
    limiter_set_pause(&room->slow_limiter, room->facts.settings.slow_mode_s);
}

static void load_tail(struct room_host *room, const struct claim_result *claim)
{
    struct host *host = room->host;

    tail_deinit(&room->tail);
    tail_init(&room->tail, host->config.tail_entries, host->config.tail_bytes,
              claim->touched_floor, claim->seq_floor);
    for (size_t i = 0; i < claim->n_tail; i++)
        tail_put(&room->tail, claim->tail[i]);
}

/* When the room was at which number, before it came here: by the times of its newest messages.
 */
static void load_marks(struct room_host *room)
{
    int64_t now_ms = (int64_t)env_now_ms(room->host->env);
    int64_t now_us = room_now_us(room);

    memset(&room->marks, 0, sizeof(room->marks));
    for (size_t i = 0; i < room->tail.count; i++) {
        const struct entry *e = tail_at(&room->tail, i);
        int64_t out_ms = now_ms - (now_us - e->created_us) / 1000 + SEQ_MARKS_SLACK_MS;

        if (out_ms >= now_ms)
            break;
        seq_marks_put(&room->marks, out_ms, e->seq);
    }
    seq_marks_put(&room->marks, now_ms, room->seq);
}

static int load_restrictions(struct room_host *room, const struct claim_result *claim)
{
    restrictions_deinit(&room->restrictions);
    restrictions_init(&room->restrictions);
    for (size_t i = 0; i < claim->n_restrictions; i++) {
        const struct restriction_row *row = &claim->restrictions[i];
        int r = restrictions_put(&room->restrictions, row->user, row->muted_us, row->banned_us);

        if (r < 0)
            return r;
    }
    return 0;
}

static int load(struct room_host *room, const struct claim_result *claim)
{
    const struct room_row *row = &claim->row;

    if (room_facts_load(&room->facts, row) < 0)
        return -ENOMEM;
    room_apply_rate(room);
    generations_set(&room->generations, row->generation, row->forked_from, row->forked_at);
    room->resume_floor = row->resume_floor;
    room->seq = row->last_seq;
    members_deinit(&room->members);
    members_init(&room->members);
    for (size_t i = 0; i < claim->n_members; i++) {
        const struct member_row *m = &claim->members[i];
        struct member from = {.role = m->role,
                              .notify_enabled = m->notify_enabled,
                              .joined_us = m->joined_us,
                              .user = m->user,
                              .preferences = m->preferences};
        int r = members_put(&room->members, &from);

        if (r < 0)
            return r;
    }
    load_tail(room, claim);
    load_marks(room);
    return load_restrictions(room, claim);
}

static void run_waits(struct room_host *room, enum room_wait_result result)
{
    while (!list_empty(&room->waits)) {
        struct room_wait *wait = list_first(&room->waits, struct room_wait, link);

        list_del(&wait->link);
        wait->fn(wait, result, result == ROOM_WAIT_READY ? room : NULL);
        if (result == ROOM_WAIT_READY && room->state != ROOM_ACTIVE)
            return; /* what is left is told by room_close() */
    }
}

static void run_waiting(struct room_host *room)
{
    while (!list_empty(&room->waiting) && room->state == ROOM_ACTIVE) {
        struct attach *attach = list_first(&room->waiting, struct attach, in_wait);

        list_del(&attach->in_wait);
        attach_begin(attach);
    }
}

static void activate(struct room_host *room, const struct claim_result *claim)
{
    struct host *host = room->host;
    struct commit_head head = {.last_seq = claim->row.last_seq,
                               .last_id = claim->row.last_id,
                               .last_created_us = claim->row.last_created_us,
                               .message_count = claim->row.message_count};

    if (load(room, claim) < 0 ||
        committer_open_queue(host->committer, &room->queue, room->project, room->id,
                             host->config.incarnation, &head, &room_commit_events, room) < 0) {
        claim_again(room);
        return;
    }
    room->state = ROOM_ACTIVE;
    room->retry_ms = 0;
    host->metrics->rooms_waiting--;
    host->metrics->rooms++;
    host->metrics->wakeups++;
    if (room->seq > 0) /* its last owner may have died before it had indexed it */
        search_index_mark(host->search, room->project, room->id);
    token_streams_adopt(room, claim);
    streams_take_over(room);
    room_touch(room);
    settle_start(room);
    run_waits(room, ROOM_WAIT_READY);
    run_waiting(room);
}

static void on_claimed(void *arg, enum store_result result, const struct claim_result *claim)
{
    struct claim *request = arg;
    struct room_host *room = request->room;

    free(request);
    if (!room)
        return;
    room->claim = NULL;
    claims_on_end(room);
    if (!host_owns(room->host, room->object)) {
        room_close(room, ROOM_END_MOVED);
        return;
    }
    switch (result) {
    case STORE_OK:
        activate(room, claim);
        return;
    case STORE_NOT_FOUND:
        room_close(room, ROOM_END_NOT_FOUND);
        return;
    case STORE_UNAVAILABLE:
    case STORE_UNKNOWN:
    case STORE_BAD_DATA:
    case STORE_FAILED:
        claim_again(room);
        return;
    }
}

void room_start_claim(struct room_host *room)
{
    struct host *host = room->host;
    int r;

    room->claim = malloc(sizeof(*room->claim));
    if (!room->claim) {
        claims_on_end(room);
        claim_again(room);
        return;
    }
    room->claim->room = room;
    r = host->store->ops->claim(host->store, room->project, room->id, host->config.incarnation,
                                host->config.tail_entries, on_claimed, room->claim);
    if (r < 0) {
        free(room->claim);
        room->claim = NULL;
        claims_on_end(room);
        claim_again(room);
    }
}

void room_when_active(struct room_host *room, struct room_wait *wait)
{
    list_init(&wait->link);
    if (room->state == ROOM_ACTIVE) {
        wait->fn(wait, ROOM_WAIT_READY, room);
        return;
    }
    list_add_tail(&room->waits, &wait->link);
}

/* ---- ending ---- */

/* What the gateways keep, so that whoever does not come back can be missed. */
struct farewell {
    struct buf users, gateways;
};

/* Out of memory: presence shows who is here all the same, only notices are missing. */
static struct slice bytes_of(const struct buf *buf)
{
    return buf_failed(buf) ? slice_of(NULL, 0) : buf_slice(buf);
}

static void farewell_fill(struct farewell *f, const struct room_host *room)
{
    const struct room_gate *rg;

    roster_put_users(&f->users, &room->roster);
    list_for_each(rg, &room->gates, in_room)
    {
        for (unsigned i = 0; i < 64; i += 8)
            buf_put_char(&f->gateways, (char)(rg->gate->incarnation >> i));
    }
}

static void tell_gate(struct room_gate *rg, enum room_end how, const struct farewell *f)
{
    struct room_host *room = rg->room;
    struct ring_identity identity = {0};
    struct msg msg = {.type = MSG_SLEEP,
                      .SLEEP = {.project = room->project,
                                .room = room->id,
                                .seq = room->seq,
                                .users = bytes_of(&f->users),
                                .gateways = bytes_of(&f->gateways)}};

    if (how == ROOM_END_MOVED) {
        if (room->host->ring)
            identity = ring_identity(room->host->ring);
        msg = (struct msg){.type = MSG_MOVED,
                           .MOVED = {.object = room->object,
                                     .ring_epoch = identity.epoch,
                                     .ring_hash = identity.hash,
                                     .users = bytes_of(&f->users),
                                     .move = room->move_number}};
    }
    gate_send(rg->gate, &msg);
}

/* Somebody who can be told where it is. */
static bool has_linked_gate(const struct room_host *room)
{
    const struct room_gate *rg;

    list_for_each(rg, &room->gates, in_room)
    {
        if (rg->gate->link)
            return true;
    }
    return false;
}

static void end_gate(struct room_gate *rg, enum room_end how, const struct farewell *f)
{
    struct attach *attach, *next;

    if (how == ROOM_END_SLEEP || how == ROOM_END_MOVED)
        tell_gate(rg, how, f);
    list_for_each_safe(attach, next, &rg->attaches, in_room_gate)
    {
        if (how == ROOM_END_NOT_FOUND)
            attach_close(attach, 1008, "not_member");
        else if (how == ROOM_END_DELETED)
            attach_close(attach, 1008, "room_deleted");
        else
            attach_forget(attach);
    }
}

void room_close(struct room_host *room, enum room_end how)
{
    struct host *host = room->host;
    bool is_gone = how == ROOM_END_NOT_FOUND || how == ROOM_END_DELETED;
    bool are_told = how == ROOM_END_MOVED && has_linked_gate(room);
    struct farewell farewell = {0};
    struct room_gate *rg, *next;

    if (room->state == ROOM_CLOSED)
        return;
    skips_tell(room);
    if (room->state == ROOM_CLAIMING)
        host->metrics->rooms_waiting--;
    else
        host->metrics->rooms--;
    room->state = ROOM_CLOSED;
    map_remove(&host->rooms, &room->node);
    list_del(&room->by_use);
    skips_stop(room);
    presence_stop(room);
    if (how == ROOM_END_MOVED)
        streams_hand_over(room);
    token_streams_stop(room);
    env_timer_cancel(host->env, &room->retry);
    env_timer_cancel(host->env, &room->leave_timer);
    claims_forget(room);
    if (room->claim)
        room->claim->room = NULL;
    room->claim = NULL;

    if (how == ROOM_END_SLEEP)
        old_on_sleep(room);
    farewell_fill(&farewell, room);
    list_for_each_safe(rg, next, &room->gates, in_room) end_gate(rg, how, &farewell);
    buf_deinit(&farewell.users);
    buf_deinit(&farewell.gateways);
    changes_cancel(room);
    reads_end(room, !is_gone);
    notices_end(room);
    committer_close_queue(&room->queue); /* requesters get COMMIT_DROPPED */
    run_waits(room, is_gone ? ROOM_WAIT_NOT_FOUND : ROOM_WAIT_MOVED);
    moves_on_closed(room, are_told);
    drops_on_closed(room);
    env_free_later(host->env, &room->dead);
}

void room_leave_on(struct room_host *room)
{
    if (room->state == ROOM_LEAVING && commit_queue_is_empty(&room->queue) &&
        reads_are_done(&room->reads))
        room_close(room, ROOM_END_MOVED);
}

static void on_flushed(void *arg)
{
    room_leave_on(arg);
}

void room_leave(struct room_host *room)
{
    struct host *host = room->host;

    if (room->state == ROOM_LEAVING || room->state == ROOM_CLOSED)
        return;
    host->metrics->moves_ring++;
    if (room->state == ROOM_CLAIMING) {
        room_close(room, ROOM_END_MOVED);
        return;
    }
    room->state = ROOM_LEAVING;
    committer_drop_queued(&room->queue);
    if (room->state != ROOM_LEAVING)
        return;
    if ((commit_queue_is_empty(&room->queue) && reads_are_idle(&room->reads)) ||
        env_timer(host->env, &room->leave_timer, ROOM_LEAVE_MS) < 0) {
        room_close(room, ROOM_END_MOVED);
        return;
    }
    if (!commit_queue_is_empty(&room->queue))
        committer_flush(&room->queue, &room->flush, on_flushed, room);
    if (!reads_are_idle(&room->reads))
        reads_flush(room);
}
