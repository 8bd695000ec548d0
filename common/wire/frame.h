/*
 * frame.h - cuts the byte stream of a link into messages: length prefix, size
 * limits, chunks put together again. Pure push parser: bytes in, messages out.
 */
#pragma once

#include "common/base/buf.h"

#define LINK_FRAME_MAX (64u * 1024)          /* bytes of one frame, type included */
#define LINK_MESSAGE_MAX (4u * 1024 * 1024)  /* bytes of one message put together from chunks */
#define LINK_HEADER 4                        /* bytes of the length prefix */
#define MSG_CHUNK 255                        /* frame type of a part of a larger message: u8 last, bytes */

struct frame_reader {
    struct buf partial; /* bytes of an unfinished frame */
    struct buf chunks;  /* parts of an unfinished large message */
};

void frame_reader_init(struct frame_reader *r);
void frame_reader_deinit(struct frame_reader *r);

/* Called for each whole message (type byte + fields); <0 stops and is returned. It must not destroy the reader
 * (it may mark its owner closed and return -ECONNRESET). */
typedef int (*frame_fn)(void *owner, struct slice message);

/* 0; -EBADMSG: oversized or malformed; -ENOMEM; or what fn returned. Takes all bytes. */
int frame_reader_feed(struct frame_reader *r, struct slice bytes, frame_fn fn, void *owner) MUST_CHECK;
