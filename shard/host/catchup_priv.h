/* catchup_priv.h - a catch-up under way: what catchup.c (finds what is missing) and
 * catchup_give.c (gives it) share. */
#pragma once

#include "common/base/env.h"
#include "shard/host/catchup.h"

enum catchup_kind {
    CATCHUP_SNAPSHOT, /* the newest messages */
    CATCHUP_REPLAY,   /* replay frames from a cursor */
    CATCHUP_LIVE,     /* the frames that a live socket would have got */
    CATCHUP_CHANGES,  /* behind the snapshot of an old client that was here before: what has
                         become of what it had */
};

struct catchup {
    struct attach *attach; /* NULL: gone, only the store's answer is awaited */
    struct op *op;         /* of the `resume` frame; NULL: on connect */
    enum catchup_kind kind;
    bool has_begun;
    bool is_reset;   /* the cursor could not be resumed */
    bool is_renamed; /* the cursor is of the generation before: the socket must hear of ours */
    bool is_doubted; /* the cursor, or the snapshot, is above our head: the row must say that
                        we still own the room */
    bool is_reading; /* a store call is open */
    bool is_waiting; /* for MORE */
    bool is_queued;  /* until the frames before the `resume` are settled */
    bool has_reach;  /* the snapshot goes back to `reach`, and changes follow it */
    uint64_t reach;
    uint64_t at;    /* the socket has been given everything up to here */
    uint64_t known; /* LIVE, CHANGES: messages up to here it had before the first page */
    uint64_t retry_ms;
    struct pace *pace;   /* whose turn it is */
    struct list in_pace; /* waits for it there */
    struct timer retry;
    struct later dead;
};

/* ---- catchup.c ---- */

/* It is its turn: begins, or takes the next step. */
void catchup_run(struct catchup *catchup);
/* Its socket was live before. */
static inline bool catchup_was_live(const struct catchup *catchup)
{
    return catchup->op || (catchup->attach->flags & ATTACH_REATTACH);
}

/* Ends the catch-up's tie to its attach; the memory goes when nobody can hold it any more. */
void catchup_release(struct catchup *catchup);

/* ---- catchup_give.c: each may end the catch-up ---- */

/* Entries with catchup->at < updated_seq <= to; more: this is not the head yet. */
void catchup_give_page(struct catchup *catchup, struct entry *const *entries, size_t n,
                       uint64_t to, bool more);
/* The newest messages as of `head`. */
void catchup_give_snapshot(struct catchup *catchup, struct entry *const *entries, size_t n,
                           uint64_t head, bool has_more);
/* subscription_succeeded. at: what the socket has been given; cursor: the same, or 0 when it
 * has been told. */
void catchup_say_subscribed(struct attach *attach, uint64_t at, uint64_t cursor);
/* The next page goes out when the gateway has room for it. */
void catchup_wait_for_more(struct catchup *catchup);
/* Caught up: the socket is live. */
void catchup_finish(struct catchup *catchup);
/* Gives up: the socket is closed (connect), or the resume is answered with an error. */
void catchup_fail(struct catchup *catchup);
