/*
 * crowd.h - all the connections of a run: rooms made, tokens minted, sockets in their rooms.
 *
 * Connection i is member i / rooms of room i % rooms, so that a room's members come in one
 * after another and rooms fill evenly. What arrives is scanned here and handed on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tests/bench/load_options.h"
#include "tests/bench/scan.h"

struct crowd;

/* @at_ns is when the frame was read from the socket. */
typedef void (*crowd_frame_fn)(void *owner, uint32_t conn, const struct scan *scan,
                               uint64_t at_ns);

struct crowd *crowd_new(const struct load_options *o, crowd_frame_fn on_frame, void *owner);
void crowd_free(struct crowd *crowd);

/* Makes rooms and tokens (blocks), then opens every connection. die()s when one is refused. */
void crowd_prepare(struct crowd *crowd);
void crowd_gather(struct crowd *crowd);

uint32_t crowd_size(const struct crowd *crowd);

void crowd_send(struct crowd *crowd, uint32_t conn, const char *p, size_t len);
void crowd_turn(struct crowd *crowd, uint64_t wait_ns);

/* Takes turns for @ns, then until nothing has arrived for 300 ms (at most 10 s more). */
void crowd_settle(struct crowd *crowd, uint64_t ns);
void crowd_disperse(struct crowd *crowd);

/* Connections lost after they were in, error frames received, and the first such text or "". */
uint64_t crowd_lost(const struct crowd *crowd);
uint64_t crowd_errors(const struct crowd *crowd);
const char *crowd_first_error(const struct crowd *crowd);
double crowd_gather_seconds(const struct crowd *crowd);
