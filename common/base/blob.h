/*
 * blob.h - immutable, reference-counted bytes: what fan-out shares. A blob is
 * filled by its creator before anybody else holds it and never changed after.
 * One process is one thread, so the count is not atomic.
 */
#pragma once

#include "common/base/macros.h"
#include "common/base/slice.h"

struct blob {
    uint32_t refs;
    uint32_t len; /* bytes in data */
    char data[];
};

/* A blob of len bytes, to be filled by the caller. NULL when out of memory or len > UINT32_MAX.
 */
struct blob *blob_new(size_t len);
/* A blob with a copy of the bytes. NULL when out of memory. */
struct blob *blob_copy(struct slice bytes);
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob); /* NULL does nothing */
DEFINE_AUTO(struct blob, blob_unref)

static inline struct slice blob_slice(const struct blob *blob)
{
    return (struct slice){blob->data, blob->len};
}
