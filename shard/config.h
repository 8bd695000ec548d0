/* config.h - what a shard can be told: its FLUXY_* variables. The table in config.c is what
 * --help prints. */
#pragma once

#include "common/base/config.h"

struct shard_config {
    char *node_id;
    struct config_address link_listen, admin_listen;
    char *link_advertise;
    char *redis_url, *redis_prefix;
    char *database_url;
    bool allow_unsafe_postgres;
    uint64_t database_wait_ms;
    struct config_secret master_key, previous_master_key;
    struct config_secret link_secret;
    char *tls_ca_file, *tls_cert_file, *tls_key_file;
    char *log_level;
    int64_t weight;
    int64_t commit_lanes;
    uint64_t room_idle_ms;
    int64_t tail_entries, tail_bytes;
    int64_t rate_limit_scale;
    uint64_t drain_timeout_ms;
};

/* As config_start(): 0, CONFIG_EXIT, <0. After it config_unload() is due. */
int shard_config_start(struct shard_config *config, int argc, char **argv) MUST_CHECK;
/* For the commands that only touch the database: what they need, the rest is left alone. */
int shard_config_load_for_command(struct shard_config *config) MUST_CHECK;
void shard_config_unload(struct shard_config *config);
