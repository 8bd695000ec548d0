/*
 * main.c - fluxy-sim: runs the simulated cluster over many seeds, or one seed
 * with a trace.
 *
 *   fluxy-sim --seeds 4000 [--from 1] [--jobs 2] [--ms 12000]
 *   fluxy-sim --seed 42
 *   fluxy-sim --shrink 42
 */
#include "tests/sim/sim_world.h"

int main(int argc, char **argv)
{
    static const struct sim_campaign campaign = {.name = "fluxy-sim",
                                                 .summary = "sim",
                                                 .duration_ms = 12000,
                                                 .run = sim_world_run,
                                                 .fault_name = sim_fault_name};

    return sim_campaign(&campaign, argc, argv);
}
