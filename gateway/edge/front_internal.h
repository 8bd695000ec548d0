/* front_internal.h - what the files of the front share. */
#pragma once

#include "gateway/edge/front.h"

/* Sockets and event streams that are to be opened: so many in a turn of the loop, the others
 * wait (openings.c). */
struct opening {
    struct list link;                     /* openings.waiting */
    void (*run)(struct opening *opening); /* its turn has come */
};

struct openings {
    struct list waiting; /* struct opening, as they came */
    size_t n_waiting;
    unsigned used; /* in this turn */
    struct timer timer;
    struct later end_of_turn;
};

struct front {
    struct front_parts parts;
    struct http_server http;
    struct ws_server ws;
    struct list opening; /* struct socket_opening: waits to be let in */
    struct openings openings;
    struct list sockets; /* struct room_socket */
    struct list streams; /* struct event_stream */
    bool draining;
};

/* socket_open.c: a request for a room socket. Takes the exchange. */
void socket_open(struct front *front, struct http_exchange *ex);
/* Those who still wait are dropped. */
void socket_open_cancel_all(struct front *front);

void openings_init(struct front *front);
void openings_stop(struct front *front);
/* False: it is not its turn. */
bool openings_take_turn(struct front *front);
bool openings_are_full(const struct front *front);
void openings_wait(struct front *front, struct opening *opening);
void openings_leave(struct front *front,
                    struct opening *opening); /* no-op when it does not wait */

struct socket_query;
struct token;
/* room_socket.c: somebody has been let in; the handshake is answered. rest: bytes that came
 * behind it. */
void room_socket_start(struct front *front, struct stream *stream,
                       const struct socket_query *query, const struct token *token,
                       struct slice trace, struct slice rest);
/* Nobody has been let in: the close frame says why. */
void room_socket_refuse(struct front *front, struct stream *stream, unsigned code,
                        const char *reason);
/* Ends all sockets at once, without a word. */
void room_socket_drop_all(struct front *front);
void front_count_close(struct front *front, unsigned code);
