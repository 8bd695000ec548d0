/* histo.c - buckets: 0..63 one by one, then 64 equal steps in each power of two. */
#include "tests/bench/histo.h"

#define HISTO_SUB (1u << HISTO_SUB_BITS)

static unsigned bucket_of(uint64_t ns)
{
    unsigned octave;

    if (ns < HISTO_SUB)
        return (unsigned)ns;
    octave = 63u - (unsigned)__builtin_clzll(ns) - HISTO_SUB_BITS; /* 0: 64..127 */
    return ((octave + 1) << HISTO_SUB_BITS) + (unsigned)((ns >> octave) & (HISTO_SUB - 1));
}

uint64_t histo_middle(unsigned bucket)
{
    unsigned octave;

    if (bucket < HISTO_SUB)
        return bucket;
    octave = (bucket >> HISTO_SUB_BITS) - 1;
    return ((uint64_t)(HISTO_SUB + (bucket & (HISTO_SUB - 1))) << octave) +
           (((uint64_t)1 << octave) >> 1);
}

void histo_add(struct histo *h, uint64_t ns)
{
    h->count[bucket_of(ns)]++;
    h->n++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

uint64_t histo_quantile(const struct histo *h, double q)
{
    uint64_t rank = (uint64_t)(q * (double)h->n);
    uint64_t seen = 0;

    if (h->n == 0)
        return 0;
    for (unsigned i = 0; i < HISTO_BUCKETS; i++) {
        seen += h->count[i];
        if (seen > rank) {
            uint64_t v = histo_middle(i);

            return v < h->max_ns ? v : h->max_ns;
        }
    }
    return h->max_ns;
}
