/*
 * reads.h - read pointers of a room: gathered, and written at most once a second
 * in one statement for all users of the room (the first after a pause at once).
 * A pointer that has moved is told to the room; who waits for it is answered
 * after the write. What is not written when the room ends is written without it.
 */
#pragma once

#include "common/base/env.h"
#include "common/json/errors.h"
#include "shard/room/read_marks.h"

struct read_flight;
struct room_host;

struct reads {
    struct read_marks waiting;
    struct read_flight *flight; /* being written; NULL: none */
    struct timer timer;
    uint64_t not_before_ms; /* the next write */
    uint64_t retry_ms;
    bool has_given_up; /* leaving, and the store does not answer */
};

enum read_outcome {
    READ_DONE,      /* written, or nothing to write: he had read further */
    READ_NOT_FOUND, /* there is no such message for him */
    READ_FAILED,    /* error says why */
    READ_MOVED,     /* the room goes; ask its new owner */
};

/* Who waits for a write. Embedded in its owner, who may take itself off the list at any time.
 */
struct read_wait {
    struct list link;
    int64_t id;
    /* Once. May be called from inside room_close(). */
    void (*fn)(struct read_wait *wait, enum read_outcome outcome, enum error_code error);
};

void reads_init(struct room_host *room);
/* The user, who is a member of the active room, has read up to this message. wait: is taken
 * when the answer is ERROR_NONE; NULL: nobody waits. message_not_found: there is no message
 * with this id, as far as memory can say; overloaded. */
enum error_code reads_put(struct room_host *room, struct slice user, int64_t id,
                          struct read_wait *wait) MUST_CHECK;
/* The newest message up to which he has read as far as it is not written; 0: none. */
int64_t reads_pending(const struct room_host *room, struct slice user);
static inline bool reads_are_idle(const struct reads *reads)
{
    return !reads->flight && read_marks_count(&reads->waiting) == 0;
}
/* The room is leaving and waits for a write: it starts at once; room_leave_on() is called when
 * all is written or the store has failed. */
void reads_flush(struct room_host *room);
static inline bool reads_are_done(const struct reads *reads)
{
    return reads_are_idle(reads) || (!reads->flight && reads->has_given_up);
}
/* The room ends. Writes what is left, if it is to be kept. */
void reads_end(struct room_host *room, bool keep);
