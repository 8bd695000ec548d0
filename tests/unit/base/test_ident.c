/* test_ident.c - ids, times, UUIDs, trace ids, lists. */
#include "common/base/ident.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/list.h"
#include "common/base/trace.h"
#include "tests/support/test.h"

static void ids(void **state)
{
    char longest[ID_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    assert_true(ident_is_valid(SLICE_LIT("a")));
    assert_true(ident_is_valid(SLICE_LIT("Az09_-")));
    assert_true(ident_is_valid(slice_of(longest, ID_MAX)));
    assert_false(ident_is_valid(slice_of(longest, ID_MAX + 1)));
    assert_false(ident_is_valid((struct slice){0}));
    assert_false(ident_is_valid(SLICE_LIT("a b")));
    assert_false(ident_is_valid(SLICE_LIT("a/b")));
    assert_false(ident_is_valid(SLICE_LIT("a\0")));
    assert_false(ident_is_valid(SLICE_LIT("\xc3\xa9")));

    assert_true(client_message_id_is_valid(SLICE_LIT("!~ok:1/2")));
    assert_true(client_message_id_is_valid(slice_of(longest, CLIENT_ID_MAX)));
    assert_false(client_message_id_is_valid(slice_of(longest, CLIENT_ID_MAX + 1)));
    assert_false(client_message_id_is_valid((struct slice){0}));
    assert_false(client_message_id_is_valid(SLICE_LIT("a b")));
    assert_false(client_message_id_is_valid(SLICE_LIT("a\x7f")));
    assert_false(client_message_id_is_valid(SLICE_LIT("\xc3\xa9")));
}

static void times_are_written(void **state)
{
    static const struct {
        int64_t us;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {999, "1970-01-01T00:00:00.000999Z"},
        {1000, "1970-01-01T00:00:00.001Z"},
        {951782399999999, "2000-02-28T23:59:59.999999Z"},
        {951782400000000, "2000-02-29T00:00:00.000Z"},
        {1769860800123000, "2026-01-31T12:00:00.123Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {-5, "1970-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[TIME_TEXT_MAX];
        size_t len = time_format(cases[i].us, text);

        CHECK_SLICE(slice_of(text, len), cases[i].want, cases[i].want);
        assert_int_equal(strlen(text), len);
    }
}

static void times_agree_with_the_system(void **state)
{
    uint64_t random = 42;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[TIME_TEXT_MAX], want[64], date[32];
        int64_t us, parsed;
        struct tm tm;
        time_t seconds;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        us = (int64_t)((random >> 1) % UINT64_C(253402300800000000));
        seconds = us / 1000000;
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
        if (us % 1000 == 0)
            snprintf(want, sizeof(want), "%s.%03dZ", date, (int)(us % 1000000 / 1000));
        else
            snprintf(want, sizeof(want), "%s.%06dZ", date, (int)(us % 1000000));
        CHECK_SLICE(slice_of(text, time_format(us, text)), want, want);
        assert_int_equal(time_parse(slice_str(text), &parsed), 0);
        assert_true(parsed == us);
    }
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:00.5Z", 500000},
        {"1970-01-01T00:00:00.123456789Z", 123456},
        {"1970-01-01T00:00:00.000000999Z", 0},
        {"1970-01-01T02:00:00+02:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"2026-01-31T12:00:00.123Z", 1769860800123000},
        {"2026-01-31T17:30:00.123+05:30", 1769860800123000},
        {"2000-02-29T00:00:00Z", 951782400000000},
        {"2016-12-31T23:59:60Z", 1483228800000000},
        {"9999-12-31T23:59:59.999999Z", 253402300799999999},
        {"9999-12-31T23:59:59-00:01", -1},
        {"1970-01-01T00:00:00+00:01", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"0000-01-01T00:00:00Z", -1},
        {"2001-02-29T00:00:00Z", -1},
        {"2100-02-29T00:00:00Z", -1},
        {"2001-00-01T00:00:00Z", -1},
        {"2001-13-01T00:00:00Z", -1},
        {"2001-01-00T00:00:00Z", -1},
        {"2001-04-31T00:00:00Z", -1},
        {"2001-01-01T24:00:00Z", -1},
        {"2001-01-01T00:60:00Z", -1},
        {"2001-01-01T00:00:61Z", -1},
        {"2001-01-01T00:00:00+24:00", -1},
        {"2001-01-01T00:00:00+01:60", -1},
        {"2001-01-01T00:00:00+0100", -1},
        {"2001-01-01T00:00:00", -1},
        {"2001-01-01T00:00:00.Z", -1},
        {"2001-01-01T00:00:00.1234567890Z", -1},
        {"2001-01-01T00:00:00ZZ", -1},
        {"2001-01-01T00:00:00Z ", -1},
        {" 2001-01-01T00:00:00Z", -1},
        {"2001-01-01 00:00:00Z", -1},
        {"2001-1-01T00:00:00Z", -1},
        {"+001-01-01T00:00:00Z", -1},
        {"2001-01-01", -1},
        {"now", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t us = 77;
        int r = time_parse(slice_str(cases[i].text), &us);

        CHECK_EQ(r, cases[i].want < 0 ? -EINVAL : 0, cases[i].text);
        CHECK_EQ(us, cases[i].want < 0 ? 77 : cases[i].want,
                 cases[i].text); /* untouched on failure */
    }
}

/* Every prefix of a good time is refused, without reading past its end. */
static void cut_times_are_refused(void **state)
{
    static const char good[] = "2026-01-31T12:00:00.123+05:30";

    (void)state;
    for (size_t n = 0; n < sizeof(good) - 1; n++) {
        char *exact = malloc(n ? n : 1); /* the address sanitizer watches its end */
        int64_t us;

        assert_non_null(exact);
        memcpy(exact, good, n);
        CHECK_EQ(time_parse(slice_of(exact, n), &us), -EINVAL, good + n);
        free(exact);
    }
}

static void uuids_are_version_4(void **state)
{
    uint8_t random[16];
    char text[37];

    (void)state;
    memset(random, 0xff, sizeof(random));
    uuid_format(random, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    memset(random, 0, sizeof(random));
    uuid_format(random, text);
    assert_string_equal(text, "00000000-0000-4000-8000-000000000000");
}

static void trace_ids(void **state)
{
    static const uint8_t random[16] = {0xab, 0xcd};
    static const struct {
        const char *x_trace_id, *traceparent, *want;
    } cases[] = {
        {"my-id_1.2", "00-11111111111111111111111111111111-2222222222222222-01", "my-id_1.2"},
        {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"bad id", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-future",
         "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"", "", "abcd0000000000000000000000000000"},
        {"a\nb", "", "abcd0000000000000000000000000000"},
        {"", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
         "abcd0000000000000000000000000000"},
        {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
         "abcd0000000000000000000000000000"},
        {"", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "abcd0000000000000000000000000000"},
        {"", "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "abcd0000000000000000000000000000"},
        {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
         "abcd0000000000000000000000000000"},
        {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
         "abcd0000000000000000000000000000"},
        {"", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "abcd0000000000000000000000000000"},
    };
    char longest[TRACE_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trace trace;

        trace_begin(&trace, slice_str(cases[i].x_trace_id), slice_str(cases[i].traceparent),
                    random);
        CHECK_SLICE(trace_slice(&trace), cases[i].want, cases[i].traceparent);
    }
    memset(longest, 'a', sizeof(longest));
    assert_true(trace_id_is_valid(slice_of(longest, TRACE_ID_MAX)));
    assert_false(trace_id_is_valid(slice_of(longest, TRACE_ID_MAX + 1)));
}

struct item {
    struct list link;
    int n;
};

static int list_sum(struct list *head)
{
    struct item *item;
    int digits = 0;

    list_for_each(item, head, link) digits = 10 * digits + item->n;
    return digits;
}

static void lists_keep_order(void **state)
{
    struct list a, b;
    struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
    struct item *item, *tmp;

    (void)state;
    list_init(&a);
    list_init(&b);
    list_add_tail(&a, &items[1].link);
    list_add_tail(&a, &items[2].link);
    list_add_head(&a, &items[0].link);
    list_add_tail(&b, &items[3].link);
    assert_int_equal(list_sum(&a), 123);
    list_splice_tail(&b, &a);
    assert_true(list_empty(&a));
    assert_int_equal(list_sum(&b), 4123);
    list_splice_tail(&b, &a); /* an empty one changes nothing */
    assert_int_equal(list_sum(&b), 4123);
    list_for_each_safe(item, tmp, &b, link) if (item->n % 2 == 0) list_del(&item->link);
    assert_int_equal(list_sum(&b), 13);
    assert_false(list_linked(&items[3].link));
    list_del(&items[3].link); /* twice is fine */
    assert_ptr_equal(list_first(&b, struct item, link), &items[0]);
    assert_ptr_equal(list_last(&b, struct item, link), &items[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(times_are_written),
        cmocka_unit_test(times_agree_with_the_system),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(cut_times_are_refused),
        cmocka_unit_test(uuids_are_version_4),
        cmocka_unit_test(trace_ids),
        cmocka_unit_test(lists_keep_order),
    };

    return cmocka_run_group_tests_name("ident", tests, NULL, NULL);
}
