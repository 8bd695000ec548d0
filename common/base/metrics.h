/*
 * metrics.h - counters, gauges and histograms, and their Prometheus text form.
 * Every series (name and labels) of a program stands in one .def table, so
 * nothing grows while it runs; on the hot path a metric is a plain increment
 * of a struct member: `metrics.frames_in++`, `histogram_observe(&metrics.commit_us, us)`.
 *
 * gateway/metrics.def:
 *     COUNTER(frames_in, "app_frames_total", "direction=\"in\"", "Client frames")
 *     COUNTER(frames_out, "app_frames_total", "direction=\"out\"", "Client frames")
 *     GAUGE(sessions, "app_sessions", "", "Open sockets")
 *     HISTOGRAM(ack_us, "app_ack_seconds", "", "Frame to ack", buckets_latency_us)
 * gateway/metrics.h:
 *     #define METRICS_STRUCT gateway_metrics
 *     #define METRICS_DEF "gateway/metrics.def"
 *     #include "common/base/metrics_table.h"
 *     extern struct gateway_metrics metrics;
 * gateway/metrics.c, which with METRICS_ROWS gets the table for metrics_write() too:
 *     #define METRICS_ROWS gateway_metric_rows
 *     #include "gateway/metrics.h"
 *     struct gateway_metrics metrics;
 *
 * Rows of one name stand together. Names end in _total for counters and in the
 * base unit (_seconds, _bytes) for the others; histograms are fed whole numbers
 * in a smaller unit, which `scale` turns into the base unit on output.
 */
#pragma once

#include "common/base/buf.h"

#define HISTOGRAM_BUCKETS_MAX 20

struct buckets {
    double
        scale; /* observed units per base unit: 1e6 when observing microseconds for _seconds */
    size_t n;
    uint64_t bounds[HISTOGRAM_BUCKETS_MAX]; /* rising, in observed units, each inclusive */
};

extern const struct buckets buckets_latency_us; /* 100 us .. 10 s */
extern const struct buckets buckets_bytes;      /* 64 B .. 4 MiB */
extern const struct buckets buckets_count;      /* 1 .. 10000 */

struct histogram {
    const struct buckets *buckets; /* set by metrics_init() */
    uint64_t
        counts[HISTOGRAM_BUCKETS_MAX + 1]; /* per bucket, not cumulative; the last is +Inf */
    uint64_t sum;
};

void histogram_observe(struct histogram *h, uint64_t v);

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    enum metric_type type;
    size_t offset; /* uint64_t, int64_t or struct histogram in the program's struct */
    const char *name, *labels, *help;
    const struct buckets *buckets;
};

/* Gives the histograms their buckets. Once, before the first observation. */
void metrics_init(const struct metric_row *rows, size_t n, void *values);
/* Prometheus text exposition format 0.0.4. */
void metrics_write(struct buf *out, const struct metric_row *rows, size_t n,
                   const void *values);
/* process_* (CPU, memory, descriptors, start time), fluxy_build_info and the log's drop
 * counter. */
void metrics_write_process(struct buf *out);
