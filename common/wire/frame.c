/*
 * frame.c - bytes of a link into whole messages; see frame.h.
 *
 * A frame that lies whole in what was fed is handed up where it lies. Only one
 * that is cut by the end of the bytes is copied, into `partial`.
 */
#include "common/wire/frame.h"

#include <errno.h>

void frame_reader_init(struct frame_reader *r)
{
    *r = (struct frame_reader){0};
}

void frame_reader_deinit(struct frame_reader *r)
{
    buf_deinit(&r->partial);
    buf_deinit(&r->chunks);
}

static uint32_t read_length(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;

    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* One part of a large message; on the last one the whole goes up. */
static int take_chunk(struct frame_reader *r, struct slice frame, frame_fn fn, void *owner)
{
    struct slice part;
    unsigned char last;
    int result;

    /* An empty part brings nothing; a sender of those would never come to an end. */
    if (frame.len <= LINK_CHUNK_HEADER)
        return -EBADMSG;
    last = (unsigned char)frame.data[1];
    part = slice_of(frame.data + LINK_CHUNK_HEADER, frame.len - LINK_CHUNK_HEADER);
    if (last > 1 || part.len > LINK_MESSAGE_MAX - r->chunks.len)
        return -EBADMSG;
    if (r->chunks.len == 0 && (unsigned char)part.data[0] == MSG_CHUNK)
        return -EBADMSG; /* chunks do not nest */
    buf_put_slice(&r->chunks, part);
    if (buf_failed(&r->chunks))
        return -ENOMEM;
    if (!last)
        return 0;

    result = fn(owner, buf_slice(&r->chunks));
    buf_deinit(&r->chunks); /* large messages are rare: do not keep megabytes per link */
    return result;
}

static int take_frame(struct frame_reader *r, struct slice frame, frame_fn fn, void *owner)
{
    if ((unsigned char)frame.data[0] == MSG_CHUNK)
        return take_chunk(r, frame, fn, owner);
    if (r->chunks.len > 0)
        return -EBADMSG; /* nothing comes between the parts of a message */
    return fn(owner, frame);
}

/* Moves up to `want - partial.len` bytes from the front of *bytes. 0: want is there; 1: it is
 * not. */
static int fill_partial(struct frame_reader *r, struct slice *bytes, size_t want)
{
    size_t n = MIN(want - r->partial.len, bytes->len);

    buf_put(&r->partial, bytes->data, n);
    if (buf_failed(&r->partial))
        return -ENOMEM;
    bytes->data += n;
    bytes->len -= n;
    return r->partial.len < want;
}

/* Goes on with a frame that an earlier call began. */
static int feed_partial(struct frame_reader *r, struct slice *bytes, frame_fn fn, void *owner)
{
    size_t len;
    int result;

    if (r->partial.len < LINK_HEADER) {
        result = fill_partial(r, bytes, LINK_HEADER);
        if (result != 0)
            return MIN(result, 0);
    }
    len = read_length(r->partial.data);
    if (len == 0 || len > LINK_FRAME_MAX)
        return -EBADMSG;
    result = fill_partial(r, bytes, LINK_HEADER + len);
    if (result != 0)
        return MIN(result, 0);

    result = take_frame(r, slice_of(r->partial.data + LINK_HEADER, len), fn, owner);
    buf_clear(&r->partial);
    return result;
}

int frame_reader_feed(struct frame_reader *r, struct slice bytes, frame_fn fn, void *owner)
{
    int result;

    while (bytes.len > 0) {
        size_t len = bytes.len >= LINK_HEADER ? read_length(bytes.data) : 0;

        if (r->partial.len > 0 || bytes.len < LINK_HEADER || bytes.len - LINK_HEADER < len) {
            result = feed_partial(r, &bytes, fn, owner);
        } else if (len == 0 || len > LINK_FRAME_MAX) {
            return -EBADMSG;
        } else {
            result = take_frame(r, slice_of(bytes.data + LINK_HEADER, len), fn, owner);
            bytes.data += LINK_HEADER + len;
            bytes.len -= LINK_HEADER + len;
        }
        if (result < 0)
            return result;
    }
    return 0;
}
