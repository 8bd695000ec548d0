/*
 * msg.c - encoder and decoder of the link's messages, made from msg.def.
 *
 * Each message gets a size function, a writer and a reader; a field macro of
 * the table becomes one term of the sum, one write, one read. The encoder knows
 * the size before it begins, so it reserves once and only moves a pointer.
 */
#include "common/wire/msg.h"

#include <errno.h>

#include "common/wire/frame.h"

/* ---- names ---- */

const char *msg_type_name(unsigned type)
{
    switch (type) {
#define MSG(name, number, fields)                                                              \
    case number:                                                                               \
        return #name;
#include "common/wire/msg.def"
#undef MSG
    default:
        return "?";
    }
}

const char *call_op_name(unsigned op)
{
    switch (op) {
#define CALL(name, number, text)                                                               \
    case number:                                                                               \
        return text;
#include "common/wire/calls.def"
#undef CALL
    default:
        return "?";
    }
}

/* ---- sizes ---- */

#define U8(f) +1
#define U32(f) +4
#define U64(f) +8
#define STR(f) +2 + m->f.len
#define BYTES(f) +4 + m->f.len
#define MSG(name, number, fields)                                                              \
    static size_t size_##name(const struct msg_##name *m)                                      \
    {                                                                                          \
        (void)m;                                                                               \
        return 1 fields;                                                                       \
    }
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

/* False when a field is longer than its length prefix or the whole can say. */
#define U8(f)
#define U32(f)
#define U64(f)
#define STR(f) &&m->f.len <= UINT16_MAX
#define BYTES(f) &&m->f.len <= LINK_MESSAGE_MAX
#define MSG(name, number, fields)                                                              \
    static bool fits_##name(const struct msg_##name *m)                                        \
    {                                                                                          \
        return m fields;                                                                       \
    }
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

/* ---- writers: the caller has made room ---- */

static char *put_u8(char *to, uint8_t v)
{
    *to = (char)v;
    return to + 1;
}

/* Little endian, n bytes. Compilers make one store of it. */
static char *put_le(char *to, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (char)(v >> (8 * i));
    return to + n;
}

static char *put_bytes(char *to, struct slice s)
{
    if (s.len > 0)
        memcpy(to, s.data, s.len);
    return to + s.len;
}

#define U8(f) to = put_u8(to, m->f);
#define U32(f) to = put_le(to, m->f, 4);
#define U64(f) to = put_le(to, m->f, 8);
#define STR(f)                                                                                 \
    to = put_le(to, m->f.len, 2);                                                              \
    to = put_bytes(to, m->f);
#define BYTES(f)                                                                               \
    to = put_le(to, m->f.len, 4);                                                              \
    to = put_bytes(to, m->f);
#define MSG(name, number, fields)                                                              \
    static void write_##name(char *to, const struct msg_##name *m)                             \
    {                                                                                          \
        to = put_u8(to, number);                                                               \
        fields; /* the last `to` is not read */                                                \
        (void)to;                                                                              \
        (void)m;                                                                               \
    }
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

/* Type and fields of the message. 0 when it cannot be encoded. */
static size_t message_size(const struct msg *msg)
{
    switch (msg->type) {
#define MSG(name, number, fields)                                                              \
    case MSG_##name:                                                                           \
        return fits_##name(&msg->name) ? size_##name(&msg->name) : 0;
#include "common/wire/msg.def"
#undef MSG
    default:
        return 0;
    }
}

static void message_write(char *to, const struct msg *msg)
{
    switch (msg->type) {
#define MSG(name, number, fields)                                                              \
    case MSG_##name:                                                                           \
        write_##name(to, &msg->name);                                                          \
        break;
#include "common/wire/msg.def"
#undef MSG
    default:
        break;
    }
}

#define CHUNK_PART                                                                             \
    (LINK_FRAME_MAX - LINK_CHUNK_HEADER) /* bytes of the message in one chunk frame */
