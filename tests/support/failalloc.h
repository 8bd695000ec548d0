/*
 * failalloc.h - runs a piece of code again and again, failing the first, the
 * second, ... allocation, until it gets through without reaching a failing
 * one. A program that links dep_failalloc has malloc, calloc, realloc,
 * reallocarray, strdup and free of its own objects (not of shared libraries)
 * replaced; use it in programs of their own, `failalloc_*`.
 */
#pragma once

#include <stddef.h>

/* Must clean up after itself whatever failed. */
typedef void (*failalloc_fn)(void *arg);

/* How many runs it took (allocations of a good run + 1). Fails the test when a run leaks. */
size_t failalloc_run(failalloc_fn fn, void *arg);
/* True when the allocation that was to fail in this run has failed: from then on fn must have
 * seen an error. */
int failalloc_has_failed(void);
