/* test_outq.c - the output queue: order, partial writes, memory. */
#include "common/net/outq.h"

#include <errno.h>
#include <stdlib.h>

#include "common/net/redis.h"
#include "tests/support/failalloc.h"
#include "tests/support/test.h"

static struct blob *make(const char *text)
{
    struct blob *blob = blob_copy(slice_str(text));

    assert_non_null(blob);
    return blob;
}

static void push(struct outq *q, const char *text)
{
    struct blob *blob = make(text);

    assert_int_equal(outq_push(q, blob), 0);
    blob_unref(blob);
}

/* Takes bytes in steps of at most step until the queue is empty. */
static void drain(struct outq *q, size_t step, char *ret, size_t *ret_len)
{
    struct iovec iov[3];
    size_t bytes;

    while (!outq_empty(q)) {
        int n = outq_peek(q, iov, 3, &bytes);
        size_t take = MIN(step, bytes), left = take;

        for (int i = 0; i < n && left > 0; i++) {
            size_t part = MIN(iov[i].iov_len, left);

            memcpy(ret + *ret_len, iov[i].iov_base, part);
            *ret_len += part;
            left -= part;
        }
        outq_advance(q, take);
    }
}

static void bytes_leave_in_order_at_any_step(void **state)
{
    static const size_t steps[] = {1, 2, 3, 7, 64, 100000};

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
        char want[8192] = "", got[8192];
        size_t want_len = 0, got_len = 0;
        struct outq q;

        outq_init(&q);
        for (int round = 0; round < 4;
             round++) { /* also after the queue was empty, and across the ring's end */
            for (int i = 0; i < 5 + round * 40; i++) {
                const char *text = want + want_len;

                want_len += (size_t)snprintf(want + want_len, sizeof(want) - want_len, "%d.%d,",
                                             round, i);
                push(&q, text);
                if (i % 7 == 0 && !outq_empty(&q)) { /* interleaved */
                    struct iovec iov;
                    size_t bytes;

                    assert_int_equal(outq_peek(&q, &iov, 1, &bytes), 1);
                    got[got_len++] = *(const char *)iov.iov_base;
                    outq_advance(&q, 1);
                }
            }
            drain(&q, steps[s], got, &got_len);
        }
        assert_int_equal(got_len, want_len);
        assert_memory_equal(got, want, want_len);
        assert_null(q.slots); /* an empty queue holds no memory */
        outq_deinit(&q);
    }
}

static void blobs_are_shared_and_released(void **state)
{
    struct blob *blob = make("shared");
    struct outq a, b;

    (void)state;
    outq_init(&a);
    outq_init(&b);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(outq_push(&a, blob), 0);
        assert_int_equal(outq_push(&b, blob), 0);
    }
    assert_int_equal(blob->refs, 21);
    outq_advance(&a, 6 * 10);
    assert_int_equal(blob->refs, 11);
    outq_advance(&b, 6 * 3 + 2);
    assert_int_equal(blob->refs, 8);
    outq_deinit(&b);
    assert_int_equal(blob->refs, 1);
    outq_deinit(&a);
    blob_unref(blob);
}

static void empty_blobs_are_nothing(void **state)
{
    struct outq q;

    (void)state;
    outq_init(&q);
    push(&q, "");
    assert_true(outq_empty(&q));
    outq_deinit(&q);
}

static void fill(void *arg)
{
    struct outq q;
    struct blob *blob = blob_copy(SLICE_LIT("x"));
    uint32_t pushed = 0;

    (void)arg;
    if (!blob)
        return;
    outq_init(&q);
    while (pushed < 100) {
        int r = outq_push(&q, blob);

        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            break;
        }
        pushed++;
    }
    assert_int_equal(q.count, pushed); /* what was taken stays */
    outq_deinit(&q);
    blob_unref(blob);
}

static void parse(void *arg)
{
    struct redis_target target;
    char error[REDIS_ERROR_TEXT];

    (void)arg;
    if (redis_target_parse("redis://user:pass@host:1/2", &target, error) == 0)
        redis_target_deinit(&target);
}

static void failing_allocations_lose_nothing(void **state)
{
    (void)state;
    assert_true(failalloc_run(fill, NULL) > 3);
    assert_true(failalloc_run(parse, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_order_at_any_step),
        cmocka_unit_test(blobs_are_shared_and_released),
        cmocka_unit_test(empty_blobs_are_nothing),
        cmocka_unit_test(failing_allocations_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
