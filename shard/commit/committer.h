/*
 * committer.h - the output gate: takes what rooms want to write, groups it into
 * batches, and says per room and in order how each item ended. Works on
 * store.h and env.h alone; knows no PostgreSQL, no session, no frame.
 *
 * Rooms are spread over lanes by their name. Each lane has one batch in flight;
 * the next leaves the moment it returns, or, when the lane is idle, at the end
 * of the turn in which something was pushed. Numbers (seq, id, createdAt) are
 * given when a batch is formed and nobody sees them before COMMIT.
 *
 * Ownership: the room host embeds one struct commit_queue per room; requesters
 * are opaque and each comes back exactly once through on_settled.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/map.h"
#include "shard/room/mutation.h"
#include "shard/store/store.h"

struct committer;
struct commit_tenant;
struct commit_part;

struct commit_config {
    unsigned lanes;
    size_t batch_entries; /* rows in one batch */
    size_t batch_bytes;
    size_t batch_rooms;
    size_t queue_entries; /* unsettled items of one room */
    size_t queue_bytes;
    size_t lane_entries; /* unsettled items of all rooms of a lane */
    size_t lane_bytes;
    uint64_t deadline_ms; /* an item is answered at most this long after its push */
};
/* The values of limits.h; lanes is 1. */
struct commit_config commit_config_default(void);

enum commit_outcome {
    COMMIT_DONE = 1,    /* committed: entry has its numbers. Fan out, then acknowledge */
    COMMIT_DUPLICATE,   /* the key exists: entry is the original */
    COMMIT_NOTHING,     /* the mutation had nothing to change */
    COMMIT_REJECTED,    /* the mutation does not suit the entry as it is by now */
    COMMIT_REFUSED,     /* the store does not take this value; nothing was written */
    COMMIT_UNAVAILABLE, /* not written in time, and it never will be */
    COMMIT_UNKNOWN, /* no answer in time; it may commit yet and then comes again as COMMIT_DONE
                       without requester */
    COMMIT_DROPPED, /* the room was closed or lost: do not answer, the gateway sends it again to
                       the new owner */
};

struct commit_result {
    enum commit_outcome outcome;
    /* Borrowed. DONE: with numbers; for a mutation the entry as it is after it, and updated_seq
     * is the seq of the event. DUPLICATE: the original, or the entry that the mutation with
     * this key has changed. NOTHING: as it is. Else as it was pushed. */
    struct entry *entry;
    struct mutation *mutation; /* as pushed; borrowed */
    uint64_t change_seq;       /* DUPLICATE of a mutation: the seq that it took then */
    enum error_code error;     /* REJECTED: why */
    const struct side_op *ops; /* DONE: are committed with it */
    size_t n_ops;
    void *requester; /* as pushed; NULL: was answered before, only release the entry */
};

/* Called from the loop, never from inside committer_push(). The owner may push, flush or close
 * the queue there. */
struct commit_events {
    /* In the order of the pushes of this queue, but for DONE after UNKNOWN, which is in seq
     * order among the DONE, and for what goes with an older one of its sender (`sender`). */
    void (*on_settled)(void *owner, const struct commit_result *result);
    /* The row bears another fence, or moved without us. All items have come back and the queue
     * is closed. */
    void (*on_lost)(void *owner);
};

/* What the last committed batch left in the room row. */
struct commit_head {
    uint64_t last_seq;
    int64_t last_id;
    int64_t last_created_us;
    uint64_t message_count;
};

/* One room's queue, embedded in the room host's room. Fields are the committer's; head may be
 * read. */
struct commit_queue {
    struct commit_head head;
    struct slice project, room; /* borrowed from the owner until the queue is closed */
    uint64_t fence;
    const struct commit_events *events;
    void *owner;

    struct committer *committer; /* NULL: closed */
    unsigned lane;
    struct commit_tenant *tenant;
    struct list ready;        /* in its tenant's list of rooms that can go into a batch */
    struct list items;        /* struct commit_item, oldest first, without those in part */
    struct commit_part *part; /* submitted or about to be again; at most one per room */
    struct list done;         /* struct commit_item that wait for their on_settled, in order */
    struct list settle;       /* in the committer's list of queues with something in done */
    size_t n_items, bytes;    /* all that is not settled */
    size_t lone_rows;         /* after refused data: rows that still go alone, so many ... */
    size_t lone_limit;        /* ... at a time */
    struct list flushes;      /* struct commit_flush */
};

