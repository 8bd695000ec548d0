/*
 * stall_report.h - what stall.c prints: a line of JSON for each event. Times are milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/regulars.h"
#include "tests/bench/waits.h"

struct stall_window {
    char name[64];
    uint64_t from, to; /* numbers of messages: [from, to) */
    uint64_t settled;  /* all in [from, settled) have ended */
    uint64_t from_ns, to_ns;
    uint64_t late_ns;
    struct regulars_counts before;
    struct check_totals checks_before;
    uint64_t *silence_ns; /* owned by stall.c; by client */
};

struct stall_mark {
    char name[64];
    uint64_t from_ns;
    uint64_t *room_ns; /* owned by stall.c; 0: no acknowledgement since */
};

void stall_report_ready(uint32_t connections, double seconds);
void stall_report_begun(const char *name);
void stall_report_window(const struct stall_window *w, const struct waits *waits,
                         const struct regulars *regulars);
void stall_report_mark(const struct stall_mark *m, uint32_t rooms);

/* The totals of the run; true when every promise was kept. */
bool stall_report_end(const struct waits *waits, const struct regulars *regulars);
