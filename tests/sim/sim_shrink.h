/*
 * sim_shrink.h - a seed that fails, with as little in it as will do: a shorter
 * time, few faults, few clients, rooms and nodes.
 */
#pragma once

#include "tests/sim/sim_campaign.h"

/* Prints what is left, with its trace and the command that runs it again. False: the seed does
 * not fail. */
bool sim_shrink(const struct sim_campaign *campaign, const struct sim_options *options);
/* The command that runs just this. */
void sim_print_command(const struct sim_campaign *campaign, const struct sim_options *options);
