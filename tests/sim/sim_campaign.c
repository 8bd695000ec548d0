/* sim_campaign.c - see sim_campaign.h. */
#include "tests/sim/sim_campaign.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/macros.h"

#define TELL_MAX 10

struct choice {
    const struct sim_campaign *campaign;
    uint64_t from, seeds;
    unsigned jobs, duration_ms;
    bool one, is_verbose;
};

static int usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--seeds N] [--from N] [--jobs N] [--ms N] | --seed N [-v] [--ms N]\n",
            name);
    return 2;
}

static bool parse(int argc, char **argv, struct choice *c)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},
        {"ms", required_argument, NULL, 'm'},
        {"seed", required_argument, NULL, 's'},
        {"verbose", no_argument, NULL, 'v'},
        {0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        uint64_t value = optarg ? strtoull(optarg, NULL, 10) : 0;

        if (o == 'n')
            c->seeds = value;
        else if (o == 'f')
            c->from = value;
        else if (o == 'j')
            c->jobs = (unsigned)MAX(value, (uint64_t)1);
        else if (o == 'm')
            c->duration_ms = (unsigned)value;
        else if (o == 'v')
            c->is_verbose = true;
        else if (o != 's')
            return false;
        if (o == 's') {
            c->from = value;
            c->seeds = 1;
            c->one = true;
        }
    }
    return optind == argc && c->seeds > 0;
}

/* Every jobs-th seed; how many failed, at most 255 for the exit status. */
static int run_share(const struct choice *c, unsigned share)
{
    int failed = 0;

    for (uint64_t i = share; i < c->seeds; i += c->jobs) {
        struct sim_options options = {c->from + i, c->one, c->is_verbose, c->duration_ms};

        if (c->campaign->run(&options) == 0)
            continue;
        if (failed++ < TELL_MAX)
            fprintf(stderr,
                    "seed %" PRIu64 " failed; again with a trace: %s --seed %" PRIu64
                    " --ms %u\n",
                    options.seed, c->campaign->name, options.seed, c->duration_ms);
    }
    return MIN(failed, 255);
}

static int run_jobs(const struct choice *c)
{
    const char *name = c->campaign->name;
    int failed = 0;

    for (unsigned share = 0; share < c->jobs; share++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror(name);
            exit(1);
        }
        if (pid == 0)
            exit(run_share(c, share));
    }
    for (unsigned share = 0; share < c->jobs; share++) {
        int status;

        if (wait(&status) < 0 || !WIFEXITED(status)) {
            fprintf(stderr, "%s: a job was killed by signal %d\n", name, WTERMSIG(status));
            failed++;
        } else {
            failed += WEXITSTATUS(status);
        }
    }
    return failed;
}

int sim_campaign(const struct sim_campaign *campaign, int argc, char **argv)
{
    struct choice c = {.campaign = campaign,
                       .from = 1,
                       .seeds = 1000,
                       .jobs = 2,
                       .duration_ms = campaign->duration_ms};
    int failed;

    if (!parse(argc, argv, &c))
        return usage(campaign->name);
    log_set_level(LOG_LEVEL_ERROR);
    failed = c.one ? run_share(&c, 0) : run_jobs(&c);
    printf("%s: %" PRIu64 " passed, %d failed\n", campaign->summary,
           c.seeds - MIN((uint64_t)failed, c.seeds), failed);
    return failed ? 1 : 0;
}
