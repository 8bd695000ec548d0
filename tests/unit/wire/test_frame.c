/* test_frame.c - the frame reader at every split: whole frames, chunks, everything that is
 * refused. */
#include "common/wire/frame.h"

#include <errno.h>

#include "tests/support/test.h"

struct got {
    struct buf messages; /* each followed by '|' */
    int n, fail_at, fail_with;
};

static int take(void *owner, struct slice message)
{
    struct got *got = owner;

    if (++got->n == got->fail_at)
        return got->fail_with;
    buf_put_slice(&got->messages, message);
    buf_put_char(&got->messages, '|');
    return 0;
}

#define CASE_BYTES(s) s, sizeof(s) - 1

static const struct {
    const char *name, *bytes;
    size_t len;
    int want;
    const char *messages;
} cases[] = {
    {"one frame", CASE_BYTES("\x03\0\0\0abc"), 0, "abc|"},
    {"three frames", CASE_BYTES("\x01\0\0\0a\x02\0\0\0bc\x03\0\0\0def"), 0, "a|bc|def|"},
    {"unfinished header", CASE_BYTES("\x01\0\0\0a\x02\0\0"), 0, "a|"},
    {"unfinished frame", CASE_BYTES("\x05\0\0\0abcd"), 0, ""},
    {"nothing", CASE_BYTES(""), 0, ""},
    {"one chunk", CASE_BYTES("\x05\0\0\0\xff\x01xyz"), 0, "xyz|"},
    {"three chunks, then a frame",
     CASE_BYTES("\x04\0\0\0\xff\0ab\x03\0\0\0\xff\0c\x03\0\0\0\xff\x01"
                "d\x01\0\0\0e"),
     0, "abcd|e|"},
    {"empty frame", CASE_BYTES("\0\0\0\0"), -EBADMSG, ""},
    {"empty frame after a good one", CASE_BYTES("\x01\0\0\0a\0\0\0\0"), -EBADMSG, "a|"},
    {"one byte too long", CASE_BYTES("\x01\0\x01\0a"), -EBADMSG, ""},
    {"length with the top bit", CASE_BYTES("\0\0\0\x80"), -EBADMSG, ""},
    {"chunk without a flag", CASE_BYTES("\x01\0\0\0\xff"), -EBADMSG, ""},
    {"empty chunk", CASE_BYTES("\x02\0\0\0\xff\0"), -EBADMSG, ""},
    {"empty last chunk", CASE_BYTES("\x03\0\0\0\xff\0a\x02\0\0\0\xff\x01"), -EBADMSG, ""},
    {"unknown flag", CASE_BYTES("\x03\0\0\0\xff\x02z"), -EBADMSG, ""},
    {"frame between chunks", CASE_BYTES("\x03\0\0\0\xff\0a\x01\0\0\0b"), -EBADMSG, ""},
    {"chunk of chunks", CASE_BYTES("\x05\0\0\0\xff\x01\xff\x01z"), -EBADMSG, ""},
};

static int feed(struct frame_reader *r, struct got *got, const char *bytes, size_t len,
                size_t split)
{
    int result = 0;

    for (size_t at = 0; at < len && result == 0; at += split)
        result = frame_reader_feed(r, slice_of(bytes + at, MIN(split, len - at)), take, got);
    return result;
}

static void every_case_at_every_split(void **state)
{
    static const size_t splits[] = {1, 2, 3, 4, 5, 7, 1000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t s = 0; s < ARRAY_LEN(splits); s++) {
            struct frame_reader reader;
            struct got got = {0};

            frame_reader_init(&reader);
            CHECK_EQ(feed(&reader, &got, cases[i].bytes, cases[i].len, splits[s]),
                     cases[i].want, cases[i].name);
            CHECK_SLICE(buf_slice(&got.messages), cases[i].messages, cases[i].name);
            frame_reader_deinit(&reader);
            buf_deinit(&got.messages);
        }
    }
}

static void failure_of_the_owner_stops_the_feed(void **state)
{
    static const char bytes[] = "\x01\0\0\0a\x01\0\0\0b\x01\0\0\0c";
    static const size_t splits[] = {1, 3, 100};

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(splits); s++) {
        struct frame_reader reader;
        struct got got = {.fail_at = 2, .fail_with = -ECONNRESET};

        frame_reader_init(&reader);
        assert_int_equal(feed(&reader, &got, bytes, sizeof(bytes) - 1, splits[s]), -ECONNRESET);
        CHECK_SLICE(buf_slice(&got.messages), "a|", "only the first");
        frame_reader_deinit(&reader);
        buf_deinit(&got.messages);
    }
}

/* Full chunks without a last one: stopped at LINK_MESSAGE_MAX. */
static void endless_chunks_are_refused(void **state)
{
    static char chunk[LINK_HEADER + LINK_FRAME_MAX];
    struct frame_reader reader;
    struct got got = {0};
    size_t fed = 0;
    int r = 0;

    (void)state;
    frame_reader_init(&reader);
    memcpy(chunk, "\0\0\x01\0\xff\0", 6); /* LINK_FRAME_MAX, not the last */
    while (r == 0) {
        r = frame_reader_feed(&reader, slice_of(chunk, sizeof(chunk)), take, &got);
        fed += LINK_FRAME_MAX - LINK_CHUNK_HEADER;
        assert_true(fed < 2 * (size_t)LINK_MESSAGE_MAX);
    }
    assert_int_equal(r, -EBADMSG);
    assert_true(reader.chunks.len <= LINK_MESSAGE_MAX);
    assert_int_equal(got.n, 0);
    frame_reader_deinit(&reader);
}

static void partial_frame_holds_no_more_than_a_frame(void **state)
{
    static char frame[LINK_HEADER + LINK_FRAME_MAX] = "\0\0\x01\0x";
    struct frame_reader reader;
    struct got got = {0};

    (void)state;
    frame_reader_init(&reader);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed(&reader, &got, frame, sizeof(frame), 1000), 0);
        assert_int_equal(got.n, i + 1);
        assert_true(reader.partial.cap <= 2 * (LINK_HEADER + LINK_FRAME_MAX));
    }
    frame_reader_deinit(&reader);
    buf_deinit(&got.messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_at_every_split),
        cmocka_unit_test(failure_of_the_owner_stops_the_feed),
        cmocka_unit_test(endless_chunks_are_refused),
        cmocka_unit_test(partial_frame_holds_no_more_than_a_frame),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
