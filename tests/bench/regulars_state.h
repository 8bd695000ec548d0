/* regulars_state.h - what regulars.c and regulars_in.c share; nobody else includes it. */
#pragma once

#include "tests/bench/net.h"
#include "tests/bench/regulars.h"
#include "tests/bench/scan.h"
#include "tests/bench/tool.h"

struct regular_pending {
    uint32_t n;
    uint64_t due_ns;
    uint64_t retry_at_ns; /* 0: sent, or waiting for the socket */
};

struct regular {
    struct net_client net;
    char *token; /* owned */
    char generation[32];
    bool is_in, was_in;
    uint32_t moves;      /* connections opened so far */
    uint32_t tries;      /* since the socket was lost */
    uint64_t back_at_ns; /* when to come back; 0: connected, or connecting */
    uint32_t sent;
    struct regular_pending *pending; /* owned; not acknowledged, in the order of sending */
    uint32_t n_pending, cap_pending;
    uint32_t *refused; /* owned; numbers that the server wanted again later */
    uint32_t n_refused;
    struct check_member check;
    struct check_order order; /* of what this client sends */
    uint64_t last_ns;         /* when it last got a message */
    uint64_t silence_ns;
};

struct regulars {
    const struct regulars_options *o; /* borrowed; outlives us */
    struct regulars_events events;
    void *owner;
    struct net *net;
    struct regular *clients; /* owned; n */
    uint32_t n, n_in, away;
    uint64_t random;
    uint64_t tick_at_ns;
    struct text text;
    struct regulars_counts counts;
    struct check_totals checks;
    char first_error[256];
    char first_loss[160];
};

void regulars_on_payload(void *owner, struct net_client *net, const char *p, size_t len);

/* Everything that is not acknowledged, in order, on a socket that has just come back. */
void regulars_repeat_all(struct regulars *r, uint32_t i);
