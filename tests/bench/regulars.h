/*
 * regulars.h - clients that keep their place: each is in one room, comes back with its cursor
 * when its socket breaks, and repeats what is not acknowledged, as docs/protocol-client.md
 * asks.
 *
 * Connection i is member i / rooms of room i % rooms, as in crowd.h, and its n-th message has
 * the clientMessageId "i-n". What arrives is held against check.h. They are native clients.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/check.h"
#include "tests/bench/setup.h"

#define REGULARS_TARGETS 16

struct regulars;

struct regulars_options {
    struct sockaddr_in target[REGULARS_TARGETS];
    uint32_t n_targets;
    const char *api_key;
    const char *prefix; /* begins the name of each room and user */
    uint32_t rooms;
    uint32_t members; /* per room; all of them send */
    uint32_t size;    /* bytes of content */
    uint32_t opening; /* connections being opened at one time, at first */
};

struct regulars_events {
    /* Message @n of @sender was acknowledged, or reached one more member, for the first time.
     */
    void (*on_acked)(void *owner, uint32_t sender, uint32_t n, uint64_t at_ns);
    void (*on_seen)(void *owner, uint32_t sender, uint32_t n, uint64_t at_ns);
};

struct regulars_counts {
    uint64_t closed;    /* times that a client who was in its room was left without a socket */
    uint64_t changed;   /* went over to another socket without such a time */
    uint64_t attempts;  /* to come back */
    uint64_t returned;  /* came back */
    uint64_t resets;    /* cursors that the server could not continue */
    uint64_t retryable; /* error frames that ask for another try */
    uint64_t refused;   /* error frames that do not, or that name no message of ours */
    uint64_t repeated;  /* frames sent again, for either reason */
    uint64_t echoes;    /* what was sent again, shown to its sender again */
    uint64_t stray;     /* acknowledgements of what nobody waits for */
    uint64_t goaway;    /* frames that ask to go elsewhere */
};

struct regulars *regulars_new(const struct regulars_options *o,
                              const struct regulars_events *events, void *owner);
void regulars_free(struct regulars *r);

/* Makes rooms and tokens, then opens every connection. Blocks; die()s when one is refused. */
void regulars_gather(struct regulars *r);

/* Sends message @n of @sender, the next one, now or when its socket is back. */
void regulars_send(struct regulars *r, uint32_t sender, uint32_t n, uint64_t due_ns);

/* Comes back, repeats what is due, and waits at most @wait_ns for something to arrive. */
void regulars_turn(struct regulars *r, uint64_t wait_ns);

const struct regulars_counts *regulars_counts(const struct regulars *r);
const struct check_totals *regulars_checks(const struct regulars *r);
uint32_t regulars_away(const struct regulars *r);

/* The longest time between two messages, by client, since the last call; @ret_ns has a place
 * for each client. A silence that has not ended counts up to now. */
void regulars_take_silences(struct regulars *r, uint64_t *ret_ns);

/* The first text of that sort, or "": a frame that broke a promise, an error frame, the end of
 * a socket. */
const char *regulars_first_wrong(const struct regulars *r);
const char *regulars_first_error(const struct regulars *r);
const char *regulars_first_loss(const struct regulars *r);

/* Messages of everybody that some member still lacks, added to the totals as lost. */
void regulars_count_missing(struct regulars *r);
