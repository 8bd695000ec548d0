/*
 * histo.h - log-linear histogram of nanoseconds.
 *
 * 64 buckets per power of two: every quantile is within 1.6 % of the true value, whatever
 * its size, in a fixed 30 KB. Pure.
 */
#pragma once

#include <stdint.h>

#define HISTO_SUB_BITS 6
#define HISTO_BUCKETS ((64 - HISTO_SUB_BITS + 1) << HISTO_SUB_BITS)

struct histo {
    uint64_t n;
    uint64_t max_ns;
    uint64_t count[HISTO_BUCKETS];
};

void histo_add(struct histo *h, uint64_t ns);

/* @q in 0..1. The middle of the bucket that holds the quantile; 0 when nothing was added. */
uint64_t histo_quantile(const struct histo *h, double q);

/* The middle of @bucket: what a value in it is taken for. */
uint64_t histo_middle(unsigned bucket);
