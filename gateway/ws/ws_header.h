/*
 * ws_header.h - the header of an unmasked, unfragmented server frame (RFC 6455
 * section 5.2), and a whole text frame as one blob. Pure. Whoever fans out builds
 * the frame once and queues references to it.
 */
#pragma once

#include "common/base/blob.h"

#define WS_SERVER_HEADER_MAX 10
#define WS_OP_TEXT 0x1u
#define WS_OP_BINARY 0x2u
#define WS_OP_CLOSE 0x8u
#define WS_OP_PING 0x9u
#define WS_OP_PONG 0xau

/* Writes the header of a final frame with len payload bytes; returns its length (2, 4 or 10).
 */
static inline size_t ws_server_header(uint8_t ret[WS_SERVER_HEADER_MAX], unsigned opcode,
                                      size_t len)
{
    ret[0] = (uint8_t)(0x80u | opcode);
    if (len < 126) {
        ret[1] = (uint8_t)len;
        return 2;
    }
    if (len <= 0xffff) {
        ret[1] = 126;
        ret[2] = (uint8_t)(len >> 8);
        ret[3] = (uint8_t)len;
        return 4;
    }
    ret[1] = 127;
    for (size_t i = 0; i < 8; i++)
        ret[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    return 10;
}

/* Header and payload in one blob with one reference. NULL: out of memory. */
static inline struct blob *ws_server_frame(unsigned opcode, struct slice payload)
{
    uint8_t header[WS_SERVER_HEADER_MAX];
    size_t len = ws_server_header(header, opcode, payload.len);
    struct blob *blob = blob_new(len + payload.len);

    if (!blob)
        return NULL;
    memcpy(blob->data, header, len);
    if (payload.len > 0)
        memcpy(blob->data + len, payload.data, payload.len);
    return blob;
}
