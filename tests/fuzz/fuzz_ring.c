/*
 * fuzz_ring.c - a ring as a peer sends it: what decodes is canonical, owns
 * every name, and encodes to the same bytes.
 */
#include "common/cluster/ring.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(ring_unref) struct ring *ring = NULL;

    if (ring_decode(7, slice_of(data, size), &ring) != 0)
        return 0;
    FUZZ_CHECK(slice_eq(ring_encoded(ring), slice_of(data, size)));
    FUZZ_CHECK((ring_owner(ring, SLICE_LIT("room/p/r")) != NULL) == (ring_count(ring) > 0));
    return 0;
}
