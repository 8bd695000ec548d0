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

/* The frame as bytes, with one reference. seq: what a reader of an event stream comes back with
 * (its `id:`); 0: none. NULL: out of memory. */
struct blob *framing_build(enum framing framing, struct slice json, uint64_t seq);
