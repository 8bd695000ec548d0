/*
 * test_instruments.c - the pure parts of the load generator: what it reads out of a frame, what
 * it holds against a server, and how it counts times. A benchmark that overlooks a lost message
 * proves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/bench/check.h"
#include "tests/bench/histo.h"
#include "tests/bench/scan.h"
#include "tests/bench/waits.h"

static const struct {
    const char *frame;
    struct scan want;
} frames[] = {
    {"{\"type\":\"message\",\"id\":7,\"content\":\"~~12:34:5678~~xx\",\"seq\":9}",
     {.kind = SCAN_MESSAGE,
      .has_seq = true,
      .seq = 9,
      .has_mark = true,
      .sender = 12,
      .n = 34,
      .due_ns = 5678}},
    {"{ \"seq\" : 3 , \"content\" : \"~~1:2:3~~\" , \"type\" : \"message\" }",
     {.kind = SCAN_MESSAGE,
      .has_seq = true,
      .seq = 3,
      .has_mark = true,
      .sender = 1,
      .n = 2,
      .due_ns = 3}},
    /* What is nested, or quoted in a string, is not the frame's own. */
    {"{\"type\":\"message\",\"preview\":{\"seq\":1,\"a\":[\"}\",{}]},\"mentions\":[],"
     "\"content\":"
     "\"say \\\"seq\\\":4\",\"seq\":5}",
     {.kind = SCAN_MESSAGE, .has_seq = true, .seq = 5}},
    {"{\"type\":\"message\",\"content\":\"\\\\\",\"seq\":6}",
     {.kind = SCAN_MESSAGE, .has_seq = true, .seq = 6}},
    {"{\"type\":\"ack\",\"clientMessageId\":\"4-17\",\"id\":5,\"seq\":8,\"duplicate\":true}",
     {.kind = SCAN_ACK,
      .has_seq = true,
      .seq = 8,
      .has_mark = true,
      .sender = 4,
      .n = 17,
      .duplicate = true}},
    {"{\"type\":\"ack\",\"duplicate\":false}", {.kind = SCAN_ACK}},
    {"{\"type\":\"subscription_succeeded\",\"members\":[]}", {.kind = SCAN_READY}},
    {"{\"type\":\"error\",\"message\":\"no\"}", {.kind = SCAN_ERROR}},
    {"{\"type\":\"replay\",\"events\":[{\"seq\":4}],\"toSeq\":4}", {.kind = SCAN_REPLAY}},
    {"{\"type\":\"goaway\",\"afterMs\":5}", {.kind = SCAN_GOAWAY}},
    {"{\"type\":\"membership\",\"seq\":2}", {.kind = SCAN_OTHER, .has_seq = true, .seq = 2}},
    {"{\"type\":\"message\",\"seq\":99999999999999999999999}", {.kind = SCAN_MESSAGE}},
    {"{\"type\":\"message\",\"content\":\"~~1:2\"}", {.kind = SCAN_MESSAGE}},
    {"{\"type\":\"message\",\"content\":\"~~4294967296:2:3~~\"}",
     {.kind = SCAN_MESSAGE, .due_ns = 3}},
    {"{}", {.kind = SCAN_OTHER}},
    {"[1]", {.kind = SCAN_BAD}},
    {"", {.kind = SCAN_BAD}},
};

static void assert_same_scan(const struct scan *got, const struct scan *want)
{
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->has_seq, want->has_seq);
    if (want->has_seq)
        assert_int_equal(got->seq, want->seq);
    assert_int_equal(got->has_mark, want->has_mark);
    assert_int_equal(got->sender, want->sender);
    assert_int_equal(got->n, want->n);
    assert_int_equal(got->due_ns, want->due_ns);
    assert_int_equal(got->duplicate, want->duplicate);
}

static void facts_are_read_from_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct scan got;

        scan_frame(frames[i].frame, strlen(frames[i].frame), &got);
        assert_same_scan(&got, &frames[i].want);
    }
}

static void a_row_is_a_message_without_a_type(void **state)
{
    static const char row[] =
        "{\"id\":3,\"content\":\"~~1:2:3~~x\",\"kind\":\"text\",\"seq\":8}";
    const struct scan want = {.kind = SCAN_MESSAGE,
                              .has_seq = true,
                              .seq = 8,
                              .has_mark = true,
                              .sender = 1,
                              .n = 2,
                              .due_ns = 3};
    struct scan got;

    (void)state;
    scan_row(row, strlen(row), &got);
    assert_same_scan(&got, &want);
}

/* Every prefix of every frame, in memory that ends with it (a sanitizer sees a read beyond). */
static void cut_frames_are_not_read_beyond_their_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        size_t len = strlen(frames[i].frame);

        for (size_t cut = 0; cut < len; cut++) {
            char *copy = malloc(cut + 1);
            struct scan got;

            assert_non_null(copy);
            memcpy(copy + 1, frames[i].frame, cut);
            scan_frame(copy + 1, cut, &got);
            scan_raw(copy + 1, cut, &got);
            free(copy);
        }
    }
}

struct deliveries {
    const char *name;
    uint32_t n[8];
    size_t count;
    uint32_t sent;
    struct check_totals want;
    uint64_t missing;
};

