/*
 * traffic.h - sends the messages of a run, checks what comes back, and times it.
 *
 * Latency counts from the time a message was DUE: in open mode the schedule's time, however
 * late the generator or the server was; otherwise the time it was queued. So a stall of either
 * side shows in the figures. Rates and CPU time are of the measured window only; the checks
 * are of the whole run.
 */
#pragma once

#include <stdint.h>

#include "tests/bench/check.h"
#include "tests/bench/histo.h"
#include "tests/bench/load_options.h"
#include "tests/bench/scan.h"

struct crowd;

struct traffic_window {
    double seconds;
    uint64_t sent;
    uint64_t delivered;
    uint64_t acked;
    int64_t cpu_us[LOAD_MAX_PIDS];
    int64_t pg_cpu_us;
    int64_t own_cpu_us;
};

struct traffic_ack_totals {
    uint64_t missing;    /* sent and not acknowledged */
    uint64_t disordered; /* not the next one that this sender waits for */
    uint64_t duplicate;  /* the server took a first sending for a repeat */
};

struct traffic_result {
    struct traffic_window window;
    struct check_totals checks;
    struct traffic_ack_totals acks;
    struct histo delivery;
    struct histo ack;
    uint64_t sent;
};

struct traffic;

struct traffic *traffic_new(const struct load_options *o);
void traffic_free(struct traffic *t);

/* crowd_frame_fn; @owner is the traffic. */
void traffic_on_frame(void *owner, uint32_t conn, const struct scan *scan, uint64_t at_ns);

/* Warm-up, measured window, drain. The result lives as long as the traffic. */
const struct traffic_result *traffic_run(struct traffic *t, struct crowd *crowd);
