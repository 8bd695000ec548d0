/*
 * sim_stream.h - the token streams of a simulated user: numbers, one after the
 * other, so that of any text can be told whether something is missing or twice.
 * Whatever happens, a text may only be cut off at its end; one whose end was
 * acknowledged, and of which nothing was refused, is whole.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/slice.h"

struct sim_check;
struct sim_client;

enum sim_stream_state {
    SIM_STREAM_NONE,
    SIM_STREAM_STARTING,
    SIM_STREAM_OPEN,
    SIM_STREAM_ENDING
};

struct sim_stream {
    enum sim_stream_state state;
    unsigned number; /* of the stream */
    unsigned said;   /* deltas that were sent */
    unsigned wanted; /* it ends after so many */
    int64_t id;
    bool may_be_lost;  /* what is acknowledged may be of before a failover that has lost it */
    struct list ended; /* struct ended: what the store must have in the end */
};

void sim_stream_init(struct sim_client *client);
void sim_stream_deinit(struct sim_client *client);
/* Begins one, when it is live and has none. */
void sim_stream_begin(struct sim_client *client);
/* What comes for it; true: it was about the stream. */
bool sim_stream_on_ack(struct sim_client *client, const json_t *frame);
bool sim_stream_on_error(struct sim_client *client, const json_t *frame);
void sim_stream_on_frame(struct sim_client *client, const json_t *frame);
/* The socket is gone: nobody goes on with it. */
void sim_stream_on_gone(struct sim_client *client);
/* A failover has taken back what its room has had behind that number. */
void sim_stream_forget(struct sim_client *client, uint64_t head);
/* Every text that is stored; and at the end those of this client that must be whole. */
void sim_stream_check_text(struct sim_check *check, struct slice room, uint64_t seq,
                           struct slice text);
void sim_stream_check_ended(struct sim_client *client, int64_t id, struct slice text);
/* It is a message that grows, or has. */
static inline bool sim_stream_is_text(struct slice text)
{
    return text.len > 0 && text.data[0] == 's';
}
