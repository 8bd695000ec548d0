/* test_ws_codec.c - RFC 6455 as a server reads it, every case at several splits. */
#include "tests/support/test.h"

#include "gateway/ws/ws_codec.h"
#include "gateway/ws/ws_header.h"

static const size_t chunks[] = {1, 3, 64, SIZE_MAX};

/* Client frames with the mask 00 00 00 00 read as plain text. */
#define M "\x00\x00\x00\x00"
#define W(s) (s), sizeof(s) - 1

struct seen {
    struct buf log; /* "T:text " and "B:bytes " */
};

static void on_message(void *owner, bool is_text, struct slice payload)
{
    struct seen *seen = owner;

    buf_put_str(&seen->log, is_text ? "T:" : "B:");
    buf_put_slice(&seen->log, payload);
    buf_put_char(&seen->log, ' ');
}

static const struct ws_codec_events events = {on_message};

static const struct {
    const char *name;
    const char *wire;
    size_t len;
    int want;
    const char *messages;
    const char *out; /* answer frames */
    size_t out_len;
    unsigned code;
} cases[] = {
    {"text", W("\x81\x82" M "hi"), WS_CODEC_BOUNDARY, "T:hi ", W(""), 0},
    {"masked", W("\x81\x82\x01\x02\x03\x04\x69\x6b"), WS_CODEC_BOUNDARY, "T:hi ", W(""), 0},
    {"empty text", W("\x81\x80" M), WS_CODEC_BOUNDARY, "T: ", W(""), 0},
    {"binary", W("\x82\x81" M "\xff"), WS_CODEC_BOUNDARY, "B:\xff ", W(""), 0},
    {"two messages", W("\x81\x81" M "a\x81\x81" M "b"), WS_CODEC_BOUNDARY, "T:a T:b ", W(""),
     0},
    {"fragments", W("\x01\x81" M "a\x00\x81" M "b\x80\x81" M "c"), WS_CODEC_BOUNDARY, "T:abc ",
     W(""), 0},
    {"fragments, first empty", W("\x01\x80" M "\x80\x81" M "c"), WS_CODEC_BOUNDARY, "T:c ",
     W(""), 0},
    {"ping between fragments", W("\x01\x81" M "a\x89\x81" M "p\x80\x81" M "b"),
     WS_CODEC_BOUNDARY, "T:ab ", W("\x8a\x01p"), 0},
    {"character cut by a fragment", W("\x01\x81" M "\xc3\x80\x81" M "\xa9"), WS_CODEC_BOUNDARY,
     "T:\xc3\xa9 ", W(""), 0},
    {"ping is answered", W("\x89\x83" M "abc"), WS_CODEC_BOUNDARY, "",
     W("\x8a\x03"
       "abc"),
     0},
    {"empty ping", W("\x89\x80" M), WS_CODEC_BOUNDARY, "", W("\x8a\x00"), 0},
    {"pong is silent", W("\x8a\x81" M "x"), WS_CODEC_BOUNDARY, "", W(""), 0},
    {"extended length",
     W("\x81\xfe\x00\x7e" M
       "0123456789012345678901234567890123456789012345678901234567890123456789"
       "01234567890123456789012345678901234567890123456789012345"),
     WS_CODEC_BOUNDARY,
     "T:0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456789012345678901234567890123456789012345 ",
     W(""), 0},
    {"header cut short", W("\x81"), WS_CODEC_MORE, "", W(""), 0},
    {"mask cut short", W("\x81\x82\x01"), WS_CODEC_MORE, "", W(""), 0},
    {"payload cut short", W("\x81\x82" M "h"), WS_CODEC_MORE, "", W(""), 0},
    {"payload not begun", W("\x81\x82" M), WS_CODEC_MORE, "", W(""), 0},
    {"fragment open", W("\x01\x81" M "a"), WS_CODEC_MORE, "", W(""), 0},
    {"message, then a header byte", W("\x81\x81" M "a\x81"), WS_CODEC_MORE, "T:a ", W(""), 0},
    {"close", W("\x88\x82" M "\x03\xe8"), WS_CODEC_CLOSED, "", W("\x88\x02\x03\xe8"), 1000},
    {"close with a reason",
     W("\x88\x85" M "\x0f\xa0"
       "bye"),
     WS_CODEC_CLOSED, "",
     W("\x88\x05\x0f\xa0"
       "bye"),
     4000},
    {"close with a reason that is not ASCII",
     W("\x88\x86" M "\x0f\xa0"
       "\xc3\xa9\xc3\xa9"),
     WS_CODEC_CLOSED, "",
     W("\x88\x06\x0f\xa0"
       "\xc3\xa9\xc3\xa9"),
     4000},
    {"close with a reason that is not UTF-8",
     W("\x88\x84" M "\x0f\xa0"
       "a\xff"),
     WS_CODEC_CLOSED, "", W(""), 1007},
    {"close without a code", W("\x88\x80" M), WS_CODEC_CLOSED, "", W("\x88\x00"), 1005},
    {"message before a close", W("\x81\x81" M "a\x88\x80" M), WS_CODEC_CLOSED, "T:a ",
     W("\x88\x00"), 1005},
    {"nothing counts behind a close", W("\x88\x80" M "\x81\x81" M "a"), WS_CODEC_CLOSED, "",
     W("\x88\x00"), 1005},
    {"close with one byte", W("\x88\x81" M "\x03"), WS_CODEC_CLOSED, "", NULL, 0, 0},
    {"not masked", W("\x81\x02hi"), WS_CODEC_CLOSED, "", W(""), 1002},
    {"reserved bit 1", W("\xc1\x80" M), WS_CODEC_CLOSED, "", W(""), 1002},
    {"reserved bit 3", W("\x91\x80" M), WS_CODEC_CLOSED, "", W(""), 1002},
    {"unknown opcode", W("\x83\x80" M), WS_CODEC_CLOSED, "", W(""), 1002},
    {"unknown control opcode", W("\x8b\x80" M), WS_CODEC_CLOSED, "", W(""), 1002},
    {"continuation of nothing", W("\x80\x81" M "a"), WS_CODEC_CLOSED, "", W(""), 1002},
    {"text inside fragments", W("\x01\x81" M "a\x81\x81" M "b"), WS_CODEC_CLOSED, "", W(""),
     1002},
    {"fragmented ping", W("\x09\x80" M), WS_CODEC_CLOSED, "", W(""), 1002},
    {"long ping", W("\x89\xfe\x00\x7e" M), WS_CODEC_CLOSED, "", W(""), 1002},
    {"length not minimal", W("\x81\xfe\x00\x05" M "hello"), WS_CODEC_CLOSED, "", W(""), 1002},
    {"length not minimal, 64 bit", W("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05" M "hello"),
     WS_CODEC_CLOSED, "", W(""), 1002},
    {"length with the top bit", W("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x05" M "hello"),
     WS_CODEC_CLOSED, "", W(""), 1002},
    {"close code 1005 on the wire", W("\x88\x82" M "\x03\xed"), WS_CODEC_CLOSED, "", W(""),
     1002},
    {"close code 999", W("\x88\x82" M "\x03\xe7"), WS_CODEC_CLOSED, "", W(""), 1002},
    {"bad UTF-8", W("\x81\x81" M "\xff"), WS_CODEC_CLOSED, "", W(""), 1007},
    {"surrogate", W("\x81\x83" M "\xed\xa0\x80"), WS_CODEC_CLOSED, "", W(""), 1007},
    {"overlong UTF-8", W("\x81\x82" M "\xc0\x80"), WS_CODEC_CLOSED, "", W(""), 1007},
    {"character cut by the end", W("\x81\x81" M "\xc3"), WS_CODEC_CLOSED, "", W(""), 1007},
    {"bad UTF-8 in a fragment", W("\x01\x81" M "a\x80\x81" M "\xff"), WS_CODEC_CLOSED, "",
     W(""), 1007},
    {"too long", W("\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff" M "x"), WS_CODEC_CLOSED, "",
     W(""), 1009},
};

