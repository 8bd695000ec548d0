/*
 * test_msg.c - every message of msg.def there and back, by the table: encode,
 * frame reader at several splits, decode; then cut short at every byte, as an
 * older peer (at a field) or a broken one (in a field) would send it.
 */
#include "common/wire/msg.h"

#include <errno.h>
#include <stdlib.h>

#include "common/wire/frame.h"
#include "tests/support/test.h"

/* ---- by table: fill, compare, and where the fields end ---- */

static uint64_t counter; /* gives every field another value */

static uint64_t next(void)
{
    return ++counter * UINT64_C(0x9e3779b97f4a7c15);
}

static struct slice next_text(void)
{
    static char texts[64][16];
    char *text = texts[counter % 64];

    return slice_of(text,
                    (size_t)snprintf(text, 16, "text-%llu", (unsigned long long)++counter));
}

#define U8(f) m->f = (uint8_t)next();
#define U32(f) m->f = (uint32_t)next();
#define U64(f) m->f = next();
#define STR(f) m->f = next_text();
#define BYTES(f) m->f = next_text();
#define MSG(name, number, fields)                                                              \
    static void fill_##name(struct msg_##name *m)                                              \
    {                                                                                          \
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

#define U8(f) &&a->f == b->f
#define U32(f) &&a->f == b->f
#define U64(f) &&a->f == b->f
#define STR(f) &&slice_eq(a->f, b->f)
#define BYTES(f) &&slice_eq(a->f, b->f)
#define MSG(name, number, fields)                                                              \
    static bool equal_##name(const struct msg_##name *a, const struct msg_##name *b)           \
    {                                                                                          \
        return a && b fields;                                                                  \
    }
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

/* Marks the offsets (from the type byte) after which a field, and so an older body, may end. */
#define U8(f) ends[at += 1] = true;
#define U32(f) ends[at += 4] = true;
#define U64(f) ends[at += 8] = true;
#define STR(f) ends[at += 2 + m->f.len] = true;
#define BYTES(f) ends[at += 4 + m->f.len] = true;
#define MSG(name, number, fields)                                                              \
    static void ends_##name(const struct msg_##name *m, bool *ends)                            \
    {                                                                                          \
        size_t at = 1;                                                                         \
        (void)m;                                                                               \
        ends[at] = true;                                                                       \
        fields                                                                                 \
    }
#include "common/wire/msg.def"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef STR
#undef BYTES

static const enum msg_type types[] = {
#define MSG(name, number, fields) MSG_##name,
#include "common/wire/msg.def"
#undef MSG
};

static struct msg filled(enum msg_type type)
{
    struct msg msg = {.type = type};

    switch (type) {
#define MSG(name, number, fields)                                                              \
    case MSG_##name:                                                                           \
        fill_##name(&msg.name);                                                                \
        break;
#include "common/wire/msg.def"
#undef MSG
    }
    return msg;
}

static bool equal(const struct msg *a, const struct msg *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
#define MSG(name, number, fields)                                                              \
    case MSG_##name:                                                                           \
        return equal_##name(&a->name, &b->name);
#include "common/wire/msg.def"
#undef MSG
    }
    return false;
}

static void mark_ends(const struct msg *msg, bool *ends)
{
    switch (msg->type) {
#define MSG(name, number, fields)                                                              \
    case MSG_##name:                                                                           \
        ends_##name(&msg->name, ends);                                                         \
        break;
#include "common/wire/msg.def"
#undef MSG
    }
}

/* ---- there and back ---- */

struct expect {
    const struct msg *msg;
    int n;
};

static int check_equal(void *owner, struct slice message)
{
    struct expect *expect = owner;
    struct msg got;
    int r = msg_decode(message, &got);

    CHECK_EQ(r, 0, msg_type_name(expect->msg->type));
    CHECK(equal(&got, expect->msg), msg_type_name(expect->msg->type));
    expect->n++;
    return 0;
}

static void every_message_there_and_back(void **state)
{
    static const size_t splits[] = {1, 3, 17, 100000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct msg msg = filled(types[i]);
        AUTO_BUF buf = BUF_INIT;

        msg_encode(&buf, &msg);
        msg_encode(&buf, &msg);
        assert_false(buf_failed(&buf));
        assert_string_not_equal(msg_type_name(types[i]), "?");
        for (size_t s = 0; s < ARRAY_LEN(splits); s++) {
            struct expect expect = {.msg = &msg};
            struct frame_reader reader;

            frame_reader_init(&reader);
            for (size_t at = 0; at < buf.len; at += splits[s])
                assert_int_equal(
                    frame_reader_feed(&reader,
                                      slice_of(buf.data + at, MIN(splits[s], buf.len - at)),
                                      check_equal, &expect),
                    0);
            assert_int_equal(expect.n, 2);
            frame_reader_deinit(&reader);
        }
    }
}

static void older_bodies_decode_and_broken_ones_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct msg msg = filled(types[i]);
        bool ends[1024] = {false};
        AUTO_BUF buf = BUF_INIT;

        msg_encode(&buf, &msg);
        assert_true(buf.len - LINK_HEADER < sizeof(ends));
        mark_ends(&msg, ends);
        assert_true(ends[buf.len - LINK_HEADER]);
        for (size_t len = 1; len <= buf.len - LINK_HEADER; len++) {
            char *exact = malloc(len); /* the address sanitizer watches its end */
            struct msg got, again;
            int r;

            assert_non_null(exact);
            memcpy(exact, buf.data + LINK_HEADER, len);
            memset(&got, 0x55, sizeof(got));
            r = msg_decode(slice_of(exact, len), &got);
            CHECK_EQ(r, ends[len] ? 0 : -EBADMSG, msg_type_name(types[i]));
            if (r ==
                0) { /* what is missing is zero: encoded anew it is the cut body and zeroes */
                AUTO_BUF copy = BUF_INIT;

                msg_encode(&copy, &got);
                assert_true(copy.len - LINK_HEADER >= len);
                assert_memory_equal(copy.data + LINK_HEADER, exact, len);
                for (size_t at = LINK_HEADER + len; at < copy.len; at++)
                    CHECK_EQ(copy.data[at], 0, msg_type_name(types[i]));
                assert_int_equal(
                    msg_decode(slice_of(copy.data + LINK_HEADER, copy.len - LINK_HEADER),
                               &again),
                    0);
                CHECK(equal(&got, &again), msg_type_name(types[i]));
            }
            free(exact);
        }
    }
}

