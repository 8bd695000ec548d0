/*
 * settle.h - the first seconds of a room that has been activated: its sockets
 * at all gateways come back, and only then it is known who is here.
 *
 *   ASKING --all linked gateways have said AWAKE, or PRESENCE_SETTLE_MS--> WAITING
 *   WAITING --no gateway can still bring anybody, or PRESENCE_HOLD_MS--> DONE
 *
 * While ASKING nothing about presence is told. Who was here as the room fell
 * asleep or moved (the gateways kept the list) and has not come back when it is
 * DONE has left. Until PRESENCE_HOLD_MS after the activation nobody who comes
 * back is announced.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/slice.h"

struct host;
struct msg_AWAKE;
struct room_host;
struct room_wait;

enum settle_phase { SETTLE_ASKING, SETTLE_WAITING, SETTLE_DONE };

struct settle {
    enum settle_phase phase;
    uint64_t wake;  /* number of this activation: AWAKE bears it */
    size_t n_open;  /* gateways that were asked and have not answered */
    bool is_unsure; /* some gateway could not be asked: its link was down */
    uint64_t silent_until_ms;
    struct timer timer;
    struct list absent; /* struct absent: were here, have not come back */
    size_t n_absent;
    struct list waits; /* struct room_wait: until it is known who is here */
};

void settle_init(struct room_host *room);
void settle_deinit(struct room_host *room);

/* The room is active: wakes the gateways. */
void settle_start(struct room_host *room);
/* Ends it; whoever waits has been told MOVED. */
void settle_stop(struct room_host *room);
void settle_on_awake(struct host *host, const struct msg_AWAKE *msg);

/* True when the user was awaited; he no longer is. */
bool settle_take_absent(struct room_host *room, struct slice user);
/* Nobody waits and nobody is awaited. */
bool settle_is_quiet(const struct room_host *room);
/* Calls wait->fn when it is known who is here, perhaps at once. The room is active. */
void room_when_settled(struct room_host *room, struct room_wait *wait);