static int feed(struct ws_codec *codec, struct slice wire, size_t chunk)
{
    int r = WS_CODEC_BOUNDARY;

    for (size_t at = 0; at < wire.len && r != WS_CODEC_CLOSED;
         at += MIN(chunk, wire.len - at)) {
        r = ws_codec_feed(codec, slice_of(wire.data + at, MIN(chunk, wire.len - at)));
        assert_true(r >= 0);
    }
    return r;
}

static void frames_are_read_at_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
            AUTO(ws_codec_free) struct ws_codec *codec = NULL;
            struct seen seen = {0};

            assert_int_equal(ws_codec_new(&codec), 0);
            codec->events = &events;
            codec->owner = &seen;
            CHECK_EQ(feed(codec, slice_of(cases[i].wire, cases[i].len), chunks[c]),
                     cases[i].want, cases[i].name);
            CHECK_SLICE(buf_slice(&seen.log), cases[i].messages, cases[i].name);
            if (cases[i].out) {
                CHECK(
                    slice_eq(buf_slice(&codec->out), slice_of(cases[i].out, cases[i].out_len)),
                    cases[i].name);
                CHECK_EQ(codec->close_code, cases[i].code, cases[i].name);
            }
            buf_deinit(&seen.log);
        }
    }
}

/* The echo of a close frame of ours is no protocol error to be told again: the connection just
 * ends. */
static void the_echo_of_our_restart_code_ends_the_reading(void **state)
{
    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(chunks); c++) {
        AUTO(ws_codec_free) struct ws_codec *codec = NULL;
        struct seen seen = {0};

        assert_int_equal(ws_codec_new(&codec), 0);
        codec->events = &events;
        codec->owner = &seen;
        assert_int_equal(feed(codec, slice_of(W("\x88\x82" M "\x03\xf4")), chunks[c]),
                         WS_CODEC_CLOSED);
        assert_int_equal(codec->out.len, 0);
    }
}

