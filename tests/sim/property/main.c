/*
 * main.c - fluxy-property: 20 clients in 3 rooms create, edit, delete, react,
 * whisper, disconnect and resume at random, with and without faults; whenever all
 * is quiet, what each of them sees is what the model says.
 *
 *   fluxy-property --seeds 1000 [--from 1] [--jobs 2] [--ms 5000]
 *   fluxy-property --seed 42 -v
 */
#include "tests/sim/property/round.h"
#include "tests/sim/sim_nemesis.h"

int main(int argc, char **argv)
{
    static const struct sim_campaign campaign = {.name = "fluxy-property",
                                                 .summary = "property",
                                                 .duration_ms = 5000,
                                                 .run = property_run,
                                                 .fault_name = sim_fault_name};

    return sim_campaign(&campaign, argc, argv);
}
