/*
 * membership_metrics.h - what a process counts about the ring and the registry.
 * The table is membership.def.
 */
#pragma once

#define METRICS_STRUCT membership_metrics
#define METRICS_DEF "common/cluster/membership.def"
#include "common/base/metrics_table.h"
#undef METRICS_STRUCT
#undef METRICS_DEF

/* Prometheus text of all of it. */
void membership_metrics_write(struct buf *out, const struct membership_metrics *metrics);
