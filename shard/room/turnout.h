/*
 * turnout.h - what the sockets of a room have not been told yet about who is
 * here, and when they may be told. Pure, time is an argument.
 *
 * Three kinds of news: notices (member_joined, member_left: one user each, only
 * in rooms that are listed in full), presence (the state, which makes all that
 * came before it superfluous), and changes since the last presence (for
 * presence_delta). Each frame is sent to every socket, so the room spends from
 * one account: at most PRESENCE_FRAMES in any PRESENCE_WINDOW_MS, and presence
 * the less often the more sockets there are. A storm of joins thus costs bytes
 * in proportion to its joins. What no longer fits the bounds is left out, and
 * presence says it.
 *
 * Somebody who leaves and is back before that was told has never left.
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/list.h"
#include "common/base/slice.h"
#include "shard/limits.h"

struct turnout_notice {
    struct list link;
    const void *socket; /* the one that does not get it (the newcomer's own), only compared, or
                           NULL */
    bool is_join;
    struct slice user, json; /* point into bytes */
    char bytes[];
};

struct turnout_change {
    struct list link;
    bool is_join;
    struct slice user, info; /* point into bytes */
    char bytes[];
};

struct turnout {
    uint64_t frames_ms[PRESENCE_FRAMES]; /* when the newest frames went out; 0: never */
    unsigned oldest;                     /* index of the oldest of them */
    bool is_due;                         /* the state differs from the last presence */
    uint64_t due_since_ms;
    uint64_t published_ms; /* the last presence; 0: never */
    struct list notices;   /* struct turnout_notice, the oldest first */
    size_t n_notices;
    struct list changes; /* struct turnout_change since the last presence */
    size_t n_changes, change_bytes;
    bool is_incomplete; /* there are more changes than these */
    uint64_t left_out;  /* notices that were not kept; the host counts and clears */
};

struct turnout_size {
    size_t n_users, n_sockets;
};

void turnout_init(struct turnout *turnout);
void turnout_deinit(struct turnout *turnout);

/* Up to this many users a room is listed in full. */
static inline bool turnout_is_listed(size_t n_users)
{
    return n_users <= PRESENCE_LIST_MAX;
}

/* The first socket of a user, or the last one, has come or gone. json: the notice; empty: none
 * is wanted. Out of memory, the news is left out. */
void turnout_join(struct turnout *turnout, struct slice user, struct slice info,
                  struct slice json, const void *socket);
void turnout_leave(struct turnout *turnout, struct slice user, struct slice json);
/* The user turns out to have been here before: his coming is no news. */
void turnout_was_here(struct turnout *turnout, struct slice user);
/* Anything about the numbers has changed. */
void turnout_touch(struct turnout *turnout, uint64_t now_ms);
/* What changed since the last presence is not known. */
void turnout_lose_track(struct turnout *turnout);
/* Nobody is to be told one by one: the room is no longer listed in full. How many there were.
 */
size_t turnout_drop_notices(struct turnout *turnout);
/* The socket is gone: nobody is left out any more for its sake. */
void turnout_forget_socket(struct turnout *turnout, const void *socket);

/* The pause between two frames to all sockets that say no more than one could. */
uint64_t turnout_interval_ms(struct turnout_size size);

enum turnout_step { TURNOUT_WAIT, TURNOUT_NOTICE, TURNOUT_PRESENCE };
/* What to send now. TURNOUT_WAIT: nothing, ask again in *ret_wait_ms (0: only after a change).
 */
enum turnout_step turnout_next(const struct turnout *turnout, struct turnout_size size,
                               uint64_t now_ms, uint64_t *ret_wait_ms);
/* The oldest notice; the caller sends it, and frees it. */
struct turnout_notice *turnout_take_notice(struct turnout *turnout);
/* So many frames went to each socket. */
void turnout_account(struct turnout *turnout, unsigned n_frames, uint64_t now_ms);
/* Presence was sent, in so many frames (which are accounted for): nothing is owed. */
void turnout_published(struct turnout *turnout, unsigned n_frames, uint64_t now_ms);
/* Nothing waits to be told. */
bool turnout_is_quiet(const struct turnout *turnout);
