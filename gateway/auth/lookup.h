/*
 * lookup.h - a bounded cache of answers that come from elsewhere, by name. An
 * answer is good for a short while; then the next one who asks waits for a
 * fresh one, and everybody who asks meanwhile waits with him. "There is no such
 * thing" is an answer too, kept apart so that made-up names push no real ones
 * out. Knows neither what the values are nor where they come from; no I/O, no
 * clock.
 */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"

#define LOOKUP_NAME_MAX 160

struct lookup;
struct lookup_entry;

enum lookup_result { LOOKUP_FOUND, LOOKUP_MISSING, LOOKUP_FAILED };

struct lookup_ops {
    /* Starts asking. lookup_answer() follows exactly once, never before this returns. <0: could
     * not be started. */
    int (*ask)(void *owner, struct slice name, struct lookup_entry *entry);
    void (*free_value)(void *value);
};

struct lookup_config {
    size_t max_found, max_missing; /* entries kept; the least recently used go */
    size_t max_asking;             /* questions under way; more are refused */
    uint64_t found_ms, missing_ms; /* how long an answer is good */
};

/* One who waits; embedded in its request. */
struct lookup_wait {
    struct list link;
    /* Once. value is borrowed for the call; NULL unless LOOKUP_FOUND. */
    void (*fn)(void *arg, enum lookup_result result, void *value);
    void *arg;
};

enum lookup_answer { LOOKUP_HAS = 0, LOOKUP_HAS_NOT, LOOKUP_WAIT, LOOKUP_BUSY };

int lookup_new(const struct lookup_config *config, const struct lookup_ops *ops, void *owner,
               struct lookup **ret_lookup) MUST_CHECK;
void lookup_free(
    struct lookup *lookup); /* NULL does nothing; who still waits is told nothing */
DEFINE_AUTO(struct lookup, lookup_free)

void lookup_wait_init(struct lookup_wait *wait, void (*fn)(void *, enum lookup_result, void *),
                      void *arg);
void lookup_wait_cancel(struct lookup_wait *wait); /* not waiting: nothing */

/* LOOKUP_HAS: *ret_value is borrowed until the next call. LOOKUP_WAIT: wait's fn will be
 * called. LOOKUP_BUSY: too many questions under way. <0: -ENOMEM, or what ask() said. */
int lookup_find(struct lookup *lookup, struct slice name, uint64_t now_ms,
                struct lookup_wait *wait, void **ret_value) MUST_CHECK;
/* The answer to ask(). Takes the value. LOOKUP_FAILED: nothing is known; an older answer stays
 * stale. */
void lookup_answer(struct lookup *lookup, struct lookup_entry *entry, enum lookup_result result,
                   void *value, uint64_t now_ms);
size_t lookup_count(const struct lookup *lookup);
