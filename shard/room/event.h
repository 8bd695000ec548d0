/*
 * event.h - events that clients and servers send through a room without being
 * stored: read and checked from JSON, written as frames. Pure; who may send one
 * is decided elsewhere.
 */
#pragma once

#include "common/base/buf.h"
#include "common/json/json_read.h"

struct event {
    struct slice name;
    const json_t *data; /* NULL: not given, an empty object goes out */
};

/* `eventName` and `data` of a client_event. */
void event_read_client(struct json_fields *f, struct event *ret_event);
/* `name` and `data` of a server_event (data is an object) or a user_event (any value). */
void event_read_server(struct json_fields *f, struct event *ret_event);
void event_read_user(struct json_fields *f, struct event *ret_event);
/* `event`: a frame of one of the types that may be passed on as they are. NULL: it is not
 * given, or not as it must be (see f). */
const json_t *event_read_raw(struct json_fields *f);

/* Appends the value; NULL as an empty object. Out of memory sticks in out. */
void event_put_json(struct buf *out, const json_t *value);

void frame_client_event(struct buf *out, struct slice room, struct slice user,
                        const struct event *event);
void frame_server_event(struct buf *out, struct slice room, struct slice user,
                        const struct event *event);
/* A frame of event_read_raw() into this room, as sent by this user: what the frame says of
 * both, and numbers that only the room may give, do not count. */
void frame_raw_event(struct buf *out, struct slice room, struct slice user,
                     const json_t *event);
