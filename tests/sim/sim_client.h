/*
 * sim_client.h - a user of the simulated cluster: sends messages with keys,
 * comes back after every break with the last seq it saw, sends again what was
 * not acknowledged, and holds everything that it is shown against the promises.
 *
 * It talks to the gateway's session code directly: what it writes is one text
 * message, what it reads are server WebSocket frames.
 */
#pragma once

#include "common/base/map.h"
#include "gateway/session/session.h"
#include "tests/sim/sim.h"

struct sim_check;

/* The gateway that a client dials, as the world knows it; NULL sessions: it is down. */
struct sim_edge {
    struct sim_node *node;
    struct sessions *sessions;
};

struct sim_client_config {
    const char *project, *room, *user;
    bool native; /* fluxy.v1: resumes by seq; else like the old SDK: takes a snapshot after a
                    break */
    uint32_t replay_limit;
};

struct sim_client {
    struct sim *sim;
    struct sim_check *check;
    struct sim_client_config config;
    struct sim_edge *edges;
    size_t n_edges, edge; /* edge: the one dialled last */

    struct stream stream;    /* what the session writes to */
    struct session *session; /* NULL: not connected */
    bool is_live;            /* subscription_succeeded came */
    bool is_stopped;
    unsigned generation_of_socket; /* tells events of an older socket apart */

    uint64_t seq; /* everything up to here has been seen (native) */
    char generation[64];
    bool has_cursor;
    struct map seen; /* struct seen by seq */
    size_t n_seen;
    struct list unacked; /* struct sim_post, oldest first */
    size_t n_unacked;
    uint64_t n_posts, n_acks, n_connects;
    unsigned backoff;
    uint64_t arrives_ms; /* when the last frame reaches us: the next one is not earlier */
};

void sim_client_init(struct sim_client *client, struct sim *sim, struct sim_check *check,
                     const struct sim_client_config *config, struct sim_edge *edges,
                     size_t n_edges, size_t first_edge);
void sim_client_deinit(struct sim_client *client);
void sim_client_connect(struct sim_client *client);
/* Sends one message with a key; it is sent again until it is acknowledged. */
void sim_client_post(struct sim_client *client);
/* Sends a typing frame; nobody may lose by it. */
void sim_client_type(struct sim_client *client);
/* The gateway process died: the socket breaks. */
void sim_client_cut(struct sim_client *client);
/* The client closes its socket itself and comes back later. */
void sim_client_hang_up(struct sim_client *client);
bool sim_client_has_settled(
    const struct sim_client *client); /* live and nothing unacknowledged */
bool sim_client_has_seen(const struct sim_client *client, uint64_t seq);
