/* config.c - see config.h. */
#include "shard/config.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "shard/limits.h"

#define STR(x) STR_OF(x)
#define STR_OF(x) #x

#define SUMMARY                                                                                \
    "A shard of a FluxyChat cluster: owns rooms, orders and stores their messages.\n"          \
    "\n"                                                                                       \
    "Other uses, instead of running (they need FLUXY_DATABASE_URL and FLUXY_MASTER_KEY):\n"    \
    "  fluxy-shard --migrate                          bring the database schema up to date\n"  \
    "  fluxy-shard --create-project NAME [--id ID]    make a project, print its id and API "   \
    "key\n"                                                                                    \
    "  fluxy-shard --rotate-master-key                seal all secrets anew, under "           \
    "FLUXY_MASTER_KEY\n"                                                                       \
    "                                                 (those under FLUXY_MASTER_KEY_PREVIOUS " \
    "too)"

static const struct config_option options[] = {
    CONFIG_STRING(struct shard_config, node_id, "FLUXY_NODE_ID", NULL, 1, NODE_ID_MAX,
                  "Name of this shard on the ring, unique in the cluster and stable"),
    CONFIG_ADDRESS(struct shard_config, link_listen, "FLUXY_LINK_LISTEN", "127.0.0.1:7400",
                   "Where gateways connect; not only loopback needs a link secret or link TLS"),
    CONFIG_STRING(struct shard_config, link_advertise, "FLUXY_LINK_ADVERTISE", "", 0,
                  LINK_ADDRESS_MAX,
                  "host:port under which gateways reach FLUXY_LINK_LISTEN; empty: as bound"),
    CONFIG_SECRET(struct shard_config, link_secret, "FLUXY_LINK_SECRET", "", 16,
                  SECRET_FILE_MAX,
                  "Shared by all gateways and shards; proves both ends of a link"),
    CONFIG_STRING(
        struct shard_config, tls_ca_file, "FLUXY_LINK_TLS_CA_FILE", "", 0, 4096,
        "PEM: gateways must show a certificate of these issuers (mutual TLS on links)"),
    CONFIG_STRING(struct shard_config, tls_cert_file, "FLUXY_LINK_TLS_CERT_FILE", "", 0, 4096,
                  "PEM: our certificate chain on links"),
    CONFIG_STRING(struct shard_config, tls_key_file, "FLUXY_LINK_TLS_KEY_FILE", "", 0, 4096,
                  "PEM: its key"),
    CONFIG_ADDRESS(struct shard_config, admin_listen, "FLUXY_ADMIN_LISTEN", "127.0.0.1:7401",
                   "Health, readiness and metrics; empty: none"),
    CONFIG_STRING(struct shard_config, redis_url, "FLUXY_REDIS_URL", "redis://127.0.0.1:6379",
                  1, 4096, "Where the cluster keeps its ring"),
    CONFIG_STRING(struct shard_config, redis_prefix, "FLUXY_REDIS_PREFIX", "fluxy:", 1, 64,
                  "Of all keys in Redis, the same in the whole cluster"),
    CONFIG_STRING(struct shard_config, database_url, "FLUXY_DATABASE_URL", NULL, 1, 4096,
                  "postgresql://user:password@host:port/database, also with several hosts"),
    CONFIG_MS(struct shard_config, database_wait_ms, "FLUXY_DATABASE_WAIT", "30s", 0, 3600000,
              "How long to wait for the database at start before giving up"),
    CONFIG_BOOL(struct shard_config, allow_unsafe_postgres, "FLUXY_ALLOW_UNSAFE_POSTGRES",
                "false",
                "Run although the database does not keep commits through a crash (tests only)"),
    CONFIG_SECRET(struct shard_config, master_key, "FLUXY_MASTER_KEY", NULL, 1, SECRET_FILE_MAX,
                  "64 hex digits or 32 bytes in base64: seals the secrets in the database"),
    CONFIG_SECRET(struct shard_config, previous_master_key, "FLUXY_MASTER_KEY_PREVIOUS", "", 1,
                  SECRET_FILE_MAX,
                  "The key before it, while secrets are still sealed under that"),
    CONFIG_INT(struct shard_config, weight, "FLUXY_WEIGHT", "1", 1, RING_WEIGHT_MAX,
               "Share of the rooms that this shard takes, beside those of the others"),
    CONFIG_INT(struct shard_config, commit_lanes, "FLUXY_COMMIT_LANES", "2", 1,
               COMMIT_LANES_MAX,
               "Batches that may be under way at once, each on a connection of its own"),
    CONFIG_MS(struct shard_config, room_idle_ms, "FLUXY_ROOM_IDLE_MS", STR(ROOM_IDLE_MS), 100,
              86400000,
              "A room without traffic for that long leaves memory; its sockets stay open"),
    CONFIG_INT(struct shard_config, tail_entries, "FLUXY_TAIL_ENTRIES", STR(TAIL_ENTRIES), 1,
               100000, "Newest messages of a room that are kept in memory"),
    CONFIG_INT(struct shard_config, tail_bytes, "FLUXY_TAIL_BYTES", "1M", 4096, 1 << 30,
               "Bytes of them, at most"),
    CONFIG_INT(struct shard_config, rate_limit_scale, "FLUXY_RATE_LIMIT_SCALE", "1", 1, 1000000,
               "Multiplies every rate limit (for tests)"),
    CONFIG_MS(struct shard_config, drain_timeout_ms, "FLUXY_DRAIN_TIMEOUT", "8s", 0, 3600000,
              "How long a shard that is told to stop hands its rooms over"),
    CONFIG_WORD(struct shard_config, log_level, "FLUXY_LOG_LEVEL", "info",
                "debug|info|warn|error|off", "Least level that is logged"),
};

int shard_config_start(struct shard_config *config, int argc, char **argv)
{
    memset(config, 0, sizeof(*config));
    return config_start("fluxy-shard", SUMMARY, options, ARRAY_LEN(options), config, argc,
                        argv);
}

static bool is_for_command(const struct config_option *option)
{
    return option->offset == offsetof(struct shard_config, database_url) ||
           option->offset == offsetof(struct shard_config, allow_unsafe_postgres) ||
           option->offset == offsetof(struct shard_config, master_key) ||
           option->offset == offsetof(struct shard_config, previous_master_key);
}

int shard_config_load_for_command(struct shard_config *config)
{
    struct config_option some[ARRAY_LEN(options)];
    AUTO_BUF problems = BUF_INIT;
    AUTO_BUF unknown = BUF_INIT; /* not unknown, only not needed here */
    size_t n = 0;
    int r;

    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (is_for_command(&options[i]))
            some[n++] = options[i];
    }
    r = config_load(some, n, config, environ, &problems, &unknown);
    if (r < 0)
        (void)fprintf(stderr, "%.*s", (int)problems.len, problems.len ? problems.data : "");
    return r;
}

void shard_config_unload(struct shard_config *config)
{
    config_free(options, ARRAY_LEN(options), config);
}
