/*
 * missed.h - sleeping rooms whose last socket here has gone while other gateways
 * have sockets in them: nobody else can tell those that somebody has left. Each
 * is asked to wake (DETACH with `wake` to its owner), again after a while, until
 * a WAKE says that it is awake. Given up after MISSED_TRIES: then presence shows
 * it when the room next wakes.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"

struct sessions;

struct missed_rooms {
    struct map by_name; /* struct missed, by project and room */
    struct list by_due; /* the same, the next to be asked first */
};

void missed_init(struct missed_rooms *missed);
void missed_deinit(struct missed_rooms *missed);

/* Out of memory, or there are MISSED_MAX: left out. */
void missed_add(struct sessions *all, struct slice project, struct slice room);
/* The room is awake, wherever. */
void missed_on_wake(struct sessions *all, struct slice project, struct slice room);
void missed_sweep(struct sessions *all);
