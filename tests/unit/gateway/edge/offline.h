/* offline.h - a front on a real event loop without any shard: for tests of what happens before
 * a request is understood. */
#pragma once

#include "common/net/loop.h"
#include "gateway/edge/front.h"

struct offline {
    struct loop *loop;
    struct wheel wheel;
    struct front *front;
    struct offline_parts *parts;
};

void offline_open(struct offline *o, const struct cidr_list *trusted);
/* The listeners must be closed. */
void offline_close(struct offline *o);
