/*
 * sim_net.h - the simulated network's side of struct stream: pairs of ends,
 * bytes in order with a delay, cut in random pieces, stalled by partitions,
 * ended by resets. Only sim.c and the nemesis use it.
 */
#pragma once

#include "tests/sim/sim.h"

int sim_net_connect(struct env *env, const char *address, const struct stream_events *events,
                    void *owner, struct stream **ret_stream);
void sim_net_cut_node(struct sim_node *node);  /* the far ends see a reset after a delay */
void sim_net_free_node(struct sim_node *node); /* the memory of its ends */
size_t sim_net_longest_queue(const struct sim_node *node); /* bytes that one end has written */
size_t sim_net_count(const struct sim_node *node);         /* ends that are open */
void sim_net_release(
    struct sim *sim); /* looks again at what was held: something was healed or resumed */
