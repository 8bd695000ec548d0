/*
 * metrics_table.h - makes a program's struct of metrics from its .def file; see
 * metrics.h. Included by the program's metrics.h after METRICS_STRUCT and
 * METRICS_DEF are defined; where METRICS_ROWS is defined as well (in its
 * metrics.c), a table of that name is made, with METRICS_ROWS_COUNT entries.
 * No include guard: it is a template.
 */
#include "common/base/metrics.h"

#ifdef METRICS_DEF
struct METRICS_STRUCT {
#define COUNTER(field, name, labels, help) uint64_t field;
#define GAUGE(field, name, labels, help) int64_t field;
#define HISTOGRAM(field, name, labels, help, buckets) struct histogram field;
#include METRICS_DEF
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};

#ifdef METRICS_ROWS
static const struct metric_row METRICS_ROWS[] = {
#define COUNTER(field, name, labels, help)                                                     \
    {METRIC_COUNTER, offsetof(struct METRICS_STRUCT, field), name, labels, help, NULL},
#define GAUGE(field, name, labels, help)                                                       \
    {METRIC_GAUGE, offsetof(struct METRICS_STRUCT, field), name, labels, help, NULL},
#define HISTOGRAM(field, name, labels, help, buckets)                                          \
    {METRIC_HISTOGRAM, offsetof(struct METRICS_STRUCT, field), name, labels, help, &(buckets)},
#include METRICS_DEF
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};
#define METRICS_ROWS_COUNT (sizeof(METRICS_ROWS) / sizeof(METRICS_ROWS[0]))
#endif
#undef METRICS_STRUCT
#undef METRICS_DEF
#endif
