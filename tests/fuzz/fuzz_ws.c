/*
 * fuzz_ws.c - WebSocket frames of a client: whole or in pieces the same
 * messages come out, text is UTF-8, and at a boundary nothing is held.
 */
#include "common/base/utf8.h"
#include "gateway/ws/ws_codec.h"
#include "tests/fuzz/fuzz.h"

static void on_message(void *owner, bool is_text, struct slice payload)
{
    struct buf *out = owner;

    FUZZ_CHECK(!is_text || utf8_is_valid(payload));
    buf_put_char(out, is_text ? 't' : 'b');
    buf_put_slice(out, payload);
}

static const struct ws_codec_events events = {on_message};

static void run(struct buf *out, const uint8_t *data, size_t size, size_t step)
{
    AUTO(ws_codec_free) struct ws_codec *codec = NULL;

    FUZZ_CHECK(ws_codec_new(&codec) == 0);
    codec->events = &events;
    codec->owner = out;
    for (size_t at = 0; at < size;) {
        size_t n = step ? MIN(step, size - at) : size - at;
        int answer = ws_codec_feed(codec, slice_of(data + at, n));

        at += n;
        FUZZ_CHECK(answer >= 0);
        if (answer == WS_CODEC_CLOSED) {
            /* With which code, and whether already in mid-frame, depends on the pieces. */
            FUZZ_CHECK(codec->by_peer || codec->close_code == 1002 ||
                       codec->close_code == 1007 || codec->close_code == 1009);
            break;
        }
        FUZZ_CHECK(answer != WS_CODEC_BOUNDARY || (codec->fed == 0 && codec->message.len == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF whole = BUF_INIT;
    AUTO_BUF pieces = BUF_INIT;

    run(&whole, data, size, 0);
    run(&pieces, data, size, size > 0 ? data[size - 1] % 5 + 1 : 1);
    FUZZ_SAME(whole, pieces);
    return 0;
}