struct commit_push {
    /* Without a mutation: a new entry, without numbers; the committer writes seq, updated_seq,
     * id, created_us, message_no. With one: the newest released image of the entry that changes
     * (which counts unless changes of it are queued already). A reference is taken. */
    struct entry *entry;
    struct mutation *mutation; /* NULL: the entry is new; else a reference is taken */
    const uint8_t *key; /* DEDUPE_LEN bytes: of the mutation, so that a repeat is recognised;
                           NULL: none. A new entry bears its own. */
    const struct side_op *ops; /* committed with it; copied */
    size_t n_ops;
    bool is_suspect; /* probably a repeat: look its key up before it joins a batch */
    /* The socket that it came by; 0: none. What is pushed by one sender is written in the order
     * of the pushes, also when some of it repeats what an earlier socket has left here. What
     * was not written in time takes with it what the sender has pushed after it: who has not
     * heard of it sends all of that again, in order. */
    uint64_t sender;
    void *requester;
};
enum commit_push_answer { COMMIT_PUSH_FULL = 1 }; /* a bound is reached: answer `unavailable` */

struct commit_flush {
    struct list link;
    void (*fn)(void *arg);
    void *arg;
};

struct commit_stats {
    uint64_t batches, entries; /* committed */
    uint64_t voids;            /* changes that had nothing to change or came too late */
    uint64_t duplicates, refused, unavailable, unknown, lost;
    uint64_t bad_batches;                /* came back with STORE_BAD_DATA */
    uint64_t lost_batches;               /* came back with STORE_UNKNOWN */
    uint64_t full;                       /* pushes turned away */
    uint64_t flight_us;                  /* sum over all batches that came back */
    size_t queued_entries, queued_bytes; /* now, with those in flight */
    unsigned in_flight;                  /* batches, now */
};

/* env and store are borrowed and outlive the committer. */
int committer_new(struct env *env, struct store *store, const struct commit_config *config,
                  struct committer **ret_committer) MUST_CHECK;
/* All queues are closed and the store calls back no more. */
void committer_free(struct committer *c);
const struct commit_stats *committer_stats(const struct committer *c);
/* PostgreSQL is another one than before (failover): ids fetched from the old one are not used
 * any more. */
void committer_forget_ids(struct committer *c);
/* The store is connected again: what waits goes now, not at the end of its pause. */
void committer_store_is_back(struct committer *c);

/* Fills in the queue of a room that has just been claimed with this fence and head. */
int committer_open_queue(struct committer *c, struct commit_queue *q, struct slice project,
                         struct slice room, uint64_t fence, const struct commit_head *head,
                         const struct commit_events *events, void *owner) MUST_CHECK;
/*
 * The room goes. Every item that was not answered comes back at once as COMMIT_DROPPED (from
 * inside this call); a batch in flight finishes without the room; flushes are forgotten. No
 * callback afterwards. The queue's memory stays until the end of the turn (env_free_later).
 * Closed already: nothing.
 */
void committer_close_queue(struct commit_queue *q);
static inline bool commit_queue_is_open(const struct commit_queue *q)
{
    return q->committer != NULL;
}
static inline bool commit_queue_is_empty(const struct commit_queue *q)
{
    return q->n_items == 0;
}

/* 0, COMMIT_PUSH_FULL, or -ENOMEM. The queue must be open. */
int committer_push(struct commit_queue *q, const struct commit_push *push) MUST_CHECK;
/* Items that are in no batch come back as COMMIT_DROPPED, from inside this call. For a move:
 * then flush, then close. */
void committer_drop_queued(struct commit_queue *q);
/* Calls fn once, later, when nothing is unsettled in the queue. The flush is the caller's
 * memory, zeroed before its first use. */
void committer_flush(struct commit_queue *q, struct commit_flush *flush, void (*fn)(void *arg),
                     void *arg);
void committer_flush_cancel(struct commit_flush *flush);

/*
 * The createdAt that follows last_us in a room when the clock says now_us
 * (docs/protocol-client.md): whole milliseconds, at least one above the last while that is less
 * than 50 ms ahead of the clock, else one microsecond above the last.
 */
int64_t commit_next_created_us(int64_t last_us, int64_t now_us);
