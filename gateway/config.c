/* config.c - see config.h. */
#include "gateway/config.h"

#include "common/base/limits.h"

#define STR(x) STR_OF(x)
#define STR_OF(x) #x
#define PATH_BYTES 4096

#define SUMMARY                                                                                \
    "A gateway of a FluxyChat cluster: holds the clients' connections, knows the way to the\n" \
    "shard that owns each room, and delivers what happens there. Keeps nothing of its own.\n"  \
    "\n"                                                                                       \
    "SIGTERM drains (a second one ends at once), SIGHUP reads the certificate again."

static const struct config_option options[] = {
    CONFIG_STRING(struct gateway_config, node_id, "FLUXY_NODE_ID", "gateway", 1, NODE_ID_MAX,
                  "Name of this gateway in logs and on links, unique in the cluster"),
    CONFIG_ADDRESS(struct gateway_config, http_listen, "FLUXY_HTTP_LISTEN", "127.0.0.1:8080",
                   "Where clients connect without TLS; empty: nowhere"),
    CONFIG_ADDRESS(struct gateway_config, https_listen, "FLUXY_HTTPS_LISTEN", "",
                   "Where clients connect with TLS; needs the certificate and its key"),
    CONFIG_BOOL(struct gateway_config, reuse_port, "FLUXY_REUSE_PORT", "false",
                "Let several gateways of one machine share the ports"),
    CONFIG_STRING(struct gateway_config, tls_cert_file, "FLUXY_TLS_CERT_FILE", "", 0,
                  PATH_BYTES, "PEM: our certificate chain for clients"),
    CONFIG_STRING(struct gateway_config, tls_key_file, "FLUXY_TLS_KEY_FILE", "", 0, PATH_BYTES,
                  "PEM: its key"),
    CONFIG_INT(struct gateway_config, max_connections, "FLUXY_MAX_CONNECTIONS",
               STR(CONNECTIONS_MAX), 1, 10000000,
               "Client connections at once; above it they wait in the kernel"),
    CONFIG_STRING(
        struct gateway_config, trusted_proxies, "FLUXY_TRUSTED_PROXIES", "", 0, 65536,
        "Networks (10.0.0.0/8, ...) whose PROXY header and X-Forwarded-For are believed"),
    CONFIG_STRING(
        struct gateway_config, allowed_origins, "FLUXY_ALLOWED_ORIGINS", "*", 0, 65536,
        "Origins (https://app.example, ...) whose pages may use this gateway; *: all"),
    CONFIG_ADDRESS(struct gateway_config, admin_listen, "FLUXY_ADMIN_LISTEN", "127.0.0.1:8081",
                   "Health, readiness and metrics; empty: none"),
    CONFIG_STRING(struct gateway_config, redis_url, "FLUXY_REDIS_URL", "redis://127.0.0.1:6379",
                  1, PATH_BYTES, "Where the cluster keeps its ring"),
    CONFIG_STRING(struct gateway_config, redis_prefix, "FLUXY_REDIS_PREFIX", "fluxy:", 1, 64,
                  "Of all keys in Redis, the same in the whole cluster"),
    CONFIG_SECRET(struct gateway_config, link_secret, "FLUXY_LINK_SECRET", "", 16,
                  SECRET_FILE_MAX,
                  "Shared by all gateways and shards; proves both ends of a link"),
    CONFIG_STRING(struct gateway_config, link_tls_ca_file, "FLUXY_LINK_TLS_CA_FILE", "", 0,
                  PATH_BYTES,
                  "PEM: shards must show a certificate of these issuers (mutual TLS on links)"),
    CONFIG_STRING(struct gateway_config, link_tls_cert_file, "FLUXY_LINK_TLS_CERT_FILE", "", 0,
                  PATH_BYTES, "PEM: our certificate chain on links"),
    CONFIG_STRING(struct gateway_config, link_tls_key_file, "FLUXY_LINK_TLS_KEY_FILE", "", 0,
                  PATH_BYTES, "PEM: its key"),
    CONFIG_STRING(struct gateway_config, operator_project, "FLUXY_OPERATOR_PROJECT", "", 0,
                  ID_MAX,
                  "The operator's own project; the operator key mints for it unless "
                  "X-Project-Id names another"),
    CONFIG_SECRET(struct gateway_config, operator_key, "FLUXY_OPERATOR_KEY", "", 19, 256,
                  "Begins with op_ and may mint tokens for every project"),
    CONFIG_INT(struct gateway_config, upload_max_bytes, "FLUXY_UPLOAD_MAX_BYTES", "10M", 1024,
               1073741824, "Bytes of an uploaded file, at most"),
    CONFIG_STRING(struct gateway_config, export_font, "FLUXY_EXPORT_FONT",
                  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 0, PATH_BYTES,
                  "TrueType font of PDF exports; empty: there are none"),
    CONFIG_BOOL(struct gateway_config, allow_anonymous, "FLUXY_ALLOW_ANONYMOUS", "true",
                "Mint tokens for people without an account, and let them in"),
    CONFIG_STRING(struct gateway_config, demo_project, "FLUXY_DEMO_PROJECT", "", 0, ID_MAX,
                  "Serve the chat page /demo, whose visitors become members of this project; "
                  "empty: no page"),
    CONFIG_INT(struct gateway_config, rate_limit_scale, "FLUXY_RATE_LIMIT_SCALE", "1", 1,
               1000000, "Multiplies every rate limit (for tests)"),
    CONFIG_MS(struct gateway_config, token_warning_ms, "FLUXY_TOKEN_WARNING", "60s", 1, 3600000,
              "How long before the end of its token a client on a socket is told"),
    CONFIG_MS(struct gateway_config, token_grace_ms, "FLUXY_TOKEN_GRACE", "30s", 1, 3600000,
              "How long a socket may still read after the end of its token"),
    CONFIG_MS(struct gateway_config, heartbeat_ms, "FLUXY_EVENT_STREAM_HEARTBEAT", "30s", 500,
              3600000,
              "How often an event stream gets a comment, so that nobody on the way "
              "takes it for dead"),
    CONFIG_MS(
        struct gateway_config, drain_wait_ms, "FLUXY_DRAIN_WAIT", "0s", 0, 3600000,
        "SIGTERM: how long /readyz fails before connections are refused (for load balancers)"),
    CONFIG_INT(
        struct gateway_config, drain_rate, "FLUXY_DRAIN_RATE", "500", 1, 1000000,
        "SIGTERM: sockets that go elsewhere per second; more if the time would not be enough"),
    CONFIG_MS(struct gateway_config, drain_timeout_ms, "FLUXY_DRAIN_TIMEOUT", "60s", 0, 3600000,
              "SIGTERM: what is left after this long is cut"),
    CONFIG_WORD(struct gateway_config, log_level, "FLUXY_LOG_LEVEL", "info",
                "debug|info|warn|error|off", "Least level that is logged"),
};

int gateway_config_start(struct gateway_config *config, int argc, char **argv)
{
    memset(config, 0, sizeof(*config));
    return config_start("fluxy-gateway", SUMMARY, options, ARRAY_LEN(options), config, argc,
                        argv);
}

void gateway_config_unload(struct gateway_config *config)
{
    config_free(options, ARRAY_LEN(options), config);
}
