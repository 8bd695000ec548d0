/* membership_metrics.c - see membership_metrics.h. */
#define METRICS_ROWS membership_metric_rows
#include "common/cluster/membership_metrics.h"

void membership_metrics_write(struct buf *out, const struct membership_metrics *metrics)
{
    metrics_write(out, membership_metric_rows, METRICS_ROWS_COUNT, metrics);
}