static void newer_bodies_and_types(void **state)
{
    struct msg msg = filled(MSG_PING), got;
    AUTO_BUF buf = BUF_INIT;

    (void)state;
    msg_encode(&buf, &msg);
    buf_put_str(&buf, "fields of a newer version");
    assert_int_equal(msg_decode(slice_of(buf.data + LINK_HEADER, buf.len - LINK_HEADER), &got),
                     0);
    assert_true(equal(&msg, &got));
    assert_int_equal(msg_decode(SLICE_LIT("\xfe whatever"), &got), MSG_UNKNOWN);
    assert_int_equal(msg_decode(SLICE_LIT("\0"), &got), MSG_UNKNOWN);
    assert_int_equal(msg_decode((struct slice){0}, &got), -EBADMSG);
    assert_string_equal(msg_type_name(0), "?");
    assert_string_equal(call_op_name(CALL_HISTORY), "history");
    assert_string_equal(call_op_name(0), "?");
}

static void layout_is_as_documented(void **state)
{
    static const char want[] = "\x01"                             /* type */
                               "\x01\0\0\0"                       /* version */
                               "\x02"                             /* is_shard */
                               "\x08\x07\x06\x05\x04\x03\x02\x01" /* incarnation */
                               "\x02\0gw"                         /* node_id */
                               "\x01\0n";                         /* nonce */
    struct msg msg = {.type = MSG_HELLO,
                      .HELLO = {.version = 1,
                                .is_shard = 2,
                                .incarnation = UINT64_C(0x0102030405060708),
                                .node_id = SLICE_LIT("gw"),
                                .nonce = SLICE_LIT("n")}};
    AUTO_BUF buf = BUF_INIT;

    (void)state;
    msg_encode(&buf, &msg);
    assert_true(buf.len >= LINK_HEADER + sizeof(want) - 1); /* later fields follow */
    assert_int_equal((unsigned char)buf.data[0], buf.len - LINK_HEADER);
    assert_memory_equal(buf.data + 1, "\0\0\0", 3);
    assert_memory_equal(buf.data + LINK_HEADER, want, sizeof(want) - 1);
}

/* Around the size of a frame, of two, and of the largest message. */
static void large_messages_travel_in_chunks(void **state)
{
    static const size_t sizes[] = {LINK_FRAME_MAX - 64, 2 * LINK_FRAME_MAX - 96, 1000000,
                                   LINK_MESSAGE_MAX - 128};
    char *json = malloc(LINK_MESSAGE_MAX);

    (void)state;
    assert_non_null(json);
    for (size_t i = 0; i < LINK_MESSAGE_MAX; i++)
        json[i] = (char)(i * 31 >> 3);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t delta = 0; delta < 64; delta += sizes[i] < 1000000 ? 1 : 21) {
            struct msg msg = {.type = MSG_TO_ATTACH,
                              .TO_ATTACH = {.attach = 1,
                                            .done_n = 2,
                                            .cursor = 3,
                                            .json = slice_of(json, sizes[i] + delta)}};
            struct expect expect = {.msg = &msg};
            struct frame_reader reader;
            AUTO_BUF buf = BUF_INIT;

            frame_reader_init(&reader);
            msg_encode(&buf, &msg);
            assert_false(buf_failed(&buf));
            for (size_t at = 0; at < buf.len; at += 50000)
                assert_int_equal(
                    frame_reader_feed(&reader,
                                      slice_of(buf.data + at, MIN((size_t)50000, buf.len - at)),
                                      check_equal, &expect),
                    0);
            assert_int_equal(expect.n, 1);
            frame_reader_deinit(&reader);
        }
    }
    free(json);
}

static void what_cannot_be_said_fails(void **state)
{
    char *text = calloc(1, LINK_MESSAGE_MAX);
    struct msg long_str = {.type = MSG_GOODBYE,
                           .GOODBYE = {.reason = slice_of(text, UINT16_MAX + 1)}};
    struct msg too_large = {.type = MSG_RING,
                            .RING = {.members = slice_of(text, LINK_MESSAGE_MAX)}};
    struct msg no_type = {.type = (enum msg_type)0};
    const struct msg *bad[] = {&long_str, &too_large, &no_type};

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_BUF buf = BUF_INIT;

        buf_put_str(&buf, "before");
        msg_encode(&buf, bad[i]);
        assert_true(buf_failed(&buf));
        assert_int_equal(buf.len, 6);
    }
    long_str.GOODBYE.reason.len = UINT16_MAX;
    AUTO_BUF buf = BUF_INIT;
    msg_encode(&buf, &long_str);
    assert_false(buf_failed(&buf));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_there_and_back),
        cmocka_unit_test(older_bodies_decode_and_broken_ones_do_not),
        cmocka_unit_test(newer_bodies_and_types),
        cmocka_unit_test(layout_is_as_documented),
        cmocka_unit_test(large_messages_travel_in_chunks),
        cmocka_unit_test(what_cannot_be_said_fails),
    };

    return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
