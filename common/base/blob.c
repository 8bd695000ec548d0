/* blob.c - reference-counted bytes; see blob.h. */
#include "common/base/blob.h"

#include <assert.h>
#include <stdlib.h>

struct blob *blob_new(size_t len)
{
    struct blob *blob;

    if (len > UINT32_MAX || len > SIZE_MAX - sizeof(*blob))
        return NULL;
    blob = malloc(sizeof(*blob) + len);
    if (!blob)
        return NULL;
    blob->refs = 1;
    blob->len = (uint32_t)len;
    return blob;
}

struct blob *blob_copy(struct slice bytes)
{
    struct blob *blob = blob_new(bytes.len);

    if (blob && bytes.len > 0)
        memcpy(blob->data, bytes.data, bytes.len);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    assert(blob->refs > 0 && blob->refs < UINT32_MAX);
    blob->refs++;
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (!blob)
        return;
    assert(blob->refs > 0);
    if (--blob->refs == 0)
        free(blob);
}
