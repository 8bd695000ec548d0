/*
 * tool.h - what the benchmark programs share: the clock, giving up, checked allocation.
 *
 * These are instruments for one machine, not services: when memory runs out or a system call
 * that must work does not, they say so and end with status 2 (1 means "the server failed a
 * check"). Nothing here may be used by the server.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SEC 1000000000ull

static inline uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...);

void *must_calloc(size_t n, size_t size);
void *must_realloc(void *p, size_t size);

/* Growing bytes, kept NUL-terminated. {0} is empty. */
struct text {
    char *p;
    size_t len;
    size_t cap;
};

void text_add(struct text *t, const char *p, size_t len);
__attribute__((format(printf, 2, 3))) void text_addf(struct text *t, const char *fmt, ...);
static inline void text_clear(struct text *t)
{
    t->len = 0;
}

/* Parses a whole decimal string; die()s naming @what when it is no number in min..max. */
double tool_number(const char *what, const char *s, double min, double max);
