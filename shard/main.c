/* main.c - fluxy-shard: arguments, then either a command or the process itself. */
#include <signal.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "shard/commands.h"
#include "shard/config.h"
#include "shard/shard.h"

static int run(const struct shard_config *config)
{
    AUTO(shard_free) struct shard *shard = NULL;

    log_start(config->node_id, config->log_level);
    if (shard_new(config, &shard) < 0)
        return EXIT_FAILURE;
    return shard_run(shard) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct shard_config config;
    int status, r;

    (void)signal(SIGPIPE, SIG_IGN); /* a write to a closed peer is an error of that write */
    if (command_run(argc, argv, &status))
        return status;
    r = shard_config_start(&config, argc, argv);
    status = r == CONFIG_EXIT ? EXIT_SUCCESS : r < 0 ? EXIT_FAILURE : run(&config);
    shard_config_unload(&config);
    return status;
}
