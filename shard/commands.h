/* commands.h - what fluxy-shard does instead of running: migrations, projects, keys. Blocking,
 * without a loop. */
#pragma once

#include <stdbool.h>

/* True when argv asks for a command; it has been run and *ret_status is the exit status. */
bool command_run(int argc, char **argv, int *ret_status);
