/*
 * frame.h - cuts the byte stream of a link into messages: length prefix, size
 * limits, chunks put together again. Pure push parser: bytes in, messages out.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"

#define LINK_HEADER 4       /* bytes of the length prefix */
#define LINK_CHUNK_HEADER 2 /* bytes of a chunk frame before its part: type, last */
#define MSG_CHUNK 255       /* frame type of a part of a larger message: u8 last, bytes */

struct frame_reader {
    struct buf partial; /* bytes of an unfinished frame */
    struct buf chunks;  /* parts of an unfinished large message */
};

void frame_reader_init(struct frame_reader *r);
void frame_reader_deinit(struct frame_reader *r);

/* Called for each whole message (type byte + fields); <0 stops and is returned. It must not
 * destroy the reader (it may mark its owner closed and return -ECONNRESET). */
typedef int (*frame_fn)(void *owner, struct slice message);

/* 0; -EBADMSG: oversized or malformed; -ENOMEM; or what fn returned. Takes all bytes. After a
 * failure the reader is only good for frame_reader_deinit(). */
int frame_reader_feed(struct frame_reader *r, struct slice bytes, frame_fn fn,
                      void *owner) MUST_CHECK;
