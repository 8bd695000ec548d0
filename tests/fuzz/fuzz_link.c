/*
 * fuzz_link.c - bytes of a link: frame reader, message decoder, and back: what
 * decodes must encode to something that decodes to the same.
 */
#include <stdlib.h>

#include "common/wire/frame.h"
#include "common/wire/msg.h"
#include "tests/fuzz/fuzz.h"

static int on_message(void *owner, struct slice message)
{
    struct msg first, second;
    AUTO_BUF once = BUF_INIT;
    AUTO_BUF twice = BUF_INIT;

    (void)owner;
    if (msg_decode(message, &first) != 0)
        return 0;
    msg_encode(&once, &first);
    FUZZ_CHECK(!buf_failed(&once));
    if (once.len > LINK_HEADER + LINK_FRAME_MAX)
        return 0; /* travels in chunks: the frame reader puts them together */
    FUZZ_CHECK(msg_decode(slice_of(once.data + LINK_HEADER, once.len - LINK_HEADER), &second) ==
               0);
    msg_encode(&twice, &second);
    FUZZ_CHECK(slice_eq(buf_slice(&once), buf_slice(&twice)));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size > 0 ? data[0] % 7 : 0; /* 0: all at once */
    struct frame_reader reader;

    frame_reader_init(&reader);
    for (size_t at = MIN(size, (size_t)1); at < size;) {
        size_t n = step ? MIN(step, size - at) : size - at;

        if (frame_reader_feed(&reader, slice_of(data + at, n), on_message, NULL) != 0)
            break;
        at += n;
    }
    frame_reader_deinit(&reader);
    return 0;
}
