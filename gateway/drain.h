/*
 * drain.h - how a gateway ends in order:
 *
 *   told --wait--> doors closed, clients told when to return elsewhere --> nobody left: end
 *                                                  +--deadline--> what is left is cut: end
 *
 * From the first moment /readyz fails and answers end their connection, so that
 * load balancers and keep-alive clients go elsewhere by themselves.
 */
#pragma once

#include "common/base/env.h"

struct front;
struct gateway_metrics;
struct sessions;

struct drain_parts { /* all borrowed */
    struct env *env;
    struct sessions *sessions;
    struct front *front;
    struct gateway_metrics *metrics;
    uint64_t wait_ms, timeout_ms;
    uint32_t rate;                    /* sockets that return elsewhere in a second */
    void (*close_doors)(void *owner); /* no connection is accepted any more */
    void (*on_end)(void *owner);      /* the process is to end */
    void *owner;
};

struct drain {
    struct drain_parts parts;
    struct timer timer;
    bool has_begun, are_doors_closed;
    uint64_t began_ms, last_ms;
};

void drain_init(struct drain *drain, const struct drain_parts *parts);
/* Told again: at once. */
void drain_begin(struct drain *drain);
void drain_cancel(struct drain *drain); /* of one that was never initialised does nothing */
