/*
 * gateway.h - a whole gateway: builds its parts in order, runs the loop, drains
 * and takes the parts down again. Holds no policy of any part.
 */
#pragma once

#include "gateway/config.h"

struct gateway;

/* Everything is listening when it returns 0. What is wrong has been logged otherwise. The
 * config is borrowed. */
int gateway_new(const struct gateway_config *config, struct gateway **ret_gateway) MUST_CHECK;
/* Until it has been told to stop and has drained. 0, or -errno when the loop itself fails. */
int gateway_run(struct gateway *gateway) MUST_CHECK;
void gateway_free(struct gateway *gateway); /* NULL does nothing */
DEFINE_AUTO(struct gateway, gateway_free)