static const struct deliveries delivery_cases[] = {
    {"in order", {0, 1, 2}, 3, 3, {.delivered = 3}, 0},
    {"one left out", {0, 2}, 2, 3, {.delivered = 2}, 1},
    {"the last not come", {0, 1}, 2, 3, {.delivered = 2}, 1},
    {"two swapped", {1, 0, 2}, 3, 3, {.delivered = 3, .reordered = 1}, 0},
    {"late into the middle of a hole", {4, 2}, 2, 5, {.delivered = 2, .reordered = 1}, 3},
    {"doubled", {0, 1, 1}, 3, 2, {.delivered = 2, .duplicated = 1}, 0},
    {"late and doubled", {2, 1, 1}, 3, 3, {.delivered = 2, .reordered = 1, .duplicated = 1}, 1},
    {"never sent", {0, 5}, 2, 1, {.delivered = 1, .foreign = 1}, 0},
};

static void deliveries_are_held_against_what_was_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(delivery_cases); i++) {
        const struct deliveries *c = &delivery_cases[i];
        struct check_totals t = {0};
        struct check_member m;

        print_message("%s\n", c->name);
        check_member_init(&m, 2);
        for (size_t k = 0; k < c->count; k++)
            (void)check_message(&t, &m, 1, c->n[k], c->sent); /* the totals tell */
        assert_memory_equal(&t, &c->want, sizeof(t));
        assert_int_equal(check_missing(&m, 1, c->sent), c->missing);
        assert_int_equal(check_missing(&m, 0, 4), 4);
        check_member_deinit(&m);
    }
}

static void seq_must_rise_by_one(void **state)
{
    static const uint64_t seqs[] = {5, 6, 8, 8, 7, 9};
    struct check_totals t = {0};
    struct check_member m;

    (void)state;
    check_member_init(&m, 1);
    for (size_t i = 0; i < ARRAY_LEN(seqs); i++)
        check_seq(&t, &m, seqs[i]);
    assert_int_equal(t.seq_gap, 1);
    assert_int_equal(t.seq_back, 2);
    assert_false(check_is_clean(&t));
    check_member_deinit(&m);
}

static void members_must_agree_on_seq(void **state)
{
    struct check_totals t = {0};
    struct check_order o = {0};

    (void)state;
    check_same_seq(&t, &o, 3000, 10);
    check_same_seq(&t, &o, 3000, 10);
    check_same_seq(&t, &o, 0, 9);
    assert_true(check_is_clean(&t));
    check_same_seq(&t, &o, 3000, 11);
    assert_int_equal(t.disagreed, 1);
    check_order_deinit(&o);
}

static void quantiles_are_within_two_percent(void **state)
{
    static const double qs[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    static struct histo h;

    (void)state;
    assert_int_equal(histo_quantile(&h, 0.5), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        histo_add(&h, i * 1000);
    for (size_t i = 0; i < ARRAY_LEN(qs); i++) {
        double got = (double)histo_quantile(&h, qs[i]), want = qs[i] * 1e8;

        assert_true(got > want * 0.98 && got < want * 1.02);
    }
    assert_int_equal(h.max_ns, 100000000);
    histo_add(&h, UINT64_MAX);
    assert_true(histo_quantile(&h, 1.0) > UINT64_MAX / 100 * 98);
}

static void a_message_waits_for_its_ack_and_for_everybody(void **state)
{
    struct waits_figures f;
    struct waits w;

    (void)state;
    waits_init(&w, 2, 3);
    for (uint64_t k = 0; k < 6; k++)
        assert_int_equal(waits_due(&w, 1000 + k * 10), k);
    for (uint64_t k = 0; k < 5; k++) {
        waits_acked(&w, k, 1000 + k * 10 + 4);
        waits_acked(&w, k, 9999); /* a second one changes nothing */
        for (uint64_t member = 0; member < 3; member++)
            waits_seen(&w, k, 1000 + k * 10 + 5 + member * (k == 3));
    }
    waits_seen(&w, 0, 9999); /* nobody was left */
    waits_acked(&w, 77, 1);  /* never sent */
    assert_int_equal(waits_first_open(&w, 0, 6), 5);
    waits_seen(&w, 5, 1060);
    waits_seen(&w, 5, 1061);
    waits_seen(&w, 5, 1062);
    assert_int_equal(waits_first_open(&w, 0, 6), 5);

    waits_figures_init(&f, &w, 1, 6, 1150);
    assert_int_equal(f.n, 5);
    assert_int_equal(f.unsettled, 1);
    assert_int_equal(f.acked, 4);
    assert_int_equal(f.room_ns[0], 5);
    assert_int_equal(f.room_ns[1], 100); /* the open one, up to now */
    assert_int_equal(f.ack.max_ns, 4);
    assert_int_equal(f.wait.max_ns, 100);
    waits_figures_deinit(&f);
    waits_deinit(&w);
}

static void quantiles_of_a_list_are_by_nearest_rank(void **state)
{
    uint64_t values[100];

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        values[i] = 100 - i;
    assert_int_equal(waits_quantile(values, 100, 0.5), 50);
    assert_int_equal(waits_quantile(values, 100, 0.99), 99);
    assert_int_equal(waits_quantile(values, 100, 1.0), 100);
    assert_int_equal(waits_quantile(values, 1, 0.99), 1);
    assert_int_equal(waits_quantile(values, 0, 0.99), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_read_from_frames),
        cmocka_unit_test(cut_frames_are_not_read_beyond_their_end),
        cmocka_unit_test(deliveries_are_held_against_what_was_sent),
        cmocka_unit_test(seq_must_rise_by_one),
        cmocka_unit_test(members_must_agree_on_seq),
        cmocka_unit_test(quantiles_are_within_two_percent),
        cmocka_unit_test(a_row_is_a_message_without_a_type),
        cmocka_unit_test(a_message_waits_for_its_ack_and_for_everybody),
        cmocka_unit_test(quantiles_of_a_list_are_by_nearest_rank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
