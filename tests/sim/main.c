/*
 * main.c - fluxy-sim: runs the simulated cluster over many seeds, or one seed
 * with a trace.
 *
 *   fluxy-sim --seeds 4000 [--from 1] [--jobs 2] [--ms 12000]
 *   fluxy-sim --seed 42
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tests/sim/sim_world.h"

#define DURATION_MS 12000
#define TELL_MAX 10

struct campaign {
    uint64_t from, seeds;
    unsigned jobs, duration_ms;
    bool one;
};

static int usage(void)
{
    fprintf(
        stderr,
        "usage: fluxy-sim [--seeds N] [--from N] [--jobs N] [--ms N] | --seed N [--ms N]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct campaign *c)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'}, {"from", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},  {"ms", required_argument, NULL, 'm'},
        {"seed", required_argument, NULL, 's'},  {0},
    };
    int o;

    *c = (struct campaign){.from = 1, .seeds = 1000, .jobs = 2, .duration_ms = DURATION_MS};
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t value = optarg ? strtoull(optarg, NULL, 10) : 0;

        if (o == 'n')
            c->seeds = value;
        else if (o == 'f')
            c->from = value;
        else if (o == 'j')
            c->jobs = (unsigned)MAX(value, (uint64_t)1);
        else if (o == 'm')
            c->duration_ms = (unsigned)value;
        else if (o == 's')
            *c = (struct campaign){value, 1, 1, c->duration_ms, true};
        else
            return false;
    }
    return optind == argc && c->seeds > 0;
}

/* Every jobs-th seed; how many failed, at most 255 for the exit status. */
static int run_share(const struct campaign *c, unsigned share)
{
    int failed = 0;

    for (uint64_t i = share; i < c->seeds; i += c->jobs) {
        struct sim_options options = {c->from + i, c->one, c->duration_ms};

        if (sim_world_run(&options) == 0)
            continue;
        if (failed++ < TELL_MAX)
            fprintf(stderr,
                    "seed %" PRIu64 " failed; again with a trace: fluxy-sim --seed %" PRIu64
                    " --ms %u\n",
                    options.seed, options.seed, c->duration_ms);
    }
    return MIN(failed, 255);
}

int main(int argc, char **argv)
{
    struct campaign c;
    int failed = 0;

    if (!parse(argc, argv, &c))
        return usage();
    log_set_level(LOG_LEVEL_ERROR);
    if (c.one) {
        failed = run_share(&c, 0);
    } else {
        for (unsigned share = 0; share < c.jobs; share++) {
            pid_t pid = fork();

            if (pid < 0) {
                perror("fluxy-sim: fork");
                return 1;
            }
            if (pid == 0)
                exit(run_share(&c, share));
        }
        for (unsigned share = 0; share < c.jobs; share++) {
            int status;

            if (wait(&status) < 0 || !WIFEXITED(status)) {
                fprintf(stderr, "fluxy-sim: a job was killed by signal %d\n", WTERMSIG(status));
                failed++;
            } else {
                failed += WEXITSTATUS(status);
            }
        }
    }
    printf("sim: %" PRIu64 " passed, %d failed\n", c.seeds - MIN((uint64_t)failed, c.seeds),
           failed);
    return failed ? 1 : 0;
}
