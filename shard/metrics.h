/*
 * metrics.h - the counters of a shard: one struct that main owns and every part
 * borrows. The table is shard/metrics.def.
 */
#pragma once

#define METRICS_STRUCT shard_metrics
#define METRICS_DEF "shard/metrics.def"
#include "common/base/metrics_table.h"
#undef METRICS_STRUCT
#undef METRICS_DEF

/* Zeroes, and histograms with their buckets. */
void shard_metrics_init(struct shard_metrics *metrics);
/* Prometheus text of all of it. */
void shard_metrics_write(struct buf *out, const struct shard_metrics *metrics);
