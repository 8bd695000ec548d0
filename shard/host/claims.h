/*
 * claims.h - which rooms are claimed next. So many claims are under way at a
 * time; the others wait, those to which live sockets come back (after a move, a
 * broken link, the death of another shard) before those that are only entered.
 * Without it the rooms of thousands who come at once would stand in the store's
 * queue before everything else that wants a room's row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"

struct host;
struct room_host;

struct claims {
    struct list waiting[2]; /* struct room_host.in_claims: somebody is waiting; others */
    size_t n_waiting, n_out;
    bool is_running; /* in claims.c: run(); or stopped for good */
};

void claims_init(struct claims *claims);
/* The host goes: no further one is started. */
void claims_stop(struct claims *claims);
/* Or not for good. */
void claims_go_on(struct claims *claims);
/* More rooms wait than are taken in: somebody comes back later. */
bool claims_are_full(const struct claims *claims);
/* room_start_claim() is called, now or when it is the room's turn. */
void claims_want(struct room_host *room);
/* If the room waits, it goes before those that nobody is in a hurry for. */
void claims_hurry(struct room_host *room);
/* The claim that was started has its answer, or could not be started. */
void claims_on_end(struct room_host *room);
/* The room goes, whether it waits or its claim is under way. */
void claims_forget(struct room_host *room);
