/* test_failalloc.c - the link codec with every allocation failing in turn. */
#include <errno.h>

#include "common/wire/frame.h"
#include "common/wire/msg.h"
#include "tests/support/failalloc.h"
#include "tests/support/test.h"

static int count_one(void *owner, struct slice message)
{
    struct msg msg;

    assert_int_equal(msg_decode(message, &msg), 0);
    ++*(int *)owner;
    return 0;
}

/* A chunked and a small message, encoded, and read in pieces. */
static void link_both_ways(void *arg)
{
    static char json[3 * LINK_FRAME_MAX];
    struct msg large = {.type = MSG_TO_ATTACH,
                        .TO_ATTACH = {.json = slice_of(json, sizeof(json))}};
    struct msg small = {.type = MSG_MORE, .MORE = {.attach = 7}};
    struct frame_reader reader;
    AUTO_BUF buf = BUF_INIT;
    int n = 0, r = 0;

    (void)arg;
    msg_encode(&buf, &small);
    msg_encode(&buf, &large);
    assert_int_equal(buf_failed(&buf), failalloc_has_failed());
    if (buf_failed(&buf))
        return;
    frame_reader_init(&reader);
    for (size_t at = 0; at < buf.len && r == 0; at += 7000)
        r = frame_reader_feed(&reader, slice_of(buf.data + at, MIN((size_t)7000, buf.len - at)),
                              count_one, &n);
    assert_int_equal(r, failalloc_has_failed() ? -ENOMEM : 0);
    assert_true(r < 0 || n == 2);
    frame_reader_deinit(&reader);
}

static void link_survives(void **state)
{
    (void)state;
    assert_true(failalloc_run(link_both_ways, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(link_survives)};

    return cmocka_run_group_tests_name("wire failalloc", tests, NULL, NULL);
}
