/* main.c - fluxy-gateway: arguments, then the process itself. */
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "gateway/gateway.h"

/* A descriptor for each socket: the usual soft limit is for programs that use select(). */
static void raise_descriptor_limit(int64_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < (rlim_t)wanted)
        log_warn("fewer descriptors than FLUXY_MAX_CONNECTIONS: the hard limit is too low",
                 L_U64("limit", (uint64_t)limit.rlim_cur), L_I64("connections", wanted));
}

static int run(const struct gateway_config *config)
{
    AUTO(gateway_free) struct gateway *gateway = NULL;

    log_start(config->node_id, config->log_level);
    raise_descriptor_limit(config->max_connections);
    if (gateway_new(config, &gateway) < 0)
        return EXIT_FAILURE;
    return gateway_run(gateway) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct gateway_config config;
    int r = gateway_config_start(&config, argc, argv);
    int status = r == CONFIG_EXIT ? EXIT_SUCCESS : r < 0 ? EXIT_FAILURE : run(&config);

    gateway_config_unload(&config);
    return status;
}
