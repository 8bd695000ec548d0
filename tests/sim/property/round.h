/* round.h - one run of the property test: rounds of traffic, each up to a quiet point. */
#pragma once

#include "tests/sim/sim_campaign.h"

/* Returns the number of violations. */
unsigned property_run(const struct sim_options *options);
