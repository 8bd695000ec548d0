/*
 * commit_priv.h - what the files of the committer share. Not for others.
 *
 * Where an item is:
 *
 *   queue->items --batch.c--> part->items --resolve.c--> queue->done --> on_settled
 *        ^                        |
 *        +---- part_dissolve() ---+   (known not to have been written)
 *
 * Items of a queue stay in the order of their pushes through all of it: those
 * in the part are older than those in items, those in done older than both.
 */
#pragma once

#include "common/base/limits.h"
#include "shard/commit/committer.h"

enum item_state {
    ITEM_NEW,     /* may join a batch */
    ITEM_SUSPECT, /* its key is looked up first; holds back its successors */
    ITEM_REPEAT,  /* an older item of the queue has the same key: takes over what becomes of it
                   */
    ITEM_DUPLICATE, /* original is known */
    ITEM_REFUSED,   /* the store refuses it */
    ITEM_VOID, /* in a part: its mutation has nothing to change, or does not suit the entry;
                  takes no number. Decided anew when the part is given up */
};

/* The side_ops of one item with their texts. Shared by the item and by the part that is out
 * with it. */
struct side_block {
    uint32_t refs;
    size_t n;
    struct side_op ops[];
};

/* An entry of which changes are not settled yet: what they are applied to. */
struct commit_target {
    struct map_node node; /* committer->targets */
    const struct commit_queue *queue;
    uint64_t seq;
    size_t refs;           /* items */
    struct entry *current; /* the last image that is committed; owned reference */
    struct entry *staged;  /* after the changes in the part that is out; owned, or NULL */
};

struct commit_item {
    struct list link;      /* queue->items or part->items */
    struct list done_link; /* queue->done */
    struct list age;       /* committer->ages until it is answered */
    struct list suspect;   /* committer->suspects while it waits to be looked up */
    struct list repeats;   /* of the first of its key: struct commit_item.repeat_link */
    struct list repeat_link;
    struct map_node by_key; /* in committer->keys when has_key */
    bool has_key;           /* is in the map */
    bool bears_key;         /* a change asked for without a key is never recognised */
    bool answered;          /* COMMIT_UNKNOWN was reported */
    bool checked;           /* its key has been looked up and was not there */
    bool finished;          /* has left items and part for good, waits in done */
    enum item_state state;
    enum commit_outcome outcome; /* while on done */
    struct committer *committer;
    struct commit_queue *queue;
    struct commit_part *part; /* NULL: in queue->items, or finished */
    struct entry *entry; /* owned reference; as pushed, and for a new entry with its numbers */
    struct entry *original;       /* owned reference; DUPLICATE */
    uint64_t change_seq;          /* DUPLICATE of a change: the seq that it took */
    struct mutation *mutation;    /* owned reference; NULL: the entry is new */
    struct commit_target *target; /* of a mutation; a reference */
    struct entry *image; /* owned; of a mutation in a part: the entry after it, or as it is */
    enum commit_outcome verdict; /* VOID: NOTHING or REJECTED */
    enum error_code error;       /* REJECTED */
    uint8_t key[DEDUPE_LEN];
    uint64_t sender;         /* as pushed */
    struct side_block *side; /* owned reference; NULL: none */
    void *requester;
    uint64_t due_ms;
    size_t bytes;
    struct commit_lookup *lookup; /* that asks for its key now */
    size_t lookup_slot;
};

enum part_state {
    PART_FORMING, /* items are being taken */
    PART_WAITING, /* in lane->retry or a group: to be submitted */
    PART_FLIGHT,  /* in the lane's batch */
    PART_PROBE,   /* in lane->probes: the row is to be asked what became of it */
    PART_PROBING, /* the question is on its way */
};

