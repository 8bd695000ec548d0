/*
 * seq_marks.h - which number a room was at, at a time in the last minute and a
 * half: a lower bound, exact to some seconds. Pure; times are milliseconds of any
 * clock, also before its zero.
 */
#pragma once

#include <stdint.h>

#include "shard/limits.h"

struct seq_mark {
    int64_t at_ms;
    uint64_t seq; /* everything up to here was out by then */
};

struct seq_marks {
    struct seq_mark marks[SEQ_MARKS]; /* a ring, some seconds apart */
    unsigned next, count;
    struct seq_mark last; /* the newest of all */
};

/* Zeroed marks are empty. */

/* Everything up to seq is out. Times and numbers rise. */
void seq_marks_put(struct seq_marks *marks, int64_t at_ms, uint64_t seq);
/* Everything up to the answer was out at that time; 0: nothing is known of it. */
uint64_t seq_marks_at(const struct seq_marks *marks, int64_t at_ms);
