/* stream.c - what every stream can do on top of its operations; see stream.h. */
#include "common/base/stream.h"

#include <errno.h>

int stream_write_bytes(struct stream *s, struct slice bytes)
{
    AUTO(blob_unref) struct blob *blob = blob_copy(bytes);

    if (!blob)
        return -ENOMEM;
    return stream_write(s, blob);
}
