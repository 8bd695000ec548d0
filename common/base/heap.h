/*
 * heap.h - the process gives memory back that it does not need any more. After a burst (an
 * outage ends, thousands come back) the C library keeps most of what was freed, in pieces
 * between what lives; whoever watches the resident memory takes that for a leak.
 */
#pragma once

#include <stdint.h>

/* Once, at the start: one arena, for one thread; large blocks go back as they are freed. */
void heap_configure(void);
/* Gives free pages back, at most once in HEAP_TIDY_MS, when they are worth it and the heap is
 * small enough (HEAP_TIDY_MAX) that it takes no longer than a turn may. *last_ms: the caller's,
 * 0 at first. */
void heap_tidy(uint64_t now_ms, uint64_t *last_ms);
