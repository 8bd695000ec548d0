/*
 * return.h - what the two halves of `return` share: the process whose clients are dropped and
 * come back, and the one whose clients stay at their gateway and go on talking meanwhile.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/net.h"
#include "tests/bench/tool.h"

#define TARGETS_MAX 16

struct targets {
    struct sockaddr_in addr[TARGETS_MAX];
    uint32_t n;
};

struct return_options {
    struct targets from, to; /* where the clients are at first, and where they return */
    struct targets stay;
    struct sockaddr_in floor; /* sin_port 0: no floor */
    const char *api_key, *prefix;
    uint32_t clients, rooms, rate;
    bool has_jitter;
    double timeout_s;
};

/* The text behind a key of a frame ("\"seq\":"), at its top level or not; 0 when it is not
 * there. */
uint64_t frame_number(const char *p, size_t len, const char *key);
bool frame_is(const char *p, size_t len, const char *type);
/*
 * Each room has one writer, who counts: its messages begin with "~~ROOM:N:DUE~~". Walks over
 * those in a frame.
 */
struct marks {
    const char *at, *end;
};
bool marks_next(struct marks *marks, uint64_t *ret_n, uint64_t *ret_due_ns);

/* Fills @request with a handshake for a native socket. has_cursor: it resumes. */
void socket_request(struct text *request, const struct return_options *o,
                    const struct sockaddr_in *addr, uint32_t room, const char *token,
                    bool has_cursor, uint64_t last_seq);

/* ---- return_stay.c ---- */

/* What the clients who stay have seen in one phase; @late: from when a message was due to when
 * everybody who stayed had it. */
struct stay_figures {
    uint64_t messages, frames;
    double p50_ms, p99_ms, max_ms;
    double p99_at_ms[TARGETS_MAX]; /* of those at each of the gateways */
    double
        own_p99_ms; /* how late this process itself was, to tell a busy machine from a stall */
};

struct stay_report {
    struct stay_figures calm, storm;
    uint64_t last_n[]; /* of each room: the number of its last message */
};

struct stay; /* the other process */
/* @tokens: of the writer and of one reader of each room, in that order. Returns when all of
 * them are in their rooms and talk. */
struct stay *stay_start(const struct return_options *o, char **tokens);
/* From now on everything counts as storm. */
void stay_storm(struct stay *stay);
/* Ends the talking and the process; owned by the caller. */
struct stay_report *stay_end(struct stay *stay);
