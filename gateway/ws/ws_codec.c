/*
 * ws_codec.c - wslay does RFC 6455: framing, masking, UTF-8, fragments and
 * control frames. Here: how much it may hold, and when it holds nothing.
 *
 * wslay does not say whether it is between two messages. But it takes all that
 * it is given, and reports each frame's length when the frame begins: when the
 * bytes handed in equal the bytes of the frames begun, and no fragment is open,
 * nothing is left inside.
 *
 * Payloads are collected here and not in wslay, which would set memory aside
 * for the announced length before a byte of it has come.
 */
#include "gateway/ws/ws_codec.h"

#include <errno.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#include "common/base/utf8.h"
#include "gateway/ws/ws_header.h"

/* A free codec keeps a buffer of at most this size for the next message. */
#define MESSAGE_KEEP (16u * 1024)

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags,
                       void *user_data)
{
    struct ws_codec *codec = user_data;
    size_t n = MIN(len, codec->input.len);

    (void)flags;
    if (n == 0) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, codec->input.data, n);
    codec->input = slice_of(codec->input.data + n, codec->input.len - n);
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len,
                       int flags, void *user_data)
{
    struct ws_codec *codec = user_data;

    (void)wslay;
    (void)flags;
    buf_put(&codec->out, data, len);
    return (ssize_t)len;
}

static void refuse(struct ws_codec *codec, unsigned code)
{
    codec->close_code = code;
    wslay_event_shutdown_read(codec->wslay);
}

static void on_frame_start(wslay_event_context_ptr wslay,
                           const struct wslay_event_on_frame_recv_start_arg *arg,
                           void *user_data)
{
    struct ws_codec *codec = user_data;
    uint64_t extended = arg->payload_length < 126 ? 0 : arg->payload_length <= 0xffff ? 2 : 8;

    (void)wslay;
    codec->framed += 2 + extended + 4 + arg->payload_length;
    codec->in_data_frame = !wslay_is_ctrl_frame(arg->opcode);
    if (!codec->in_data_frame)
        return;
    if (arg->opcode != WSLAY_CONTINUATION_FRAME) {
        codec->is_text = arg->opcode == WSLAY_TEXT_FRAME;
        codec->fragments = 0;
    }
    codec->in_message = !arg->fin;
    codec->fragments++;
    if (codec->fragments > WS_FRAGMENTS_MAX ||
        codec->message.len + arg->payload_length > FRAME_MAX_BYTES)
        refuse(codec, 1009);
}

static void on_frame_chunk(wslay_event_context_ptr wslay,
                           const struct wslay_event_on_frame_recv_chunk_arg *arg,
                           void *user_data)
{
    struct ws_codec *codec = user_data;

    (void)wslay;
    if (codec->in_data_frame && !codec->close_code)
        buf_put(&codec->message, arg->data, arg->data_length);
}

static void on_message(wslay_event_context_ptr wslay,
                       const struct wslay_event_on_msg_recv_arg *arg, void *user_data)
{
    struct ws_codec *codec = user_data;

    (void)wslay;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
        /* libwslay 1.1.1 looks at the reason's UTF-8 only when the frame came in one piece. */
        if (arg->msg_length > 2 &&
            !utf8_is_valid(slice_of(arg->msg + 2, arg->msg_length - 2))) {
            codec->close_code = 1007;
            return;
        }
        codec->by_peer = true;
        codec->close_code = arg->status_code ? arg->status_code : 1005;
        return;
    }
    if (wslay_is_ctrl_frame(arg->opcode) || codec->close_code || buf_failed(&codec->message))
        return;
    codec->events->on_message(codec->owner, codec->is_text, buf_slice(&codec->message));
    buf_clear(&codec->message);
}

int ws_codec_new(struct ws_codec **ret_codec)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame_start,
        .on_frame_recv_chunk_callback = on_frame_chunk,
        .on_msg_recv_callback = on_message,
    };
    AUTO(ws_codec_free) struct ws_codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    list_init(&codec->link);
    if (wslay_event_context_server_init(&codec->wslay, &callbacks, codec) != 0) {
        codec->wslay = NULL;
        return -ENOMEM;
    }
    wslay_event_config_set_no_buffering(codec->wslay, 1);
    wslay_event_config_set_max_recv_msg_length(codec->wslay, FRAME_MAX_BYTES);
    *ret_codec = TAKE(codec);
    return 0;
}

void ws_codec_free(struct ws_codec *codec)
{
    if (!codec)
        return;
    list_del(&codec->link);
    wslay_event_context_free(codec->wslay);
    buf_deinit(&codec->message);
    buf_deinit(&codec->out);
    free(codec);
}

/* wslay has stopped reading: it says why in the close frame that it has queued, except for
 * malformed frame headers. */
static int codec_closed(struct ws_codec *codec, int r)
{
    unsigned said = r < 0 ? 0 : wslay_event_get_status_code_sent(codec->wslay);

    if (codec->by_peer)
        return WS_CODEC_CLOSED;
    buf_clear(&codec->out);
    if (codec->close_code == 0)
        codec->close_code = said == 1007 || said == 1009 ? said : 1002;
    return WS_CODEC_CLOSED;
}

int ws_codec_feed(struct ws_codec *codec, struct slice bytes)
{
    int r;

    codec->input = bytes;
    codec->fed += bytes.len;
    r = wslay_event_recv(codec->wslay);
    if (r == WSLAY_ERR_NOMEM || buf_failed(&codec->message))
        return -ENOMEM;
    if (wslay_event_want_write(codec->wslay))
        (void)wslay_event_send(codec->wslay); /* into `out`, whose failure is looked at below */
    if (buf_failed(&codec->out))
        return -ENOMEM;
    if (r < 0 || !wslay_event_want_read(codec->wslay))
        return codec_closed(codec, r);
    if (codec->fed != codec->framed || codec->in_message)
        return WS_CODEC_MORE;
    codec->fed = codec->framed = 0;
    if (codec->message.cap > MESSAGE_KEEP)
        buf_deinit(&codec->message);
    return WS_CODEC_BOUNDARY;
}

struct blob *ws_close_frame(unsigned code, struct slice reason)
{
    char payload[125];
    struct slice cut = utf8_cut(reason, sizeof(payload) - 2);

    if (code == 1005)
        return ws_server_frame(WS_OP_CLOSE, slice_of(NULL, 0));
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    if (cut.len)
        memcpy(payload + 2, cut.data, cut.len);
    return ws_server_frame(WS_OP_CLOSE, slice_of(payload, cut.len + 2));
}
