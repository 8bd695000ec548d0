/*
 * sim_socket.h - a client's connection in the simulated world: dials one gateway
 * after the other, comes back after every break, and hands over the server's
 * frames whole, one by one, a little later and in order.
 *
 * It talks to the gateway's session code directly: what it writes is one text
 * message, what it reads are server WebSocket frames.
 */
#pragma once

#include <jansson.h>

#include "gateway/session/session.h"
#include "tests/sim/sim.h"

struct sim_socket;
struct sim_world;

/* The gateway that a client dials, as the world knows it; NULL sessions: it is down. */
struct sim_edge {
    struct sim_node *node;
    struct sessions *sessions;
};

struct sim_socket_events {
    /* It is about to dial: who it is, and how it enters its room. ret_enter is not needed with
     * many_rooms. What the slices point at is the owner's, and stays during the call. */
    void (*on_dial)(struct sim_socket *socket, struct session_params *ret_params,
                    struct enter_params *ret_enter);
    /* The session is open; with many_rooms it may subscribe. May be NULL. */
    void (*on_open)(struct sim_socket *socket);
    /* NULL frame: the text is no JSON object with a type. */
    void (*on_frame)(struct sim_socket *socket, const json_t *frame, struct slice text);
    /* It is away; by itself it comes back. */
    void (*on_gone)(struct sim_socket *socket);
};

struct sim_socket {
    struct sim_world *world;
    const struct sim_socket_events *events;
    const char *name;        /* in what is told of it */
    struct list link;        /* world->sockets */
    size_t edge;             /* the one of world->edges that was dialled last */
    struct list said;        /* struct said: not read yet, the gateway is stopped */
    struct stream stream;    /* what the session writes to */
    struct session *session; /* NULL: not connected */
    bool is_full; /* more was queued than the session likes; it hears when that has gone */
    bool is_stopped;
    unsigned number; /* of the connection; tells what belongs to an older one apart */
    unsigned backoff;
    uint64_t n_connects;
    uint64_t arrives_ms; /* when the last frame reaches us: the next one is not earlier */
};

/* Away until it is told to connect. name: borrowed. */
void sim_socket_init(struct sim_socket *socket, struct sim_world *world,
                     const struct sim_socket_events *events, const char *name,
                     size_t first_edge);
void sim_socket_deinit(struct sim_socket *socket);
void sim_socket_connect(struct sim_socket *socket);
/* Lost when it is not connected. */
void sim_socket_say(struct sim_socket *socket, struct slice json);
/* It is well connected: the next break begins with a short pause again. */
void sim_socket_is_well(struct sim_socket *socket);
/* Everything of this room up to seq has reached the client, shown or not. */
bool sim_socket_is_given(const struct sim_socket *socket, struct slice room, uint64_t seq);
/* It has been attached to this room once: nothing had to be told again. */
bool sim_socket_is_first(const struct sim_socket *socket, struct slice room);
/* The client reads nothing for a while; what it says goes out. */
void sim_socket_stall(struct sim_socket *socket, uint64_t ms);
/* The gateway process died: the socket breaks. */
void sim_socket_cut(struct sim_socket *socket);
/* The client closes its socket itself and comes back: soon, or after this time. */
void sim_socket_hang_up(struct sim_socket *socket, uint64_t away_ms);
/* fn(socket, number) after this time, unless the connection has ended by then. */
typedef void (*sim_socket_fn)(struct sim_socket *socket, uint64_t number);
void sim_socket_after(struct sim_socket *socket, uint64_t ms, sim_socket_fn fn,
                      uint64_t number);

/* Members of frames; 0 or empty when they are missing or of another kind. */
uint64_t frame_u64(const json_t *frame, const char *name);
struct slice frame_str(const json_t *frame, const char *name);