/* What one room contributes to a batch; the numbers stay as long as the part exists. */
struct commit_part {
    struct list link; /* lane->retry, group->parts, lane->probes or a local list */
    enum part_state state;
    struct commit_queue *queue; /* NULL: the room was closed underneath */
    struct list items;
    struct entry **entries; /* owned references: new ones, */
    struct entry **changed; /* and last images of older ones */
    struct batch_key *keys;
    struct side_op *ops;
    struct side_block **sides; /* owned references: what the texts of ops are in */
    size_t n_sides;
    size_t n_rows, n_ops, bytes; /* rows: events, each of which takes a seq */
    struct commit_lane *lane;
    bool may_commit;             /* an earlier submission of it may still commit */
    uint64_t retry_ms, pause_ms; /* not before; the last pause */
    struct batch_room row;       /* as handed to the store; names point at text */
    char text[2 * ID_MAX];
};

/* Parts that go alone after their batch came back with refused data. */
struct commit_group {
    struct list link;
    struct list parts;
};

struct commit_tenant {
    struct map_node node;
    struct list ring;        /* lane->tenants while a room of it is ready */
    struct list queues;      /* struct commit_queue.ready */
    unsigned refs;           /* open queues */
    uint64_t alone_until_ms; /* its data was refused lately: it shares no batch with others */
    struct slice project;
    char text[ID_MAX];
};

struct commit_lane {
    struct committer *committer;
    unsigned index;
    struct list tenants; /* ring of struct commit_tenant with a ready room, next one first */
    struct map by_project;
    struct list retry;           /* struct commit_part */
    struct list groups;          /* struct commit_group */
    struct list probes;          /* struct commit_part */
    struct commit_part **flight; /* the batch that is out, NULL when none */
    struct batch_room *rooms;
    size_t n_flight;
    struct commit_part **asked; /* the probe that is out */
    size_t n_asked;
    uint64_t sent_us;
    uint64_t idle_until_ms; /* back-off while the store is unavailable */
    uint64_t backoff_ms;
    struct timer timer;
    size_t n_items, bytes;
};

/* Ids still to be handed out: next .. end - 1. */
struct id_range {
    int64_t next, end;
};

struct commit_lookup {
    size_t n;
    struct commit_item *items[]; /* NULL: gone meanwhile */
};

struct committer {
    struct env *env;
    struct store *store;
    struct commit_config config;
    struct commit_stats stats;
    struct map keys;              /* struct commit_item.by_key: not settled yet */
    struct map targets;           /* struct commit_target */
    struct list ages;             /* oldest first */
    struct list suspects;         /* not being looked up yet */
    struct list settle;           /* struct commit_queue.settle */
    struct commit_lookup *lookup; /* the one that is out */
    uint64_t lookup_after_ms, lookup_backoff_ms;
    struct timer lookup_timer, expiry, ids_timer;
    struct later kick;
    struct id_range ids, spare_ids;
    bool fetching_ids, forget_fetched;
    uint64_t ids_backoff_ms;
    bool settling;
    struct commit_lane lanes[];
};

/* committer.c */
struct commit_tenant *tenant_open(struct commit_lane *lane, struct slice project);
void tenant_close(struct commit_lane *lane, struct commit_tenant *tenant);
static inline bool tenant_is_alone(const struct commit_tenant *tenant, uint64_t now_ms)
{
    return now_ms < tenant->alone_until_ms;
}
/* What is known at the head of the queue goes to done; ready or not follows. After every change
 * of a queue. */
void queue_advance(struct commit_queue *q);
/* Closes the queue and tells its owner that the room is another's. */
void queue_lose(struct commit_queue *q);
void committer_kick_later(struct committer *c);
/* Without memory for the timer the next turns look instead. */
void committer_arm(struct committer *c, struct timer *timer, uint64_t delay_ms);

/* side.c */
struct side_block *side_block_new(const struct side_op *ops,
                                  size_t n); /* NULL: out of memory */
