/*
 * ws_codec.h - bytes of a client into messages: one libwslay context with the
 * bookkeeping that tells when nothing is held in it and it may serve another
 * connection. Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/list.h"

struct wslay_event_context;

enum ws_codec_answer {
    WS_CODEC_MORE,     /* in the middle of a frame or message */
    WS_CODEC_BOUNDARY, /* nothing is held: may serve another connection */
    WS_CODEC_CLOSED, /* no more can be read: a close frame came, or the peer broke the rules */
};

struct ws_codec_events {
    void (*on_message)(void *owner, bool is_text, struct slice payload);
};

struct ws_codec {
    struct list link; /* for the owner's list of free ones */
    struct wslay_event_context *wslay;
    const struct ws_codec_events *events;
    void *owner;
    struct slice input; /* handed in, not yet read by wslay */
    struct buf message; /* the unfinished message */
    struct buf out;  /* whole frames that answer the peer: pongs, the echo of its close frame */
    uint64_t fed;    /* bytes handed in since the last boundary */
    uint64_t framed; /* bytes of the frames begun since then, headers included */
    unsigned fragments; /* of the unfinished message */
    bool in_message;    /* a fragment without FIN came */
    bool in_data_frame; /* the current frame is not a control frame */
    bool is_text;
    bool by_peer;        /* CLOSED: the peer's close frame came */
    unsigned close_code; /* CLOSED: the peer's code (1005: none), or why it must go: 1002, 1007,
                            1009 */
};

int ws_codec_new(struct ws_codec **ret_codec) MUST_CHECK;
void ws_codec_free(struct ws_codec *codec); /* NULL does nothing */
DEFINE_AUTO(struct ws_codec, ws_codec_free)

/* Takes all bytes and calls on_message for each whole message. -ENOMEM, or a ws_codec_answer.
 * The codec must not be freed from inside on_message. */
int ws_codec_feed(struct ws_codec *codec, struct slice bytes) MUST_CHECK;

/* A close frame; 1005 gives one without a code. The reason is cut to what fits. NULL: out of
 * memory. */
struct blob *ws_close_frame(unsigned code, struct slice reason);
