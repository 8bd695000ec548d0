/*
 * skips.h - durable events that are not shown live: in a room with more users
 * than are listed nobody is told of each who joins, or a storm of joins would
 * cost bytes by the square of its size. Native sockets get one `skip` for a run
 * of their numbers: before the next event that is shown, or after a while. Who
 * asks for the history gets the events themselves.
 */
#pragma once

#include <stdbool.h>

#include "common/base/timers.h"

struct entry;
struct room_host;

struct skips {
    uint64_t from_seq, to_seq; /* not told yet; 0: none */
    struct timer timer;
};

void skips_init(struct room_host *room);
void skips_stop(struct room_host *room);
/* Whether the entry, which is new, is not to be shown. */
bool skips_wants(const struct room_host *room, const struct entry *e);
/* The event with the next number is not shown. */
void skips_add(struct room_host *room, uint64_t seq);
/* Tells what has been skipped, if anything. */
void skips_tell(struct room_host *room);
