/* metrics.c - the table of a gateway's counters; see metrics.def. */
#define METRICS_ROWS gateway_metric_rows
#include "gateway/metrics.h"

void gateway_metrics_init(struct gateway_metrics *metrics)
{
    *metrics = (struct gateway_metrics){0};
    metrics_init(gateway_metric_rows, METRICS_ROWS_COUNT, metrics);
}

void gateway_metrics_write(struct buf *out, const struct gateway_metrics *metrics)
{
    metrics_write(out, gateway_metric_rows, METRICS_ROWS_COUNT, metrics);
}
