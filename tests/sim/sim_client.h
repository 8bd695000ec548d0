/*
 * sim_client.h - a user of the simulated cluster: sends messages with keys,
 * changes what it has seen, comes back after every break with the last seq it
 * saw, sends again what was not acknowledged, and holds everything that it is
 * shown against the promises.
 */
#pragma once

#include "common/base/map.h"
#include "tests/sim/sim_stream.h"
#include "tests/sim/sim_world.h"

#define SIM_RECENT 32 /* messages that a client remembers to change */

struct sim_client_config {
    const char *project, *room, *user;
    bool native; /* fluxy.v1: resumes by seq; else like the old SDK: takes a snapshot after a
                    break */
    uint32_t replay_limit;
};

enum sim_change { SIM_EDIT, SIM_DELETE, SIM_REACTION, SIM_CHANGE_COUNT };

/* What became of a message before it was stored. */
struct sim_fate_of {
    uint64_t said_ms;    /* first */
    uint64_t settled_ms; /* when the client first heard what became of it; 0: not yet */
    bool was_refused;    /* once, and sent again alone */
};

struct sim_client {
    struct sim_world *world;
    struct sim_check *check;
    struct sim_client_config config;
    struct sim_socket socket;
    bool is_live; /* subscription_succeeded came */
    /* What the newest presence frame said. */
    uint64_t online, n_here;

    uint64_t seq; /* everything up to here has been seen (native) */
    char generation[64];
    uint64_t excused_below; /* a reset has shown nothing below this seq */
    bool has_cursor;
    struct map seen; /* struct seen by seq */
    struct {
        int64_t id;
        bool is_own;
    } recent[SIM_RECENT];
    uint64_t n_recent;
    struct list unacked; /* struct sim_post, oldest first */
    size_t n_unacked;
    uint64_t n_posts, n_acks;
    struct sim_fate_of *fates; /* by number */
    size_t n_fates;
    uint64_t newest_stored; /* number, while the store is looked through */
    struct sim_stream stream;
};

void sim_client_init(struct sim_client *client, struct sim_world *world,
                     const struct sim_client_config *config, size_t first_edge);
void sim_client_deinit(struct sim_client *client);
void sim_client_connect(struct sim_client *client);
/* Sends one message with a key; it is sent again until it is acknowledged. */
void sim_client_post(struct sim_client *client);
/* Changes one of the messages that it has seen lately, if it may; likewise. */
void sim_client_change(struct sim_client *client, enum sim_change change);
/* Sends a typing frame; nobody may lose by it. */
void sim_client_type(struct sim_client *client);
/* The client closes its socket itself and comes back later. */
void sim_client_hang_up(struct sim_client *client);
/* Live, nothing unacknowledged, and given everything up to the head of its room. */
bool sim_client_has_settled(const struct sim_client *client);
/* This message, with its key, comes next in the store. What one sender has sent is stored in
 * the order in which he sent it, but for what was refused in between. */
void sim_client_check_order(struct sim_client *client, struct slice key, int64_t created_us);
bool sim_client_has_seen(const struct sim_client *client, uint64_t seq);