static void a_message_is_bounded_also_in_fragments(void **state)
{
    AUTO(ws_codec_free) struct ws_codec *codec = NULL;
    AUTO_BUF frame = BUF_INIT;
    struct seen seen = {0};
    int r = WS_CODEC_MORE;
    size_t n = 0;

    (void)state;
    assert_int_equal(ws_codec_new(&codec), 0);
    codec->events = &events;
    codec->owner = &seen;
    buf_put(&frame, W("\x02\xfe\xff\xff" M));
    for (size_t i = 0; i < 65535; i++)
        buf_put_char(&frame, 'x');
    while (r == WS_CODEC_MORE && n < 100) {
        r = feed(codec, buf_slice(&frame), 4096);
        frame.data[0] = '\0'; /* continuation */
        n++;
    }
    assert_int_equal(r, WS_CODEC_CLOSED);
    assert_int_equal(codec->close_code, 1009);
    assert_int_equal(n, FRAME_MAX_BYTES / 65535 + 1);
    assert_true(codec->message.len <= FRAME_MAX_BYTES);
    assert_int_equal(seen.log.len, 0);
}

static void empty_fragments_do_not_go_on_for_ever(void **state)
{
    AUTO(ws_codec_free) struct ws_codec *codec = NULL;
    struct seen seen = {0};
    int r;

    (void)state;
    assert_int_equal(ws_codec_new(&codec), 0);
    codec->events = &events;
    codec->owner = &seen;
    r = feed(codec, slice_of(W("\x01\x80" M)), SIZE_MAX);
    for (size_t i = 0; r == WS_CODEC_MORE && i < (size_t)WS_FRAGMENTS_MAX * 2; i++)
        r = feed(codec, slice_of(W("\x00\x80" M)), SIZE_MAX);
    assert_int_equal(r, WS_CODEC_CLOSED);
    assert_int_equal(codec->close_code, 1009);
}

static void an_announced_length_takes_no_memory(void **state)
{
    AUTO(ws_codec_free) struct ws_codec *codec = NULL;
    struct seen seen = {0};

    (void)state;
    assert_int_equal(ws_codec_new(&codec), 0);
    codec->events = &events;
    codec->owner = &seen;
    assert_int_equal(
        feed(codec, slice_of(W("\x81\xff\x00\x00\x00\x00\x00\x0b\x00\x00" M "x")), SIZE_MAX),
        WS_CODEC_MORE);
    assert_true(codec->message.cap < 1024);
}

static void a_codec_serves_again_after_a_boundary(void **state)
{
    AUTO(ws_codec_free) struct ws_codec *codec = NULL;
    struct seen seen = {0};

    (void)state;
    assert_int_equal(ws_codec_new(&codec), 0);
    codec->events = &events;
    codec->owner = &seen;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            feed(codec, slice_of(W("\x01\x81" M "a\x89\x81" M "p\x80\x81" M "b")), 2),
            WS_CODEC_BOUNDARY);
        buf_clear(&codec->out);
    }
    CHECK_SLICE(buf_slice(&seen.log), "T:ab T:ab T:ab ", "log");
    buf_deinit(&seen.log);
}

static void close_frames_carry_code_and_reason(void **state)
{
    struct blob *frame = ws_close_frame(1008, SLICE_LIT("not_member"));

    (void)state;
    assert_true(slice_eq(blob_slice(frame), slice_of(W("\x88\x0c\x03\xf0not_member"))));
    blob_unref(frame);
    frame = ws_close_frame(1005, SLICE_LIT(""));
    assert_true(slice_eq(blob_slice(frame), slice_of(W("\x88\x00"))));
    blob_unref(frame);
    frame = ws_close_frame(
        1000, SLICE_LIT("0123456789012345678901234567890123456789012345678901234567890123456789"
                        "012345678901234567890123456789012345678901234567890\xc3\xa9"));
    assert_int_equal(frame->len, 2 + 2 + 123);
    blob_unref(frame);
    frame = ws_close_frame(
        1000, SLICE_LIT("0123456789012345678901234567890123456789012345678901234567890123456789"
                        "0123456789012345678901234567890123456789012345678901\xc3\xa9"));
    assert_int_equal(frame->len, 2 + 2 + 122); /* no half character */
    blob_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_read_at_any_split),
        cmocka_unit_test(the_echo_of_our_restart_code_ends_the_reading),
        cmocka_unit_test(a_message_is_bounded_also_in_fragments),
        cmocka_unit_test(empty_fragments_do_not_go_on_for_ever),
        cmocka_unit_test(an_announced_length_takes_no_memory),
        cmocka_unit_test(a_codec_serves_again_after_a_boundary),
        cmocka_unit_test(close_frames_carry_code_and_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
