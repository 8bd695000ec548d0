/*
 * shard.h - the process: builds every part, owns them all, hands the rooms over
 * when it is told to stop.
 */
#pragma once

#include "common/base/macros.h"

struct shard;
struct shard_config;

/* Waits (blocking) for the database, brings its schema up to date, then builds the parts. What
 * is wrong has been logged. The config is borrowed. */
int shard_new(const struct shard_config *config, struct shard **ret_shard) MUST_CHECK;
void shard_free(struct shard *shard); /* NULL does nothing */
DEFINE_AUTO(struct shard, shard_free)

/* Until SIGTERM or SIGINT and the hand-over after it (the second one ends it at once). 0: ended
 * in order. */
int shard_run(struct shard *shard) MUST_CHECK;
