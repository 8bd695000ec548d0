/* regulars_state.h - what regulars.c and regulars_in.c share; nobody else includes it. */
#pragma once

#include "tests/bench/net.h"
#include "tests/bench/regulars.h"
#include "tests/bench/scan.h"
#include "tests/bench/tool.h"

struct regular_pending {
    uint32_t n;
    uint32_t repeats;
    uint64_t due_ns;
    uint64_t retry_at_ns; /* 0: sent, or waiting for the socket */
};

/* While a client changes over it has two of them. Their net ids are 2 * client + 0 or 1. */
struct regular_socket {
    struct net_client net;
    bool is_subscribed;
    bool has_replay; /* what was missed has come, or there was nothing to ask for */
    bool has_seq;
    uint64_t seq; /* up to which this socket has brought everything */
};

struct regular {
    struct regular_socket sockets[2];
    uint32_t current; /* the socket in use; the other one is closed, or on its way */
    char *token;      /* owned */
    char generation[32];
    bool is_in, was_in;
    uint32_t moves;      /* connections opened so far */
    uint32_t tries;      /* since the socket was lost */
    uint64_t back_at_ns; /* when to come back; 0: connected, or connecting */
    uint64_t next_at_ns; /* when to open the other socket, as a goaway asks; 0: not asked */
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
    char first_wrong[160];
    char first_error[256];
    char first_loss[160];
};

void regulars_on_payload(void *owner, struct net_client *net, const char *p, size_t len);

/* The socket is in the room, and what was missed has come: it is the one in use from now on. */
void regulars_use(struct regulars *r, uint32_t i, uint32_t socket);
