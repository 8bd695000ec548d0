/* config.h - what a gateway can be told: its FLUXY_* variables. The table in config.c is what
 * --help prints. */
#pragma once

#include "common/base/config.h"

struct gateway_config {
    char *node_id;
    struct config_address http_listen, https_listen, admin_listen;
    bool reuse_port;
    char *tls_cert_file, *tls_key_file;
    int64_t max_connections;
    char *trusted_proxies;
    char *allowed_origins;
    char *redis_url, *redis_prefix;
    struct config_secret link_secret;
    char *link_tls_ca_file, *link_tls_cert_file, *link_tls_key_file;
    char *operator_project;
    char *export_font;
    struct config_secret operator_key;
    bool allow_anonymous;
    int64_t upload_max_bytes;
    char *demo_project;
    int64_t rate_limit_scale;
    uint64_t token_warning_ms, token_grace_ms;
    uint64_t heartbeat_ms;
    uint64_t drain_wait_ms, drain_timeout_ms;
    int64_t drain_rate;
    char *log_level;
};

/* As config_start(): 0, CONFIG_EXIT, <0. After it gateway_config_unload() is due. */
int gateway_config_start(struct gateway_config *config, int argc, char **argv) MUST_CHECK;
void gateway_config_unload(struct gateway_config *config);
