/* test_metrics.c - a table of metrics and its Prometheus text. */
#define METRICS_STRUCT test_metrics
#define METRICS_DEF "tests/unit/base/test_metrics.def"
#define METRICS_ROWS test_rows
#include "common/base/metrics_table.h"

#include "tests/support/test.h"

static void text_has_every_series(void **state)
{
    static const char start[] = "# HELP t_frames_total Frames\n"
                                "# TYPE t_frames_total counter\n"
                                "t_frames_total{direction=\"in\"} 3\n"
                                "t_frames_total{direction=\"out\"} 1\n"
                                "# HELP t_open Open now\n"
                                "# TYPE t_open gauge\n"
                                "t_open -2\n"
                                "# HELP t_ack_seconds Time to ack\n"
                                "# TYPE t_ack_seconds histogram\n"
                                "t_ack_seconds_bucket{lane=\"0\",le=\"0.0001\"} 2\n"
                                "t_ack_seconds_bucket{lane=\"0\",le=\"0.00025\"} 3\n";
    struct test_metrics m = {0};
    AUTO_BUF out = BUF_INIT;

    (void)state;
    assert_int_equal(METRICS_ROWS_COUNT, 5);
    metrics_init(test_rows, METRICS_ROWS_COUNT, &m);
    m.in += 3;
    m.out++;
    m.open = -2;
    histogram_observe(&m.ack_us, 0);
    histogram_observe(&m.ack_us, 100); /* bounds are inclusive */
    histogram_observe(&m.ack_us, 101);
    histogram_observe(&m.ack_us, 10000001);
    metrics_write(&out, test_rows, METRICS_ROWS_COUNT, &m);
    buf_put_char(&out, '\0');
    assert_false(buf_failed(&out));
    assert_memory_equal(out.data, start, sizeof(start) - 1);
    assert_non_null(strstr(out.data, "t_ack_seconds_bucket{lane=\"0\",le=\"10\"} 3\n"
                                     "t_ack_seconds_bucket{lane=\"0\",le=\"+Inf\"} 4\n"
                                     "t_ack_seconds_sum{lane=\"0\"} 10.000202\n"
                                     "t_ack_seconds_count{lane=\"0\"} 4\n"));
    assert_non_null(strstr(out.data, "t_batch_bucket{le=\"1\"} 0\n"));
    assert_non_null(strstr(out.data, "t_batch_sum 0\nt_batch_count 0\n"));
}

static void process_tells_about_itself(void **state)
{
    AUTO_BUF out = BUF_INIT;
    double start = 0, resident = 0, heap = -1;
    const char *at;

    (void)state;
    metrics_write_process(&out);
    buf_put_char(&out, '\0');
    at = strstr(out.data, "\nprocess_start_time_seconds ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " process_start_time_seconds %lf", &start), 1);
    assert_true(start > 1.6e9 && start < 1e11);
    at = strstr(out.data, "\nprocess_resident_memory_bytes ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " process_resident_memory_bytes %lf", &resident), 1);
    assert_true(resident > 100000);
    at = strstr(out.data, "\nfluxy_heap_bytes ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " fluxy_heap_bytes %lf", &heap), 1);
    assert_true(heap >= 0 && heap < 1e9); /* 0 with AddressSanitizer's allocator */
    assert_non_null(strstr(out.data, "fluxy_build_info{version=\"" FLUXY_VERSION "\"} 1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_every_series),
        cmocka_unit_test(process_tells_about_itself),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
