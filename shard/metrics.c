/* metrics.c - see metrics.h. */
#define METRICS_ROWS shard_metric_rows
#include "shard/metrics.h"

void shard_metrics_init(struct shard_metrics *metrics)
{
    memset(metrics, 0, sizeof(*metrics));
    metrics_init(shard_metric_rows, METRICS_ROWS_COUNT, metrics);
}

void shard_metrics_write(struct buf *out, const struct shard_metrics *metrics)
{
    metrics_write(out, shard_metric_rows, METRICS_ROWS_COUNT, metrics);
}
