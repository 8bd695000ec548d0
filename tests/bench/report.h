/*
 * report.h - the result of a run as one JSON object on stdout.
 */
#pragma once

#include <stdint.h>

#include "tests/bench/load_options.h"

struct crowd;
struct traffic_result;

/* Prints the result; true when nothing was lost, doubled, out of order or misnumbered. */
bool report_traffic(const struct load_options *o, const struct crowd *crowd,
                    const struct traffic_result *r);

struct idle_result {
    int64_t before_bytes[LOAD_MAX_PIDS]; /* memory without connections */
    int64_t open_bytes[LOAD_MAX_PIDS];   /* with all of them open and quiet */
    int64_t after_bytes[LOAD_MAX_PIDS];  /* after they have been closed */
    int64_t cpu_us[LOAD_MAX_PIDS];       /* used while they were open and quiet */
    double quiet_seconds;
};

bool report_idle(const struct load_options *o, const struct crowd *crowd,
                 const struct idle_result *r);
