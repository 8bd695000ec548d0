/*
 * framing.h - how a JSON frame travels to one client: as a WebSocket text frame
 * or as an event of an event stream. Pure. Whoever fans out builds each form once
 * and queues references to it.
 */
#pragma once

#include "common/base/blob.h"

enum framing {
    FRAMING_WEBSOCKET,
    FRAMING_EVENT_STREAM, /* WHATWG HTML, "Server-sent events" */
    FRAMING_COUNT
};

/* What a reader of an event stream comes back with (its `id:`): seq, and behind a hyphen the
 * generation that it counts in, but for the first one. seq 0: none. */
struct framing_id {
    uint64_t seq;
    struct slice generation;
};
#define FRAMING_NO_ID ((struct framing_id){0})

/* The frame as bytes, with one reference. NULL: out of memory. */
struct blob *framing_build(enum framing framing, struct slice json, struct framing_id id);