#define CHUNK_OVERHEAD (LINK_HEADER + LINK_CHUNK_HEADER)

/* Writes the message to the end of the room that its chunks need, then moves part after part to
 * the front. The headers before part i + 1 take less than what lies before its bytes, so
 * nothing is overwritten before it has moved. */
static void encode_chunks(struct buf *buf, const struct msg *msg, size_t size)
{
    size_t n = (size + CHUNK_PART - 1) / CHUNK_PART;
    size_t total = size + n * CHUNK_OVERHEAD;
    char *to = buf_reserve(buf, total);
    char *from;

    if (!to)
        return;
    from = to + n * CHUNK_OVERHEAD;
    message_write(from, msg);
    for (size_t i = 0; i < n; i++) {
        size_t part = MIN(size, (size_t)CHUNK_PART);

        to = put_le(to, part + LINK_CHUNK_HEADER, LINK_HEADER);
        to = put_u8(to, MSG_CHUNK);
        to = put_u8(to, i == n - 1);
        memmove(to, from, part);
        to += part;
        from += part;
        size -= part;
    }
    buf->len += total;
}

void msg_encode(struct buf *buf, const struct msg *msg)
{
    size_t size = message_size(msg);
    char *to;

    if (size == 0 || size > LINK_MESSAGE_MAX) {
        buf->failed = true;
        return;
    }
    if (size > LINK_FRAME_MAX) {
        encode_chunks(buf, msg, size);
        return;
    }
    to = buf_reserve(buf, LINK_HEADER + size);
    if (!to)
        return;
    message_write(put_le(to, size, LINK_HEADER), msg);
    buf->len += LINK_HEADER + size;
}

/* ---- readers ---- */

struct reader {
    const char *at, *end;
    bool bad;
};

/* n bytes, or NULL: at the end of the body (the peer's version has not got this field, or those
 * after it) or, and then the reader is bad, in the middle of a field. */
static const char *take(struct reader *r, size_t n)
{
    const char *at = r->at;

    if ((size_t)(r->end - at) < n) {
        if (at != r->end)
            r->bad = true;
        return NULL;
    }
    r->at += n;
    return at;
}

static uint64_t take_le(struct reader *r, int n)
{
    const char *at = take(r, (size_t)n);
    uint64_t v = 0;

    if (!at)
        return 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)(unsigned char)at[i] << (8 * i);
    return v;
}

static struct slice take_bytes(struct reader *r, int length_bytes)
{
    size_t len = take_le(r, length_bytes);
    const char *at = len > 0 ? take(r, len) : NULL;

    if (len > 0 && !at) {
        r->bad = true; /* a length without its bytes is never the end of an older body */
        return (struct slice){0};
    }
    return slice_of(at, len);
}

#define U8(f) m->f = (uint8_t)take_le(r, 1);
#define U32(f) m->f = (uint32_t)take_le(r, 4);
#define U64(f) m->f = take_le(r, 8);
#define STR(f) m->f = take_bytes(r, 2);
#define BYTES(f) m->f = take_bytes(r, 4);
#define MSG(name, number, fields)                                                              \
    static void read_##name(struct reader *r, struct msg_##name *m)                            \
    {                                                                                          \
        (void)r;                                                                               \
        (void)m;                                                                               \
        fields                                                                                 \
    }
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

int msg_decode(struct slice frame, struct msg *ret_msg)
{
    struct reader r;
    struct msg msg;

    if (frame.len == 0)
        return -EBADMSG;
    r = (struct reader){frame.data, frame.data + frame.len, false};
    switch ((unsigned char)*r.at++) {
#define MSG(name, number, fields)                                                              \
    case number:                                                                               \
        msg.type = MSG_##name;                                                                 \
        read_##name(&r, &msg.name);                                                            \
        break;
#include "common/wire/msg.def"
#undef MSG
    default:
        return MSG_UNKNOWN;
    }
    if (r.bad)
        return -EBADMSG;
    *ret_msg = msg;
    return 0;
}
