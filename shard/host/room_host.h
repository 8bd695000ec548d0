/*
 * room_host.h - one room while it is in this shard's memory: the pure room
 * (shard/room) with its sockets, its commit queue and its life.
 *
 *                claim answered            ring moved, lost
 *   CLAIMING ---------------------> ACTIVE ----------------> LEAVING
 *      |                               |                        | flushed, or ROOM_LEAVE_MS
 *      | no such room, not ours        | idle, fence lost       v
 *      +-------------------------------+-------------------> CLOSED
 *
 * A room that was stopped (drops.h) is LEAVING with nothing to flush.
 *
 * Sockets and calls that come while the room is CLAIMING or LEAVING wait; on
 * CLOSED they are told to look again (MOVED) or that there is no such room.
 */
#pragma once

#include "common/base/env.h"
#include "shard/commit/committer.h"
#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/host/notices.h"
#include "shard/host/reads.h"
#include "shard/host/room_facts.h"
#include "shard/host/settle.h"
#include "shard/host/skips.h"
#include "shard/room/frames.h"
#include "shard/room/generations.h"
#include "shard/room/heat.h"
#include "shard/room/limiter.h"
#include "shard/room/members.h"
#include "shard/room/restrictions.h"
#include "shard/room/roster.h"
#include "shard/room/rules.h"
#include "shard/room/seq_marks.h"
#include "shard/room/tail.h"
#include "shard/room/turnout.h"

struct claim;
struct signals;

enum room_state { ROOM_CLAIMING, ROOM_ACTIVE, ROOM_LEAVING, ROOM_CLOSED };

/* How a room ends, that is what those who are in it or wait for it are told. */
enum room_end {
    ROOM_END_SLEEP,     /* idle: sockets stay with their gateways */
    ROOM_END_MOVED,     /* look again who owns it */
    ROOM_END_NOT_FOUND, /* there is no such room */
    ROOM_END_DELETED,   /* there was one */
    ROOM_END_SILENT,    /* shutdown of the process or test */
};

struct room_host {
    struct map_node node; /* host.rooms */
    struct list by_use;   /* host.rooms_by_use */
    struct host *host;
    enum room_state state;
    struct slice project, id; /* point into bytes */
    struct slice object;      /* "room/<project>/<id>" */
    uint64_t last_use_ms;
    struct heat heat;

    /* What the store knows. */
    struct room_facts facts;
    struct generations generations;
    uint64_t resume_floor;
    struct members members;
    struct restrictions restrictions;
    struct tail tail;
    uint64_t seq;           /* head: everything up to here has been released */
    struct seq_marks marks; /* when it was what */
    struct skips skips;
    struct commit_queue queue;

    /* Who is here. */
    struct roster roster;
    size_t n_ghosts;     /* of its attaches */
    struct list gates;   /* struct room_gate.in_room */
    struct list waiting; /* struct attach.in_wait: until the room is active */
    struct list waits;   /* struct room_wait */
    struct limiter limiter;
    struct limiter report_limiter;
    struct limiter slow_limiter;  /* slow mode: one bucket per user, whatever the way */
    struct limiter event_limiter; /* of client_event */
    struct limiter agent_limiter; /* of agentTyping */
    struct signals *signals;      /* events that wait until the room has settled; NULL: none */
    struct list streams;          /* struct token_stream: token streams that are not over */
    struct list handovers;        /* struct handover: of the last owner, until it is active */
    struct reads reads;
    struct notices notices;
    struct list changes;   /* struct pending_change: not settled yet */
    size_t restraining;    /* of those: after which somebody may do less */
    size_t owners_leaving; /* of those: how many take the owner role from somebody */

    /* Presence (presence.h, settle.h) and typing (typing.h). */
    struct turnout turnout;
    struct settle settle;
    struct timer presence_timer;
    struct later presence_later;
    struct timer typing_timer;
    struct ratelim typing_limit;
    uint64_t typing_told_ms; /* when anybody was last told anything; 0: never */

    /* Coming and going. */
    struct claim *claim;   /* under way; NULL: none */
    struct list in_claims; /* waits for its turn to be claimed */
    bool is_hurried;       /* somebody was live in it */
    bool is_claim_out;     /* counted in host.claims.n_out */
    struct timer retry;
    uint64_t retry_ms;
    struct list in_drops;  /* stopped, and waits for its end */
    struct move_node move; /* moves.queue: it is to go, and waits for its turn */
    uint64_t move_number;  /* of its place while it goes; 0: it has none */
    struct commit_flush flush;
    struct timer leave_timer;
    struct later dead;
    char bytes[];
};

static inline struct slice room_generation(const struct room_host *room)
{
    return generations_current(&room->generations);
}

/* What every requester of a commit item begins with (commit_push.requester). */
struct room_request {
    void (*on_settled)(struct room_request *request, const struct commit_result *result);
};

/* ---- finding and activating ---- */

enum room_wait_result { ROOM_WAIT_READY, ROOM_WAIT_MOVED, ROOM_WAIT_NOT_FOUND };
/* Somebody who needs a room. Embedded in its owner, who may take itself off the list at any
 * time. */
struct room_wait {
    struct list link;
    /* Once. room is active for READY, else NULL. */
    void (*fn)(struct room_wait *wait, enum room_wait_result result, struct room_host *room);
};

/* The room in memory, or NULL. */
struct room_host *room_find(const struct host *host, struct slice project, struct slice id);
/* The room, activating it when it is not here. NULL: out of memory, or too many wait to be
 * activated. The caller has checked that it is ours. */
struct room_host *room_open(struct host *host, struct slice project, struct slice id);
/* It is its turn (claims.h). */
void room_start_claim(struct room_host *room);
/* Calls wait->fn when the room is active, perhaps at once. */
void room_when_active(struct room_host *room, struct room_wait *wait);
/* A room that waits before it claims again does so soon. */
void room_claim_soon(struct room_host *room);
/* Traffic: the room stays. */
void room_touch(struct room_host *room);

/* ---- ending ---- */

/* It goes to another shard now: lets the batch in flight finish, then ends it as MOVED. */
void room_leave(struct room_host *room);
/* Ends it now. Every socket and waiter has been told when this returns; the memory lives until
 * the end of the turn. */
void room_close(struct room_host *room, enum room_end how);

/* ---- inside the host: steps of other files ---- */

/* Something that a leaving room waits for has ended. */
void room_leave_on(struct room_host *room);

/* release.c: the events of the room's commit queue. */
extern const struct commit_events room_commit_events;
/* fanout.c: one event to every gateway with live sockets here. except: an attach that does not
 * get it, or NULL. */
void room_fanout(struct room_host *room, uint64_t seq, uint32_t flags,
                 const struct attach *except, struct slice json);

/* release.c: what host.json holds, about this entry, to all live sockets that may see the
 * entry. seq: of the event, or 0 for a second form of it. flags: EVENT_*. -ENOMEM. */
int room_show(struct room_host *room, const struct entry *e, uint64_t seq, uint32_t flags);

/* The store's clock: what createdAt and the ends of restrictions are measured with. */
static inline int64_t room_now_us(const struct room_host *room)
{
    struct store *store = room->host->store;

    return env_steady_us(room->host->env) + store->ops->clock_offset_us(store);
}

/* The message rate that the settings allow counts from now on. */
void room_apply_rate(struct room_host *room);

/* Who the user is in this room at this moment. */
struct actor room_actor(const struct room_host *room, struct slice user,
                        unsigned project_roles);
