/*
 * sim_shrink.h - a seed that fails, with as little in it as will do: a shorter
 * time, few faults, few clients, rooms and nodes.
 */
#pragma once

#include "tests/sim/sim_campaign.h"

/* What is left. False: the seed does not fail. ret_least->only is the caller's to free. */
bool sim_shrink_find(const struct sim_campaign *campaign, const struct sim_options *options,
                     struct sim_options *ret_least);
/* Prints what is left, with its trace and the command that runs it again. False: the seed does
 * not fail. */
bool sim_shrink(const struct sim_campaign *campaign, const struct sim_options *options);
/* The command that runs just this. */
void sim_print_command(const struct sim_campaign *campaign, const struct sim_options *options);
