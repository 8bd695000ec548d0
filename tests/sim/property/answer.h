/* answer.h - what a client is answered, held against the model: the right word for what cannot
 * be, the right numbers for what has been done. */
#pragma once

#include "tests/sim/property/client.h"

/* ack: a number that is new must rise within a connection. */
void answer_on_ack(struct client *client, struct pm_op *op, const json_t *frame);
/* An error that is final. */
void answer_on_refusal(struct client *client, const struct pm_op *op, const json_t *frame);
