/*
 * floor.h - the least program that can broadcast: what a chat server cannot be cheaper than.
 *
 * A room is a request path. Whatever a client sends goes to everyone in its room, the sender
 * included. No tokens, no JSON, no limits. Three ways:
 *
 *   plain     one send() per recipient and message, at once
 *   batching  one sendmsg() per recipient and loop turn, all frames of the turn in it
 *   durable   as batching, but a frame goes out only after the commit that holds it
 *
 * It can also be told to misbehave, so that a test can see the load generator catch it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Frames that one sendmsg() takes; below IOV_MAX. */
#define FLOOR_TURN_FRAMES 512

struct floor_client {
    int fd;
    bool upgraded;
    bool wants_write;
    struct floor_room *room;
    uint32_t index; /* in room->members */
    uint32_t in_len, in_cap;
    uint32_t out_len, out_off, out_cap;
    char *in;  /* owned; what is not a whole frame yet */
    char *out; /* owned; what the socket did not take */
};

struct floor_room {
    struct floor_room *next; /* in its hash chain */
    struct floor_room *next_dirty;
    char *name;
    struct floor_client **members; /* owned array */
    uint32_t n_members, cap_members;
    bool dirty;
    uint32_t n_frames;
    struct iovec frames[FLOOR_TURN_FRAMES]; /* owned bytes; of this turn */
    uint64_t last_seq;                      /* durable only */
};

/* Every Nth delivery goes wrong; 0 never. */
struct floor_faults {
    uint64_t drop_every;
    uint64_t double_every;
    uint64_t swap_every;
};

struct floor {
    int epoll_fd;
    int listen_fd;
    bool batch;
    struct floor_store *store; /* NULL unless durable */
    struct floor_faults faults;
    uint64_t deliveries; /* counted only when faults are on */
    struct floor_client *held_for;
    struct iovec held; /* owned bytes; a delivery that waits to be overtaken */
    struct floor_room *dirty;
    struct floor_room *chains[4096];
};

/* floor_room.c */
void floor_join(struct floor *f, struct floor_client *c, const char *room);
void floor_leave(struct floor_client *c);
/* A message from a client: frames it and sends, queues or stores it. */
void floor_broadcast(struct floor *f, struct floor_room *room, const char *p, size_t len);
/* Queues an owned frame for the end of the turn. */
void floor_queue(struct floor *f, struct floor_room *room, struct iovec frame);
void floor_flush_rooms(struct floor *f);
/* Sends now, keeps what the socket does not take. */
void floor_send(struct floor *f, struct floor_client *c, const char *p, size_t len);
void floor_flush_client(struct floor *f, struct floor_client *c);

/* floor_ws.c: bytes from a client. Bytes used, or SIZE_MAX when the client must go. */
size_t floor_upgrade(struct floor *f, struct floor_client *c, char *p, size_t len);
size_t floor_frames(struct floor *f, struct floor_client *c, char *p, size_t len);

/* floor_store.c: one batch in flight, the next leaves when it returns. */
struct floor_store *floor_store_new(const char *conninfo);
int floor_store_fd(const struct floor_store *s);
void floor_store_add(struct floor_store *s, struct floor_room *room, struct iovec frame,
                     size_t head_len);
void floor_store_on_event(struct floor *f, struct floor_store *s);
/* End of turn: sends the next batch when none is in flight; whether to wait for writing. */
bool floor_store_pump(struct floor_store *s);
