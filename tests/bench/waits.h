/*
 * waits.h - how long each message of a run waited, and what that makes of a stretch of the run.
 *
 * A message is due at a time that the schedule fixes, whatever the server does, and it waits
 * from then until its sender has the acknowledgement AND every member of its room has it. So a
 * stall is seen by each message that falls into it, also by those that could not be sent.
 *
 * The stall of a room in a stretch is the longest wait of a message that was due there. Pure,
 * apart from ending the program when memory runs out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/histo.h"

struct waits_message {
    uint64_t due_ns;
    uint64_t acked_ns; /* 0: not yet */
    uint64_t seen_ns;  /* when the last member got it; 0: not yet */
    uint32_t left;     /* members that lack it */
};

/* Messages are numbered from 0 in the order in which they are due; number k is of room
 * k % rooms. */
struct waits {
    struct waits_message *messages; /* owned */
    uint64_t n;
    uint64_t cap;
    uint32_t rooms;
    uint32_t members;
};

/* What a stretch [from, to) of numbers comes to. */
struct waits_figures {
    uint64_t n;
    uint64_t unsettled; /* have not ended; counted as if they ended now */
    uint64_t acked;
    struct histo wait;
    struct histo ack;  /* due to acknowledged */
    uint64_t *room_ns; /* owned; by room: its stall */
};

void waits_init(struct waits *w, uint32_t rooms, uint32_t members);
void waits_deinit(struct waits *w);

/* The next message; its number. */
uint64_t waits_due(struct waits *w, uint64_t due_ns);

/* Numbers that were never given out, and what was known already, change nothing. */
void waits_acked(struct waits *w, uint64_t k, uint64_t at_ns);
void waits_seen(struct waits *w, uint64_t k, uint64_t at_ns);

bool waits_is_settled(const struct waits *w, uint64_t k);

/* The lowest number in [from, to) that has not ended, or @to. */
uint64_t waits_first_open(const struct waits *w, uint64_t from, uint64_t to);

void waits_figures_init(struct waits_figures *f, const struct waits *w, uint64_t from,
                        uint64_t to, uint64_t now_ns);
void waits_figures_deinit(struct waits_figures *f);

/* The quantile of @n values by nearest rank (of 100 values the 0.99 quantile is the second
 * largest). Sorts them. */
uint64_t waits_quantile(uint64_t *values, uint32_t n, double q);
