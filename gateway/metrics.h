/*
 * metrics.h - the counters of a gateway: one struct that main owns and every
 * part borrows. The table is gateway/metrics.def.
 */
#pragma once

#define METRICS_STRUCT gateway_metrics
#define METRICS_DEF "gateway/metrics.def"
#include "common/base/metrics_table.h"
#undef METRICS_STRUCT
#undef METRICS_DEF

/* Zeroes, and histograms with their buckets. */
void gateway_metrics_init(struct gateway_metrics *metrics);
/* Prometheus text of all of it. */
void gateway_metrics_write(struct buf *out, const struct gateway_metrics *metrics);