struct side_block *side_block_ref(struct side_block *block);
void side_block_unref(struct side_block *block); /* NULL does nothing */
size_t side_ops_size(const struct side_op *ops, size_t n);
/* May two items with these stand in one part? Of most kinds the order of two would be lost. */
bool side_blocks_agree(const struct side_block *a, const struct side_block *b);

/* item.c */
static inline size_t item_n_ops(const struct commit_item *item)
{
    return item->side ? item->side->n : 0;
}
int item_new(struct commit_queue *q, const struct commit_push *push, size_t bytes,
             struct commit_item **ret_item);
/* The item has left queue->items or its part: answer it when its turn comes. */
void item_finish(struct commit_item *item, enum commit_outcome outcome);
/* Its deadline has passed. */
void item_expire(struct commit_item *item);
/* Nothing of it is stored: its sender sends it again, and what he sent after it. */
void item_give_up(struct commit_item *item);
/* COMMIT_DROPPED, at once. */
void item_drop(struct committer *c, struct commit_item *item);
/* The key turned out to be that of an older entry (a reference is taken). */
void item_set_duplicate(struct commit_item *item, struct entry *original, uint64_t change_seq);
/* Reports what is in done, of all queues. Last in every callback from below: queues may close
 * in it. */
void committer_settle(struct committer *c);

/* target.c */
/* The target of a change of this entry, with one more reference; made from `base` when there is
 * none. NULL: out of memory. */
struct commit_target *target_get(struct commit_queue *q, struct entry *base);
void target_put(struct committer *c, struct commit_target *target);
/* The image that the next change in a part is applied to. */
static inline struct entry *target_newest(const struct commit_target *target)
{
    return target->staged ? target->staged : target->current;
}
void target_stage(struct commit_target *target, struct entry *image); /* takes a reference */
void target_commit(
    struct commit_target *target); /* what is staged is committed; may be nothing */
void target_unstage(struct commit_target *target);

/* batch.c */
void lane_kick(struct commit_lane *lane); /* sends a batch when there is one to send */
void lane_wake_at(struct commit_lane *lane, uint64_t when_ms);

/* part.c */
enum part_take { PART_TAKE_MORE, PART_TAKE_ALL }; /* is there more to take in a later round? */
struct commit_part *part_new(struct commit_queue *q);
void part_free(struct commit_part *part);
/* Moves items of the queue into the part: at most max_rows rows and, after the first,
 * max_bytes. */
enum part_take part_take(struct commit_part *part, size_t max_rows, size_t max_bytes);
/* Numbers the rows. False: there is nothing to submit, and the part is gone: what needs no
 * number has been finished, the rest is back in the queue. */
bool part_build(struct commit_part *part, int64_t now_us);
void part_committed(struct commit_part *part);
/* Known not to be written: the items go back to the head of their queue; answered ones are
 * forgotten. */
void part_dissolve(struct commit_part *part);
/* The room closes: frees the part, or lets what is out come back without the room. Its items
 * are gone already. */
void part_detach(struct commit_part *part);
/* Nothing of it is out, and nothing of it can commit any more. */
static inline bool part_is_at_home(const struct commit_part *part)
{
    return !part->may_commit && (part->state == PART_WAITING || part->state == PART_PROBE);
}

/* number.c */
/* The next id above floor; false: none here, more are on their way. */
bool ids_take(struct committer *c, int64_t floor, int64_t *ret_id);
void ids_want(struct committer *c);
void ids_init(struct committer *c);

/* resolve.c */
void lane_on_submitted(void *arg, enum store_result result, const bool *committed,
                       bool is_duplicate);
/* These parts could not be sent or came back without an answer: again, after a pause. */
void lane_put_off(struct commit_lane *lane, struct list *parts, bool may_commit);
void lane_probe(struct commit_lane *lane);

/* lookup.c */
void lookup_init(struct committer *c);
void lookup_add(struct commit_item *item);  /* to be asked for at the end of the turn */
void lookup_drop(struct commit_item *item); /* no longer of interest */
void lookup_ask(struct committer *c);
