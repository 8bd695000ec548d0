/*
 * front.h - what becomes of a connection once it speaks HTTP: a request goes
 * to the endpoints, a WebSocket handshake becomes a session in a room. Works
 * over any stream; knows neither sockets nor TLS (accept.h does).
 */
#pragma once

#include "common/base/env.h"
#include "common/base/wheel.h"
#include "gateway/http/http1_conn.h"
#include "gateway/proxy/proxy.h"
#include "gateway/ws/ws_conn.h"

struct admit;
struct api;
struct api_request;
struct front;
struct gateway_metrics;
struct sessions;

/* All borrowed; they outlive the front. */
struct front_parts {
    struct env *env;
    struct wheel *wheel;
    struct api *api;
    struct admit *admit;
    struct sessions *sessions;
    struct gateway_metrics *metrics;
    const struct cidr_list *trusted_proxies;
    uint32_t
        heartbeat_ms; /* between two comments on an event stream; 0: EVENT_STREAM_BEAT_MS */
};

int front_new(const struct front_parts *parts, struct front **ret_front) MUST_CHECK;
/* Ends every connection at once. The sessions must have been closed; the calls are freed after
 * it. NULL does nothing. */
void front_free(struct front *front);
DEFINE_AUTO(struct front, front_free)

/* Takes the stream over; false: it was closed for want of memory. peer: who is at its other
 * end, by TCP or by the PROXY header. */
bool front_take(struct front *front, struct stream *stream, const struct ip *peer,
                bool trusted_proxy, bool secure);

/* api_hooks.open_stream: a request for an event stream. */
void front_open_stream(struct front *front, struct api_request *req);

/* The gateway will go: answers end their connections, which come back elsewhere. */
void front_end_keep_alive(struct front *front);
/* No new sockets from now on (1012); connections end with their next answer. Open sockets stay.
 */
void front_drain(struct front *front);
/* HTTP connections and sockets in their close handshake: what a drain waits for beside the
 * sessions. */
size_t front_open_count(const struct front *front);
